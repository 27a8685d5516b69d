//! The data of files.

use std::collections::HashSet;
use std::io::{self, Read};

use super::{Inode, Reader, damaged, u16_at, u32_at};
use crate::ext4::extents::{ENTRY, MAGIC};
use crate::ext4::inode::EXTENTS;
use crate::{FileType, ReadAt, Result};

/// Deepest tree of extents.
const MAX_DEPTH: u16 = 5;
/// An extent with more blocks has not been written to: its data is zeros.
const WRITTEN: u64 = 32_768;
/// Most bytes that are read at once.
const STEP: u64 = 1 << 20;

/// Bytes of a file that follow each other in the image, or are zeros.
#[derive(Debug, Clone, Copy)]
struct Run {
    len: u64,
    /// Where they are in the image.
    at: Option<u64>,
}

/// Reads the data of one inode from start to end.
#[derive(Debug)]
pub struct FileReader<'a, R> {
    reader: &'a Reader<R>,
    /// What is still to come, last first.
    runs: Vec<Run>,
    /// Bytes at hand, and how many of them have been handed out.
    buffer: Vec<u8>,
    used: usize,
}

impl<R: ReadAt> Reader<R> {
    /// A reader over the data of a file, directory or symbolic link.
    ///
    /// Returns [`crate::Error::Damaged`] for extents that aren't sound.
    pub fn open(&self, inode: &Inode) -> Result<FileReader<'_, R>> {
        let short = inode.kind == FileType::Symlink && inode.flags & EXTENTS == 0;
        let (mut runs, mut buffer) = (Vec::new(), Vec::new());
        if short {
            let target = usize::try_from(inode.size).ok().and_then(|len| inode.map.get(..len));
            let bad = || damaged(inode.offset, "the link doesn't fit the inode it is said to be in".into());
            buffer = target.ok_or_else(bad)?.to_vec();
        } else {
            runs = self.runs(inode)?;
            runs.reverse();
        }
        Ok(FileReader { reader: self, runs, buffer, used: 0 })
    }

    /// Where in the image the data of `inode` is, as byte offsets and lengths of whole blocks; nothing for holes
    /// and for what lies in the inode.
    ///
    /// Returns [`crate::Error::Damaged`] for extents that aren't sound.
    pub fn places(&self, inode: &Inode) -> Result<Vec<(u64, u64)>> {
        let runs = if inode.flags & EXTENTS == 0 { Vec::new() } else { self.runs(inode)? };
        let place = |run: &Run| Some((run.at?, run.len.next_multiple_of(self.block)));
        Ok(runs.iter().filter_map(place).collect())
    }

    /// The runs of an inode's data, in the data's order, holes among them.
    fn runs(&self, inode: &Inode) -> Result<Vec<Run>> {
        if !matches!(inode.kind, FileType::Directory | FileType::File | FileType::Symlink) {
            return Ok(Vec::new());
        }
        if inode.flags & EXTENTS == 0 && inode.size > 0 {
            let reason =
                format!("inode {} isn't stored in extents, the only way this reader knows", inode.number);
            return Err(damaged(inode.offset, reason));
        }
        let mut runs = Vec::new();
        let mut done = 0;
        for (first, len, at) in self.extents(inode)? {
            let start = (first * self.block).min(inode.size);
            let end = ((first + len) * self.block).min(inode.size);
            if start > done {
                runs.push(Run { len: start - done, at: None });
            }
            if end > start {
                runs.push(Run { len: end - start, at });
            }
            done = end.max(done);
        }
        if inode.size > done {
            runs.push(Run { len: inode.size - done, at: None });
        }
        Ok(runs)
    }

    /// First block in the file, number of blocks, and byte offset in the image of every extent, in order.
    fn extents(&self, inode: &Inode) -> Result<Vec<(u64, u64, Option<u64>)>> {
        let bad = |reason: &str| damaged(inode.offset, format!("in the extents here, {reason}"));
        let mut found = Vec::new();
        if inode.flags & EXTENTS == 0 {
            return Ok(found);
        }
        let (mut next, mut seen) = (0, HashSet::new());
        // Blocks to be read with the depth they must have, the next one last; the root is in the inode.
        let mut todo: Vec<(u64, u16)> = Vec::new();
        let mut node = inode.map.to_vec();
        let mut depth = u16_at(&node, 6);
        loop {
            let count = usize::from(u16_at(&node, 2));
            let sound = u16_at(&node, 0) == MAGIC && u16_at(&node, 6) == depth && depth <= MAX_DEPTH;
            let entries = node.get(ENTRY..ENTRY * (count + 1)).filter(|_| sound);
            let entries =
                entries.ok_or_else(|| bad("there is a node that can't be one"))?.chunks_exact(ENTRY);
            if depth > 0 {
                let below = |e: &[u8]| u64::from(u32_at(e, 4)) | u64::from(u16_at(e, 8)) << 32;
                todo.extend(entries.rev().map(|e| (below(e), depth - 1)));
            } else {
                for entry in entries {
                    let (first, len) = (u64::from(u32_at(entry, 0)), u64::from(u16_at(entry, 4)));
                    let start = u64::from(u32_at(entry, 8)) | u64::from(u16_at(entry, 6)) << 32;
                    let written = len <= WRITTEN;
                    let len = if written { len } else { len - WRITTEN };
                    if len == 0 || first < next {
                        return Err(bad("they are empty or out of order"));
                    }
                    next = first + len;
                    let at = if written { Some(self.block_offset(start)?) } else { None };
                    found.push((first, len, at));
                }
            }
            let Some((block, below)) = todo.pop() else { break };
            if !seen.insert(block) {
                return Err(bad("a node is there twice"));
            }
            node = self.bytes(self.block_offset(block)?, self.block)?;
            depth = below;
        }
        Ok(found)
    }
}

impl<R: ReadAt> Read for FileReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.used == self.buffer.len() {
            let Some(run) = self.runs.pop() else { return Ok(0) };
            let now = run.len.min(STEP);
            if now < run.len {
                self.runs.push(Run { len: run.len - now, at: run.at.map(|at| at + now) });
            }
            self.used = 0;
            self.buffer = match run.at {
                Some(at) => self.reader.bytes(at, now),
                None => Ok(vec![0; now as usize]),
            }
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        }
        let ready = &self.buffer[self.used..];
        let count = ready.len().min(buf.len());
        buf[..count].copy_from_slice(&ready[..count]);
        self.used += count;
        Ok(count)
    }
}
