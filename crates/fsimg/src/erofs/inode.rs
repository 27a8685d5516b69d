//! Inodes and inline attributes as bytes.

use twinhull_tree::{Metadata, Node, Timestamp};

use crate::error::unsupported;
use crate::{Result, unix};

/// All data in whole blocks of its own.
pub(super) const FLAT_PLAIN: u16 = 0;
/// The last, partial block behind the inode.
pub(super) const FLAT_INLINE: u16 = 2;
/// Chunks of equal size, each with a block address or none, when it is a hole.
pub(super) const CHUNKS: u16 = 4;

/// The two sizes of inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 32 bytes; the time is the superblock's.
    Compact,
    /// 64 bytes.
    Extended,
}

impl Form {
    /// The smallest that can hold these values.
    pub(super) fn of(meta: &Metadata, size: u64, links: u32, build_time: u64) -> Self {
        let small = |n: u32| n <= u32::from(u16::MAX);
        let now = Timestamp { secs: build_time.cast_signed(), nanos: 0 };
        if meta.mtime == now
            && small(meta.uid)
            && small(meta.gid)
            && small(links)
            && size <= u64::from(u32::MAX)
        {
            Form::Compact
        } else {
            Form::Extended
        }
    }

    /// Length in bytes.
    pub(super) fn len(self) -> u64 {
        match self {
            Form::Compact => 32,
            Form::Extended => 64,
        }
    }
}

/// The fields of an inode that only the layout knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    /// Compact or extended.
    pub(super) form: Form,
    /// How the data is stored, [`FLAT_PLAIN`] for example.
    pub(super) data_layout: u16,
    /// First data block, number of compressed blocks, chunk format or device number.
    pub(super) union: u32,
    /// Length of the data in bytes.
    pub(super) size: u64,
    /// A number of its own, from 1.
    pub(super) number: u32,
    /// Number of names.
    pub(super) links: u32,
}

/// `struct erofs_inode_compact` or `struct erofs_inode_extended`.
pub(super) fn encode(node: &Node, place: &Placement, xattr_len: usize) -> Vec<u8> {
    let meta = &node.meta;
    let icount = if xattr_len == 0 { 0 } else { ((xattr_len - 12) / 4 + 1) as u16 };
    let version = u16::from(place.form == Form::Extended);
    let mut out = Vec::with_capacity(64);
    out.extend((version | place.data_layout << 1).to_le_bytes());
    out.extend(icount.to_le_bytes());
    out.extend((unix::types(&node.kind).0 | meta.mode & 0o7777).to_le_bytes());
    match place.form {
        Form::Compact => {
            out.extend((place.links as u16).to_le_bytes());
            out.extend((place.size as u32).to_le_bytes());
            out.extend([0; 4]);
            out.extend(place.union.to_le_bytes());
            out.extend(place.number.to_le_bytes());
            out.extend((meta.uid as u16).to_le_bytes());
            out.extend((meta.gid as u16).to_le_bytes());
            out.extend([0; 4]);
        }
        Form::Extended => {
            out.extend([0; 2]);
            out.extend(place.size.to_le_bytes());
            out.extend(place.union.to_le_bytes());
            out.extend(place.number.to_le_bytes());
            out.extend(meta.uid.to_le_bytes());
            out.extend(meta.gid.to_le_bytes());
            out.extend(meta.mtime.secs.to_le_bytes());
            out.extend(meta.mtime.nanos.to_le_bytes());
            out.extend(place.links.to_le_bytes());
            out.extend([0; 16]);
        }
    }
    assert_eq!(out.len() as u64, place.form.len());
    out
}

/// The inline attributes of an inode; empty when it has none. Length is a multiple of four.
pub(super) fn encode_xattrs(path: &[u8], meta: &Metadata) -> Result<Vec<u8>> {
    if meta.xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = vec![0; 12];
    for (name, value) in &meta.xattrs {
        let shown = String::from_utf8_lossy(name);
        let (suffix, index) = unix::split_attribute(path, name, "EROFS")?;
        let value_len = u16::try_from(value.len())
            .map_err(|_| unsupported(path, format!("the attribute {shown} has more than 65535 bytes")))?;
        out.extend([suffix.len() as u8, index]);
        out.extend(value_len.to_le_bytes());
        out.extend(suffix);
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    if (out.len() - 12) / 4 + 1 > usize::from(u16::MAX) {
        return Err(unsupported(path, "its attributes are larger than an EROFS inode can hold (256 KiB)"));
    }
    Ok(out)
}
