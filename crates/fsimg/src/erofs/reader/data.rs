//! The data of files, however it is stored.

use std::collections::HashSet;
use std::io::{self, Read};

use super::extents::Extent;
use super::{Inode, Reader, damaged, u32_at};
use crate::erofs::index::COMPRESSED_COMPACT;
use crate::erofs::inode::{CHUNKS, FLAT_INLINE, FLAT_PLAIN};
use crate::erofs::{BLOCK, codec};
use crate::{ReadAt, Result};

/// Data layout of an inode with eight bytes an entry.
const COMPRESSED_FULL: u16 = 1;

/// Largest list of chunks that is read, in bytes.
const MAX_CHUNKS: u64 = 64 << 20;

/// A chunk that is a hole.
const HOLE: u32 = u32::MAX;

/// Most bytes that are read at once.
const STEP: u64 = 1 << 20;

/// Reads the data of one inode from start to end.
#[derive(Debug)]
pub struct FileReader<'a, R> {
    reader: &'a Reader<R>,
    /// What is still to come, last first.
    runs: Vec<Extent>,
    /// Bytes of the current run, and how many of them have been handed out.
    buffer: Vec<u8>,
    used: usize,
}

impl<R: ReadAt> Reader<R> {
    /// A reader over the data of a file, directory or symbolic link.
    ///
    /// Returns [`crate::Error::Damaged`] for an index that isn't sound. Damage in the data itself is an
    /// `InvalidData` or `UnexpectedEof` when it is reached.
    pub fn open(&self, inode: &Inode) -> Result<FileReader<'_, R>> {
        let mut runs = self.runs(inode)?;
        runs.reverse();
        Ok(FileReader { reader: self, runs, buffer: Vec::new(), used: 0 })
    }

    /// Where in the image the data of `inode` is, as byte offsets and lengths: whole blocks, but the tail of a
    /// file that lies behind its inode; nothing for holes, a place once. Files with the same data may share one.
    ///
    /// Returns [`crate::Error::Damaged`] for an index that isn't sound.
    pub fn places(&self, inode: &Inode) -> Result<Vec<(u64, u64)>> {
        let whole_blocks = |run: &Extent| match inode.layout {
            FLAT_INLINE if run.at == inode.end() => run.stored,
            _ => run.stored.next_multiple_of(BLOCK),
        };
        let mut seen = HashSet::new();
        let runs = self.runs(inode)?;
        let runs = runs.iter().filter(|r| r.stored > 0 && seen.insert(r.at));
        Ok(runs.map(|r| (r.at, whole_blocks(r))).collect())
    }

    /// The runs of an inode's data, in the data's order.
    fn runs(&self, inode: &Inode) -> Result<Vec<Extent>> {
        let mut runs = match inode.layout {
            FLAT_PLAIN => vec![plain(0, inode.size, u64::from(inode.union) * BLOCK)],
            FLAT_INLINE => {
                let tail = inode.size % BLOCK;
                let whole = inode.size - tail;
                vec![plain(0, whole, u64::from(inode.union) * BLOCK), plain(whole, tail, inode.end())]
            }
            CHUNKS => self.chunks(inode)?,
            COMPRESSED_FULL | COMPRESSED_COMPACT if inode.size > 0 => self.extents(inode)?,
            _ => Vec::new(),
        };
        runs.retain(|r| r.len > 0);
        Ok(runs)
    }

    /// One run for every chunk; holes have no bytes in the image.
    fn chunks(&self, inode: &Inode) -> Result<Vec<Extent>> {
        let bad = |reason: &str| damaged(inode.offset, format!("in the list of chunks here, {reason}"));
        if inode.union & !0x1f != 0 || inode.union > 31 {
            return Err(bad("there are features this reader doesn't know"));
        }
        let chunk = BLOCK << inode.union;
        let len = inode.size.div_ceil(chunk) * 4;
        if len > MAX_CHUNKS {
            return Err(bad("there are more chunks than this reader takes"));
        }
        let list = self.bytes(inode.end().next_multiple_of(4), len)?;
        Ok(list
            .chunks_exact(4)
            .enumerate()
            .map(|(n, entry)| {
                let (block, start) = (u32_at(entry, 0), n as u64 * chunk);
                let len = chunk.min(inode.size - start);
                let hole = Extent { stored: 0, ..plain(start, len, 0) };
                if block == HOLE { hole } else { plain(start, len, u64::from(block) * BLOCK) }
            })
            .collect())
    }
}

/// Data that is stored as it is.
fn plain(start: u64, len: u64, at: u64) -> Extent {
    Extent { start, len, at, stored: len, algorithm: None }
}

impl<R: ReadAt> FileReader<'_, R> {
    /// Fills the buffer from the next run, or from a piece of it.
    fn load(&mut self, run: Extent) -> Result<()> {
        self.used = 0;
        self.buffer.clear();
        match run.algorithm {
            None => {
                let now = run.len.min(STEP);
                if run.stored == 0 {
                    self.buffer.resize(now as usize, 0);
                } else {
                    self.buffer = self.reader.bytes(run.at, now)?;
                }
                if now < run.len {
                    let stored = if run.stored == 0 { 0 } else { run.len - now };
                    let rest = Extent {
                        start: run.start + now,
                        len: run.len - now,
                        at: run.at + now,
                        stored,
                        ..run
                    };
                    self.runs.push(rest);
                }
            }
            Some(algorithm) => {
                let stored = self.reader.bytes(run.at, run.stored)?;
                self.buffer.resize(run.len as usize, 0);
                codec::decompress(algorithm, &stored, &mut self.buffer)
                    .map_err(|e| damaged(run.at, e.to_string()))?;
            }
        }
        Ok(())
    }
}

impl<R: ReadAt> Read for FileReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.used == self.buffer.len() {
            let Some(run) = self.runs.pop() else { return Ok(0) };
            self.load(run).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        }
        let ready = &self.buffer[self.used..];
        let count = ready.len().min(buf.len());
        buf[..count].copy_from_slice(&ready[..count]);
        self.used += count;
        Ok(count)
    }
}
