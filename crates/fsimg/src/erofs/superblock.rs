//! The superblock at byte 1024 (`struct erofs_super_block`) and the records behind it.

use super::codec::Compression;
use super::{BLOCK, Options};

/// Byte offset of the superblock.
pub(super) const OFFSET: usize = 1024;
/// Its size in bytes.
pub(super) const SIZE: usize = 128;

pub(crate) const MAGIC: u32 = 0xE0F5_E1E2;
pub(super) const COMPAT_SB_CHKSUM: u32 = 0x1;
const COMPAT_MTIME: u32 = 0x2;

/// Padding of compressed data comes before it.
pub(super) const INCOMPAT_ZERO_PADDING: u32 = 0x1;
/// There are records of compression parameters, and clusters of several blocks.
pub(super) const INCOMPAT_COMPRESSION: u32 = 0x2;
/// Some file is stored in chunks.
pub(super) const INCOMPAT_CHUNKS: u32 = 0x4;

/// What the superblock says besides the [`Options`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// First block of the metadata.
    pub(super) metadata: u32,
    /// The root directory's node number.
    pub(super) root: u16,
    /// Number of inodes.
    pub(super) inodes: u64,
    /// Length of the image in blocks.
    pub(super) blocks: u32,
    /// Whether there are files in chunks.
    pub(super) chunks: bool,
}

/// The image's first block.
pub(super) fn encode(options: &Options<'_>, facts: &Facts) -> Vec<u8> {
    let mut incompat = if facts.chunks { INCOMPAT_CHUNKS } else { 0 };
    if options.compression.is_some() {
        incompat |= INCOMPAT_ZERO_PADDING | INCOMPAT_COMPRESSION;
    }
    let algorithms = options.compression.map_or(0, |c| 1_u16 << c.algorithm.id());
    let mut sb = vec![0; OFFSET];
    sb.extend(MAGIC.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // checksum, below
    sb.extend((COMPAT_SB_CHKSUM | COMPAT_MTIME).to_le_bytes());
    sb.push(BLOCK.trailing_zeros() as u8);
    sb.push(0); // extension slots
    sb.extend(facts.root.to_le_bytes());
    sb.extend(facts.inodes.to_le_bytes());
    sb.extend(options.build_time.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // nanoseconds of the build time
    sb.extend(facts.blocks.to_le_bytes());
    sb.extend(facts.metadata.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // no shared attributes
    sb.extend(options.uuid);
    sb.extend([0; 16]); // no volume name
    sb.extend(incompat.to_le_bytes());
    sb.extend(algorithms.to_le_bytes());
    sb.resize(OFFSET + SIZE, 0);
    if let Some(record) = options.compression.as_ref().map(Compression::record) {
        sb.extend((record.len() as u16).to_le_bytes());
        sb.extend(record);
    }
    sb.resize(BLOCK as usize, 0);
    // The kernel's crc32c has no final inversion.
    let checksum = !crc32c::crc32c(&sb[OFFSET..]);
    sb[OFFSET + 4..OFFSET + 8].copy_from_slice(&checksum.to_le_bytes());
    sb
}
