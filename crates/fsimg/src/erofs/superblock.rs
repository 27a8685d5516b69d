//! The 128-byte superblock at byte 1024 (`struct erofs_super_block`).

use super::{BLOCK, Options};

/// Byte offset of the superblock.
pub(super) const OFFSET: usize = 1024;
/// Its size in bytes.
pub(super) const SIZE: usize = 128;

const MAGIC: u32 = 0xE0F5_E1E2;
const COMPAT_SB_CHKSUM: u32 = 0x1;
const COMPAT_MTIME: u32 = 0x2;

/// Fills in the superblock in `first`, the image's first block, and the block's checksum.
///
/// `root` is the root directory's node number, `blocks` the image's length in blocks.
pub(super) fn fill(first: &mut [u8], options: &Options, root: u16, inodes: u64, blocks: u32) {
    let mut sb = Vec::with_capacity(SIZE);
    sb.extend(MAGIC.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // checksum, below
    sb.extend((COMPAT_SB_CHKSUM | COMPAT_MTIME).to_le_bytes());
    sb.push(BLOCK.trailing_zeros() as u8);
    sb.push(0); // extension slots
    sb.extend(root.to_le_bytes());
    sb.extend(inodes.to_le_bytes());
    sb.extend(options.build_time.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // nanoseconds of the build time
    sb.extend(blocks.to_le_bytes());
    sb.extend(0_u32.to_le_bytes()); // metadata starts at block 0
    sb.extend(0_u32.to_le_bytes()); // no shared attributes
    sb.extend(options.uuid);
    sb.resize(SIZE, 0);
    first[OFFSET..OFFSET + SIZE].copy_from_slice(&sb);
    // The kernel's crc32c has no final inversion.
    let checksum = !crc32c::crc32c(&first[OFFSET..]);
    first[OFFSET + 4..OFFSET + 8].copy_from_slice(&checksum.to_le_bytes());
}
