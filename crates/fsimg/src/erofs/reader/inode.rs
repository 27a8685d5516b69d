//! Inodes and their extended attributes.

use std::collections::BTreeMap;

use twinhull_tree::Timestamp;

use super::{Reader, damaged, u16_at, u32_at, u64_at};
use crate::{FileType, ReadAt, Result, filesystem, unix};

/// An inode as it is in the image.
#[derive(Debug, Clone)]
pub struct Inode {
    /// What every file system knows of it.
    pub common: filesystem::Inode,
    /// Its own byte offset.
    pub offset: u64,
    /// How the data is stored, as the format numbers it.
    pub(super) layout: u16,
    /// Block, number of blocks, chunk format or device number.
    pub(super) union: u32,
    /// Length of inode in bytes.
    len: u64,
    /// Length of inline attributes in bytes.
    xattr_len: u64,
}

impl Inode {
    /// Byte offset behind inode and attributes.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.len + self.xattr_len
    }
}

impl std::ops::Deref for Inode {
    type Target = filesystem::Inode;

    fn deref(&self) -> &filesystem::Inode {
        &self.common
    }
}

impl<R: ReadAt> Reader<R> {
    /// The inode with this node number.
    ///
    /// Returns [`crate::Error::Damaged`] when it isn't there or isn't one.
    pub fn inode(&self, number: u64) -> Result<Inode> {
        let offset = self.inode_offset(number)?;
        let head = self.bytes(offset, 32)?;
        let format = u16_at(&head, 0);
        let layout = format >> 1 & 7;
        if format & !0xf != 0 || layout > 4 {
            return Err(damaged(offset, format!("inode {number} has the unknown format {format:#x}")));
        }
        let mode = u16_at(&head, 4);
        let kind = FileType::of_mode(mode).ok_or_else(|| {
            damaged(offset, format!("inode {number} is of the unknown type {:#o}", mode & 0o170_000))
        })?;
        let xattr_count = u64::from(u16_at(&head, 2));
        let union = u32_at(&head, 16);
        let mut common = filesystem::Inode {
            number,
            kind,
            mode: mode & 0o7777,
            uid: u32::from(u16_at(&head, 24)),
            gid: u32::from(u16_at(&head, 26)),
            mtime: Timestamp { secs: self.build_time.cast_signed(), nanos: 0 },
            size: u64::from(u32_at(&head, 8)),
            links: u32::from(u16_at(&head, 6)),
            device: kind.is_device().then(|| unix::decode_device(union)),
        };
        let mut len = 32;
        if format & 1 == 1 {
            let more = self.bytes(offset, 64)?;
            common.size = u64_at(&more, 8);
            common.uid = u32_at(&more, 24);
            common.gid = u32_at(&more, 28);
            common.mtime = Timestamp { secs: u64_at(&more, 32).cast_signed(), nanos: u32_at(&more, 40) };
            common.links = u32_at(&more, 44);
            len = 64;
        }
        if common.size > i64::MAX as u64 {
            return Err(damaged(offset, format!("inode {number} has the impossible size {}", common.size)));
        }
        let xattr_len = if xattr_count == 0 { 0 } else { 12 + (xattr_count - 1) * 4 };
        Ok(Inode { common, offset, layout, union, len, xattr_len })
    }

    /// The extended attributes of an inode by full name.
    pub fn xattrs(&self, inode: &Inode) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut found = BTreeMap::new();
        if inode.xattr_len == 0 {
            return Ok(found);
        }
        let at = inode.offset + inode.len;
        let body = self.bytes(at, inode.xattr_len)?;
        let shared = usize::from(body[4]);
        let bad = || damaged(at, "the attributes are longer than their place".into());
        let ids = body.get(12..12 + shared * 4).ok_or_else(bad)?;
        for id in ids.chunks_exact(4) {
            let offset = self.shared_xattrs + u64::from(u32_at(id, 0)) * 4;
            let head = self.bytes(offset, 4)?;
            let len = 4 + u64::from(head[0]) + u64::from(u16_at(&head, 2));
            let entry = self.bytes(offset, len)?;
            let (name, value, _) = parse_xattr(&entry).ok_or_else(bad)?;
            found.insert(name, value);
        }
        let mut rest = &body[12 + shared * 4..];
        while rest.len() >= 4 && rest.iter().any(|b| *b != 0) {
            let (name, value, len) = parse_xattr(rest).ok_or_else(bad)?;
            found.insert(name, value);
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(found)
    }
}

/// Name, value and length of the attribute that `bytes` start with.
fn parse_xattr(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    let name_end = 4 + usize::from(*bytes.first()?);
    let end = name_end + usize::from(u16_at(bytes.get(..4)?, 2));
    let name = unix::join_attribute(*bytes.get(1)?, bytes.get(4..name_end)?)?;
    Some((name, bytes.get(name_end..end)?.to_vec(), end))
}
