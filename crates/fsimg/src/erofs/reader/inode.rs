//! Inodes and their extended attributes.

use std::collections::BTreeMap;

use twinhull_tree::{DeviceNumber, Timestamp};

use super::{Reader, damaged, u16_at, u32_at, u64_at};
use crate::{ReadAt, Result};

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// An inode as it is in the image.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Node number.
    pub number: u64,
    /// Its own byte offset.
    pub offset: u64,
    /// What it is.
    pub kind: FileType,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Bytes of data.
    pub size: u64,
    /// Number of names.
    pub links: u32,
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

    /// The number of a device.
    pub fn device(&self) -> DeviceNumber {
        let n = self.union;
        DeviceNumber { major: n >> 8 & 0xfff, minor: n & 0xff | n >> 12 & 0xf_ff00 }
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
        let kind = match u16_at(&head, 4) & 0o170_000 {
            0o040_000 => FileType::Directory,
            0o100_000 => FileType::File,
            0o120_000 => FileType::Symlink,
            0o020_000 => FileType::CharDevice,
            0o060_000 => FileType::BlockDevice,
            0o010_000 => FileType::Fifo,
            0o140_000 => FileType::Socket,
            other => {
                return Err(damaged(offset, format!("inode {number} is of the unknown type {other:#o}")));
            }
        };
        let xattr_count = u64::from(u16_at(&head, 2));
        let mut inode = Inode {
            number,
            offset,
            kind,
            mode: u16_at(&head, 4) & 0o7777,
            uid: u32::from(u16_at(&head, 24)),
            gid: u32::from(u16_at(&head, 26)),
            mtime: Timestamp { secs: self.build_time.cast_signed(), nanos: 0 },
            size: u64::from(u32_at(&head, 8)),
            links: u32::from(u16_at(&head, 6)),
            layout,
            union: u32_at(&head, 16),
            len: 32,
            xattr_len: if xattr_count == 0 { 0 } else { 12 + (xattr_count - 1) * 4 },
        };
        if format & 1 == 1 {
            let more = self.bytes(offset, 64)?;
            inode.size = u64_at(&more, 8);
            inode.uid = u32_at(&more, 24);
            inode.gid = u32_at(&more, 28);
            inode.mtime = Timestamp { secs: u64_at(&more, 32).cast_signed(), nanos: u32_at(&more, 40) };
            inode.links = u32_at(&more, 44);
            inode.len = 64;
        }
        if inode.size > i64::MAX as u64 {
            return Err(damaged(offset, format!("inode {number} has the impossible size {}", inode.size)));
        }
        Ok(inode)
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
    let prefix: &[u8] = match bytes.get(1)? {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        _ => return None,
    };
    let name_end = 4 + usize::from(bytes[0]);
    let end = name_end + usize::from(u16_at(bytes.get(..4)?, 2));
    let name = [prefix, bytes.get(4..name_end)?].concat();
    Some((name, bytes.get(name_end..end)?.to_vec(), end))
}
