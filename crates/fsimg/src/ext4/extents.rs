//! Where the blocks of a file are: runs in the inode, or in a tree of blocks when there are more than four.

use std::io::Write;

use super::checksum::crc;
use super::data::Blocks;
use super::{BLOCK, inode};
use crate::Result;

/// First word of every node.
pub(super) const MAGIC: u16 = 0xf30a;
/// Bytes of a node's header, and of each entry.
pub(super) const ENTRY: usize = 12;
/// Most blocks in one extent; more would mark it as not written to.
const MAX_LEN: u32 = 32_768;
/// Entries that an inode and a block hold.
const IN_INODE: usize = inode::MAP / ENTRY - 1;
const IN_BLOCK: usize = BLOCK as usize / ENTRY - 1;

/// Blocks that follow each other in file and image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// First block in the file.
    pub(super) logical: u32,
    /// First block in the image.
    pub(super) start: u32,
    /// Number of blocks.
    pub(super) len: u32,
}

/// The entry of a node, and the first block of the file it is about.
type Entry = (u32, [u8; ENTRY]);

/// Writes the tree of `extents`, and returns its root as an inode has it. `seed` is the inode's checksum.
pub(super) fn write<W: Write>(
    extents: &[Extent],
    seed: u32,
    blocks: &mut Blocks<'_, W>,
) -> Result<[u8; inode::MAP]> {
    let mut entries: Vec<Entry> = extents.iter().flat_map(leaves).collect();
    let mut depth = 0;
    while entries.len() > IN_INODE {
        let mut above = Vec::new();
        for below in entries.chunks(IN_BLOCK) {
            let mut block = node(below, IN_BLOCK, depth);
            block.resize(ENTRY * (IN_BLOCK + 1), 0);
            block.extend(crc(seed, &block).to_le_bytes());
            above.push(index(below[0].0, blocks.put(&block)?.start));
        }
        entries = above;
        depth += 1;
    }
    let mut root = [0; inode::MAP];
    let bytes = node(&entries, IN_INODE, depth);
    root[..bytes.len()].copy_from_slice(&bytes);
    Ok(root)
}

/// `struct ext4_extent_header` and the entries.
fn node(entries: &[Entry], room: usize, depth: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK as usize);
    for word in [MAGIC, entries.len() as u16, room as u16, depth] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0; 4]); // generation
    entries.iter().for_each(|(_, bytes)| out.extend(bytes));
    out
}

/// `struct ext4_extent`, one for every 128 MiB.
fn leaves(extent: &Extent) -> impl Iterator<Item = Entry> {
    let Extent { logical, start, len } = *extent;
    (0..len).step_by(MAX_LEN as usize).map(move |at| {
        let mut out = [0; ENTRY];
        out[..4].copy_from_slice(&(logical + at).to_le_bytes());
        out[4..6].copy_from_slice(&((len - at).min(MAX_LEN) as u16).to_le_bytes());
        out[8..].copy_from_slice(&(start + at).to_le_bytes());
        (logical + at, out)
    })
}

/// `struct ext4_extent_idx`.
fn index(logical: u32, block: u32) -> Entry {
    let mut out = [0; ENTRY];
    out[..4].copy_from_slice(&logical.to_le_bytes());
    out[4..8].copy_from_slice(&block.to_le_bytes());
    (logical, out)
}
