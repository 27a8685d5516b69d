//! Block groups: how many there are, their bitmaps, inodes and descriptors.
//!
//! All bitmaps lie together at the image's end, and behind them all inodes, as if there were one group.

use std::io::Write;
use std::ops::Range;

use super::checksum::{Checksums, crc};
use super::data::Blocks;
use super::{BLOCK, FIRST_INODE, ROOT, block_number, inode};
use crate::Result;

/// Blocks or inodes that a bitmap is for, at most.
const BITS: u64 = BLOCK * 8;
/// Bytes of a descriptor.
const DESCRIPTOR: usize = 32;
/// Inodes in a block.
const INODES: u64 = BLOCK / inode::SIZE as u64;
/// The inodes' blocks have been written, so the kernel need not do it.
const ZEROED: u16 = 4;

/// How an image is divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    /// Number of groups.
    pub(super) count: u64,
    /// Blocks in each but the last.
    pub(super) blocks_each: u64,
    /// Inodes in each.
    pub(super) inodes_each: u64,
    /// Blocks of the whole image.
    pub(super) blocks: u64,
    /// Inodes in use, reserved ones among them.
    pub(super) inodes: u64,
    /// First block behind the content.
    content: u64,
}

impl Groups {
    /// The fewest groups for `content` blocks before the bitmaps and `inodes` inodes.
    pub(super) fn plan(content: u64, inodes: u64) -> Result<Self> {
        let mut count = inodes.div_ceil(BITS).max(1);
        loop {
            let inodes_each = inodes.div_ceil(count).next_multiple_of(INODES);
            let blocks = content + count * (2 + inodes_each / INODES);
            let needed = blocks.div_ceil(BITS);
            if needed > count {
                count = needed;
                continue;
            }
            // Many small files need more groups than blocks do, so that there are inodes enough: smaller groups.
            let blocks_each = if needed == count { BITS } else { blocks.div_ceil(count).next_multiple_of(8) };
            let blocks = blocks.max((count - 1) * blocks_each + 1);
            block_number(blocks)?;
            return Ok(Groups { count, blocks_each, inodes_each, blocks, inodes, content });
        }
    }

    /// Blocks that the descriptors take.
    pub(super) fn descriptor_blocks(&self) -> u64 {
        (self.count * DESCRIPTOR as u64).div_ceil(BLOCK)
    }

    /// Number of inodes that are not in use.
    pub(super) fn free_inodes(&self) -> u64 {
        self.count * self.inodes_each - self.inodes
    }

    /// First block behind the last inode.
    fn end(&self) -> u64 {
        self.content + self.count * (2 + self.inodes_each / INODES)
    }

    /// Blocks at the end that only make the last group long enough to be one.
    pub(super) fn spare(&self) -> u64 {
        self.blocks - self.end()
    }

    /// The blocks of group `n`.
    fn range(&self, n: u64) -> Range<u64> {
        n * self.blocks_each..((n + 1) * self.blocks_each).min(self.blocks)
    }
}

/// Writes bitmaps and inodes, and returns the descriptors. `free` are the blocks not in use, `table` is all
/// inodes, and `directories` says which of the unreserved ones and the root, which is first, are directories.
pub(super) fn write<W: Write>(
    groups: &Groups,
    free: Range<u64>,
    table: &[u8],
    directories: impl Iterator<Item = bool>,
    checksums: &Checksums,
    blocks: &mut Blocks<'_, W>,
) -> Result<Vec<u8>> {
    let mut directories_of = vec![0_u16; groups.count as usize];
    for (index, is_directory) in directories.enumerate() {
        let number = if index == 0 { ROOT } else { FIRST_INODE - 1 + index as u32 };
        directories_of[((u64::from(number) - 1) / groups.inodes_each) as usize] += u16::from(is_directory);
    }
    let tables = groups.content + 2 * groups.count;
    let table_blocks = groups.inodes_each / INODES;
    let mut descriptors = Vec::new();
    for n in 0..groups.count {
        let range = groups.range(n);
        let is_free = |block: u64| free.contains(&block) || block >= groups.end();
        let free_blocks = range.clone().filter(|b| is_free(*b)).count() as u64;
        let used = bitmap(|bit| bit >= range.end - range.start || !is_free(range.start + bit));
        let first = n * groups.inodes_each;
        let used_inodes = groups.inodes.saturating_sub(first).min(groups.inodes_each);
        let inodes = bitmap(|bit| bit < used_inodes || bit >= groups.inodes_each);
        let unused = (groups.inodes_each - used_inodes) as u16;
        let block_sum = checksums.of(&used[..(groups.blocks_each / 8) as usize]) as u16;
        let inode_sum = checksums.of(&inodes[..(groups.inodes_each / 8) as usize]) as u16;
        let mut out = Vec::with_capacity(DESCRIPTOR);
        for place in [blocks.next(), blocks.next() + 1, tables + n * table_blocks] {
            out.extend(block_number(place)?.to_le_bytes());
        }
        for word in [free_blocks as u16, unused, directories_of[n as usize], ZEROED] {
            out.extend(word.to_le_bytes());
        }
        out.extend([0; 4]); // no snapshot
        for word in [block_sum, inode_sum, unused, 0] {
            out.extend(word.to_le_bytes());
        }
        let sum = crc(checksums.of(&(n as u32).to_le_bytes()), &out) as u16;
        out[DESCRIPTOR - 2..].copy_from_slice(&sum.to_le_bytes());
        descriptors.extend(out);
        blocks.put(&used)?;
        blocks.put(&inodes)?;
    }
    blocks.put(table)?;
    blocks.zeros(groups.blocks - blocks.next())?;
    Ok(descriptors)
}

/// A block of bits.
fn bitmap(is_set: impl Fn(u64) -> bool) -> Vec<u8> {
    let byte = |n: u64| (0..8).filter(|bit| is_set(n * 8 + bit)).fold(0, |byte, bit| byte | 1 << bit);
    (0..BLOCK).map(byte).collect()
}
