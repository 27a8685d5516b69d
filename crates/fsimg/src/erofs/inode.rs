//! Inodes, directory entries and inline attributes as bytes.

use twinhull_tree::{DeviceNumber, Kind, Metadata, Node};

use super::BLOCK;
use crate::Result;
use crate::error::unsupported;

/// Size of an extended inode in bytes.
pub(super) const INODE_SIZE: usize = 64;

/// All data in whole blocks of its own.
pub(super) const FLAT_PLAIN: u16 = 0;
/// The last, partial block behind the inode.
pub(super) const FLAT_INLINE: u16 = 2;

/// File type bits and directory entry type of a kind.
pub(super) fn types(kind: &Kind) -> (u16, u8) {
    match kind {
        Kind::File(_) => (0o100_000, 1),
        Kind::Directory(_) => (0o040_000, 2),
        Kind::CharDevice(_) => (0o020_000, 3),
        Kind::BlockDevice(_) => (0o060_000, 4),
        Kind::Fifo => (0o010_000, 5),
        Kind::Socket => (0o140_000, 6),
        Kind::Symlink(_) => (0o120_000, 7),
    }
}

/// The fields of an inode that only the layout knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    /// [`FLAT_PLAIN`] or [`FLAT_INLINE`].
    pub(super) data_layout: u16,
    /// First data block, or the device number.
    pub(super) union: u32,
    /// Length of the data in bytes.
    pub(super) size: u64,
    /// Number shown as `st_ino`, from 1.
    pub(super) number: u32,
    /// Number of names.
    pub(super) links: u32,
}

/// `struct erofs_inode_extended`.
pub(super) fn encode(node: &Node, place: &Placement, xattr_len: usize) -> [u8; INODE_SIZE] {
    let meta = &node.meta;
    let mut out = [0; INODE_SIZE];
    let icount = if xattr_len == 0 { 0 } else { ((xattr_len - 12) / 4 + 1) as u16 };
    out[0..2].copy_from_slice(&(1 | place.data_layout << 1).to_le_bytes());
    out[2..4].copy_from_slice(&icount.to_le_bytes());
    out[4..6].copy_from_slice(&(types(&node.kind).0 | meta.mode & 0o7777).to_le_bytes());
    out[8..16].copy_from_slice(&place.size.to_le_bytes());
    out[16..20].copy_from_slice(&place.union.to_le_bytes());
    out[20..24].copy_from_slice(&place.number.to_le_bytes());
    out[24..28].copy_from_slice(&meta.uid.to_le_bytes());
    out[28..32].copy_from_slice(&meta.gid.to_le_bytes());
    out[32..40].copy_from_slice(&meta.mtime.secs.to_le_bytes());
    out[40..44].copy_from_slice(&meta.mtime.nanos.to_le_bytes());
    out[44..48].copy_from_slice(&place.links.to_le_bytes());
    out
}

/// A device number as the kernel's `new_encode_dev` packs it.
pub(super) fn encode_device(device: DeviceNumber) -> u32 {
    (device.minor & 0xff) | (device.major & 0xfff) << 8 | (device.minor & !0xff) << 12
}

/// The inline attributes of an inode; empty when it has none. Length is a multiple of four.
pub(super) fn encode_xattrs(path: &[u8], meta: &Metadata) -> Result<Vec<u8>> {
    const PREFIXES: [(&[u8], u8); 5] = [
        (b"system.posix_acl_access", 2),
        (b"system.posix_acl_default", 3),
        (b"user.", 1),
        (b"trusted.", 4),
        (b"security.", 6),
    ];
    if meta.xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = vec![0; 12];
    for (name, value) in &meta.xattrs {
        let shown = String::from_utf8_lossy(name);
        let (suffix, index) = PREFIXES
            .iter()
            .find_map(|(prefix, index)| Some((name.strip_prefix(*prefix)?, *index)))
            .ok_or_else(|| unsupported(path, format!("EROFS has no name space for the attribute {shown}")))?;
        let name_len = u8::try_from(suffix.len())
            .map_err(|_| unsupported(path, format!("the attribute name {shown} is too long")))?;
        let value_len = u16::try_from(value.len())
            .map_err(|_| unsupported(path, format!("the attribute {shown} has more than 65535 bytes")))?;
        out.extend([name_len, index]);
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

/// One directory entry before it is packed.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Name in the directory.
    pub(super) name: &'a [u8],
    /// Index into the plan's inodes.
    pub(super) target: usize,
    /// Directory entry type.
    pub(super) file_type: u8,
}

const DIRENT: usize = 12;

/// How many of `entries` fit the first block, always at least one.
fn take_block(entries: &[Entry<'_>]) -> usize {
    let mut used = 0;
    for (n, entry) in entries.iter().enumerate() {
        used += DIRENT + entry.name.len();
        if used > BLOCK as usize {
            return n;
        }
    }
    entries.len()
}

/// Length in bytes of a directory's data: whole blocks, the last one cut behind its last name.
pub(super) fn directory_size(mut entries: &[Entry<'_>]) -> u64 {
    let mut size = 0;
    while !entries.is_empty() {
        let (now, rest) = entries.split_at(take_block(entries));
        size += if rest.is_empty() {
            now.iter().map(|e| DIRENT + e.name.len()).sum::<usize>() as u64
        } else {
            BLOCK
        };
        entries = rest;
    }
    size
}

/// A directory's data; `nid` gives the node number of an inode by its index in the plan.
pub(super) fn encode_directory(mut entries: &[Entry<'_>], nid: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut out = Vec::new();
    while !entries.is_empty() {
        let (now, rest) = entries.split_at(take_block(entries));
        let start = out.len();
        let mut name_offset = now.len() * DIRENT;
        for entry in now {
            out.extend(nid(entry.target).to_le_bytes());
            out.extend((name_offset as u16).to_le_bytes());
            out.extend([entry.file_type, 0]);
            name_offset += entry.name.len();
        }
        for entry in now {
            out.extend(entry.name);
        }
        if !rest.is_empty() {
            out.resize(start + BLOCK as usize, 0);
        }
        entries = rest;
    }
    out
}
