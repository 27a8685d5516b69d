//! Blocks one after the other, and the data of files in them.

use std::io::{Read, Write};

use twinhull_tree::{Content, Kind};

use super::extents::Extent;
use super::{BLOCK, block_number};
use crate::Result;
use crate::error::{shrunk, unsupported};
use crate::numbered::Numbered;

/// What is left out when it is all zeros, in bytes: small enough to find most zeros, and large enough for
/// extents to stay few.
const CHUNK: usize = 64 << 10;

/// Writes blocks, each behind the one before.
pub(super) struct Blocks<'w, W> {
    out: &'w mut W,
    next: u64,
}

impl<'w, W: Write> Blocks<'w, W> {
    /// Begins with `first` blocks of zeros at the current position of `out`, which block 0 is at.
    pub(super) fn new(out: &'w mut W, first: u64) -> Result<Self> {
        let mut blocks = Blocks { out, next: 0 };
        blocks.zeros(first)?;
        Ok(blocks)
    }

    /// Number of the next block.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Writes `bytes`, padded to whole blocks.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Extent> {
        let len = (bytes.len() as u64).div_ceil(BLOCK);
        self.out.write_all(bytes)?;
        let padding = (len * BLOCK) as usize - bytes.len();
        self.out.write_all(&[0; BLOCK as usize][..padding])?;
        let start = block_number(self.next)?;
        self.next += len;
        block_number(self.next)?;
        Ok(Extent { logical: 0, start, len: block_number(len)? })
    }

    /// Writes `count` blocks of zeros.
    pub(super) fn zeros(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| self.put(&[0; BLOCK as usize]).map(drop))
    }
}

/// Writes the data of all files, and returns the extents of every inode; only files have any yet.
pub(super) fn write<W: Write>(
    inodes: &[Numbered<'_>],
    blocks: &mut Blocks<'_, W>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Vec<Extent>>> {
    let mut done = 0;
    let mut all = Vec::with_capacity(inodes.len());
    for found in inodes {
        let Kind::File(data) = &found.node.kind else {
            all.push(Vec::new());
            continue;
        };
        all.push(file(&found.path, &data.content, blocks)?);
        done += data.content.len();
        progress(done);
    }
    Ok(all)
}

fn file<W: Write>(path: &[u8], content: &Content, blocks: &mut Blocks<'_, W>) -> Result<Vec<Extent>> {
    let size = content.len();
    if size.div_ceil(BLOCK) > u64::from(u32::MAX) {
        return Err(unsupported(path, "it is larger than the 16 TiB that a file of ext4 can have"));
    }
    let mut extents: Vec<Extent> = Vec::new();
    let mut buffer = vec![0; CHUNK.min(size as usize)];
    let mut reader = content.open()?;
    let mut at = 0;
    while at < size {
        let chunk = &mut buffer[..(CHUNK as u64).min(size - at) as usize];
        reader.read_exact(chunk).map_err(|e| shrunk(path, e))?;
        if chunk.iter().any(|b| *b != 0) {
            let new = Extent { logical: (at / BLOCK) as u32, ..blocks.put(chunk)? };
            match extents.last_mut() {
                Some(last) if last.logical + last.len == new.logical => last.len += new.len,
                _ => extents.push(new),
            }
        }
        at += chunk.len() as u64;
    }
    Ok(extents)
}
