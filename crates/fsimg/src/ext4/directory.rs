//! Directories as bytes: one block of entries, or blocks by hash behind an index.
//!
//! A directory of one block is a list. A larger one is a hash tree, so that finding one of 100,000 names reads
//! three blocks and not a thousand. Programs that don't know the index see blocks of entries and one or more
//! that seem to be empty.

use super::checksum::crc;
use super::{BLOCK, hash};
use crate::Result;
use crate::error::unsupported;
use crate::numbered::Entry;

/// Bytes of an entry before its name.
const HEAD: usize = 8;
/// Bytes of the entry at the end of a block that holds its checksum, and its type.
const TAIL: usize = 12;
const TAIL_TYPE: u8 = 0xde;
/// Bytes of a block for entries.
const ROOM: usize = BLOCK as usize - TAIL;

/// Bytes of the root of an index and of its other nodes before their entries.
const ROOT_HEAD: usize = 32;
const NODE_HEAD: usize = 8;
/// Number of the hash function.
const HALF_MD4: u8 = 1;
const DIRECTORY: u8 = 2;

/// Numbers of a directory and the one it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub(super) own: u32,
    pub(super) parent: u32,
}

/// A directory's data.
#[derive(Debug)]
pub(super) struct Directory {
    /// Whole blocks.
    pub(super) bytes: Vec<u8>,
    /// Whether there is an index.
    pub(super) indexed: bool,
}

/// The data of the directory at `path`. `uuid` seeds the hashes of names, `seed` is the inode's checksum.
///
/// Returns [`crate::Error::Unsupported`] for too many names.
pub(super) fn encode(
    path: &[u8],
    names: Names,
    entries: &[Entry<'_>],
    uuid: &[u8; 16],
    seed: u32,
) -> Result<Directory> {
    let mut block = Block::default();
    block.push(names.own, b".", DIRECTORY);
    block.push(names.parent, b"..", DIRECTORY);
    let need: usize = entries.iter().map(|e| len(e.name)).sum();
    if block.bytes.len() + need <= ROOM {
        entries.iter().for_each(|e| block.push(super::number(e.target), e.name, e.file_type));
        return Ok(Directory { bytes: block.finish(seed), indexed: false });
    }
    let leaves = leaves(entries, uuid, seed);
    let (root, node) = ((BLOCK as usize - ROOT_HEAD) / 8 - 1, (BLOCK as usize - NODE_HEAD) / 8 - 1);
    let nodes = if leaves.len() > root { leaves.len().div_ceil(node) } else { 0 };
    if nodes > root {
        return Err(unsupported(
            path,
            format!("it has {} names, more than an index can find", entries.len()),
        ));
    }
    // The root, then the nodes if there are any, then the leaves.
    let places: Vec<(u32, u32)> =
        leaves.iter().zip(1 + nodes as u32..).map(|((hash, _), n)| (*hash, n)).collect();
    let chunks: Vec<&[(u32, u32)]> = places.chunks(if nodes > 0 { node } else { root }).collect();
    let above: Vec<(u32, u32)> = chunks.iter().zip(1..).map(|(chunk, n)| (chunk[0].0, n)).collect();
    let mut bytes = index(&root_head(names, nodes > 0), if nodes > 0 { &above } else { &places }, seed);
    if nodes > 0 {
        chunks.iter().for_each(|chunk| bytes.extend(index(&node_head(), chunk, seed)));
    }
    leaves.into_iter().for_each(|(_, leaf)| bytes.extend(leaf));
    Ok(Directory { bytes, indexed: true })
}

/// Bytes of an entry in the middle of a block.
fn len(name: &[u8]) -> usize {
    (HEAD + name.len()).next_multiple_of(4)
}

/// A block of entries that is being filled.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where the last entry begins.
    last: usize,
}

impl Block {
    fn push(&mut self, inode: u32, name: &[u8], file_type: u8) {
        self.last = self.bytes.len();
        self.bytes.extend(inode.to_le_bytes());
        self.bytes.extend((len(name) as u16).to_le_bytes());
        self.bytes.extend([name.len() as u8, file_type]);
        self.bytes.extend(name);
        self.bytes.resize(self.last + len(name), 0);
    }

    /// The whole block: the last entry reaches up to the checksum.
    fn finish(mut self, seed: u32) -> Vec<u8> {
        let reach = (ROOM - self.last) as u16;
        self.bytes[self.last + 4..self.last + 6].copy_from_slice(&reach.to_le_bytes());
        self.bytes.resize(ROOM, 0);
        let checksum = crc(seed, &self.bytes);
        self.bytes.extend([0, 0, 0, 0, TAIL as u8, 0, 0, TAIL_TYPE]);
        self.bytes.extend(checksum.to_le_bytes());
        self.bytes
    }
}

/// Blocks of entries in the order of their hashes, each with the hash the index has for it. That is odd for a
/// block which goes on with the hash that the one before ended with.
fn leaves(entries: &[Entry<'_>], uuid: &[u8; 16], seed: u32) -> Vec<(u32, Vec<u8>)> {
    let words: [u32; 4] = std::array::from_fn(|n| {
        u32::from_le_bytes([uuid[4 * n], uuid[4 * n + 1], uuid[4 * n + 2], uuid[4 * n + 3]])
    });
    let mut hashed: Vec<_> = entries.iter().map(|e| (hash::half_md4(e.name, words), e)).collect();
    hashed.sort_unstable_by_key(|(hash, e)| (*hash, e.name));
    let mut leaves = Vec::new();
    let (mut block, mut first, mut last) = (Block::default(), 0, 0);
    for ((hash, _), entry) in hashed {
        if block.bytes.len() + len(entry.name) > ROOM {
            leaves.push((first, std::mem::take(&mut block).finish(seed)));
            first = if hash == last { hash | 1 } else { hash };
        }
        block.push(super::number(entry.target), entry.name, entry.file_type);
        last = hash;
    }
    leaves.push((first, block.finish(seed)));
    leaves
}

/// `.` and `..`, behind which a list would have nothing, and `struct dx_root_info`.
fn root_head(names: Names, nodes: bool) -> Vec<u8> {
    let mut block = Block::default();
    block.push(names.own, b".", DIRECTORY);
    block.push(names.parent, b"..", DIRECTORY);
    let reach = (BLOCK as usize - block.last) as u16;
    block.bytes[block.last + 4..block.last + 6].copy_from_slice(&reach.to_le_bytes());
    block.bytes.extend([0, 0, 0, 0, HALF_MD4, 8, u8::from(nodes), 0]);
    block.bytes
}

/// An unused entry as long as the block.
fn node_head() -> Vec<u8> {
    let mut head = vec![0; NODE_HEAD];
    head[4..6].copy_from_slice(&(BLOCK as u16).to_le_bytes());
    head
}

/// A node of the index: `head`, `struct dx_countlimit` in the place of the first hash, hashes and block numbers.
fn index(head: &[u8], places: &[(u32, u32)], seed: u32) -> Vec<u8> {
    let mut out = head.to_vec();
    let room = (BLOCK as usize - head.len()) / 8 - 1;
    for (n, (hash, block)) in places.iter().enumerate() {
        if n == 0 {
            out.extend((room as u16).to_le_bytes());
            out.extend((places.len() as u16).to_le_bytes());
        } else {
            out.extend(hash.to_le_bytes());
        }
        out.extend(block.to_le_bytes());
    }
    // The checksum covers what is used and its own place as zeros, which lies behind all the room.
    let checksum = crc(crc(seed, &out), &[0; 8]);
    out.resize(BLOCK as usize - 4, 0);
    out.extend(checksum.to_le_bytes());
    out
}
