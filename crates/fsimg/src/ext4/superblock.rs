//! The superblock at byte 1024 (`struct ext4_super_block`).

use super::checksum::crc;
use super::groups::Groups;
use super::{BLOCK, FIRST_INODE, Options, inode};

/// Byte offset of the superblock.
pub(super) const OFFSET: usize = 1024;
/// Its size in bytes, the checksum last.
pub(super) const SIZE: usize = 1024;

pub(crate) const MAGIC: u16 = 0xef53;

const COMPAT_EXT_ATTR: u32 = 0x8;
const COMPAT_DIR_INDEX: u32 = 0x20;
/// Copies of the superblock are in the groups it names: none.
const COMPAT_SPARSE_SUPER2: u32 = 0x200;

pub(super) const INCOMPAT_FILETYPE: u32 = 0x2;
pub(super) const INCOMPAT_EXTENTS: u32 = 0x40;
pub(super) const INCOMPAT_FLEX_BG: u32 = 0x200;

const RO_COMPAT_LARGE_FILE: u32 = 0x2;
const RO_COMPAT_HUGE_FILE: u32 = 0x8;
const RO_COMPAT_DIR_NLINK: u32 = 0x20;
const RO_COMPAT_EXTRA_ISIZE: u32 = 0x40;
pub(super) const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// The kernel mounts it read-only, whatever it is asked for.
const RO_COMPAT_READONLY: u32 = 0x1000;

/// Mount with `user.` attributes and ACLs.
const DEFAULT_OPTIONS: u32 = 0x4 | 0x8;
/// Names are hashed as signed characters.
const SIGNED_HASH: u32 = 1;

/// The image's first block.
pub(super) fn encode(options: &Options, groups: &Groups, free_blocks: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK as usize];
    let sb = &mut block[OFFSET..OFFSET + SIZE];
    let mut put = |at: usize, bytes: &[u8]| sb[at..at + bytes.len()].copy_from_slice(bytes);
    let words = [
        (0x00, groups.count * groups.inodes_each),
        (0x04, groups.blocks),
        (0x0c, free_blocks + groups.spare()),
        (0x10, groups.free_inodes()),
        (0x18, 2), // block size: 1024 << 2
        (0x1c, 2), // cluster size
        (0x20, groups.blocks_each),
        (0x24, groups.blocks_each), // clusters in a group
        (0x28, groups.inodes_each),
        (0x4c, 1), // inodes have a size
        (0x54, u64::from(FIRST_INODE)),
        (0x100, u64::from(DEFAULT_OPTIONS)),
        // The time of creation; those of mounts and checks stay 0, "never".
        (0x108, options.build_time & 0xffff_ffff),
        (0x160, u64::from(SIGNED_HASH)),
    ];
    for (at, word) in words {
        put(at, &(word as u32).to_le_bytes());
    }
    put(0x36, &u16::MAX.to_le_bytes()); // no number of mounts asks for a check
    put(0x38, &MAGIC.to_le_bytes());
    put(0x3a, &1_u16.to_le_bytes()); // clean
    put(0x3c, &1_u16.to_le_bytes()); // go on after errors
    put(0x58, &(inode::SIZE as u16).to_le_bytes());
    put(0x5c, &(COMPAT_EXT_ATTR | COMPAT_DIR_INDEX | COMPAT_SPARSE_SUPER2).to_le_bytes());
    put(0x60, &(INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_FLEX_BG).to_le_bytes());
    let read_only = RO_COMPAT_LARGE_FILE
        | RO_COMPAT_HUGE_FILE
        | RO_COMPAT_DIR_NLINK
        | RO_COMPAT_EXTRA_ISIZE
        | RO_COMPAT_METADATA_CSUM
        | RO_COMPAT_READONLY;
    put(0x64, &read_only.to_le_bytes());
    put(0x68, &options.uuid);
    put(0xec, &options.uuid); // what names are hashed with
    put(0xfc, &[1]); // by half MD4
    for at in [0x15c, 0x15e] {
        put(at, &(inode::EXTRA as u16).to_le_bytes());
    }
    put(0x174, &[4, 1]); // 16 groups are a flexible one; checksums are CRC-32C
    put(0x276, &[(options.build_time >> 32) as u8]);
    let checksum = crc(!0, &sb[..SIZE - 4]);
    sb[SIZE - 4..].copy_from_slice(&checksum.to_le_bytes());
    block
}
