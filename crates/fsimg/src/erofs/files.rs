//! The data of all files, in the order of the tree: read, packed by all processors, written in one pass.
//!
//! Files with the same content share their blocks. The order is the walk of the tree, names in byte order,
//! and nothing but a file's own content decides how it is packed: a file that doesn't change between two
//! versions has the same blocks in both, wherever they lie.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;

use sha2::{Digest, Sha256};
use twinhull_sysutil::ordered;
use twinhull_sysutil::store::Store;
use twinhull_tree::{Content, Kind};

use super::codec::{Compression, Encoder};
use super::collect::Inode;
use super::pack::{self, Extent, Packed, SEGMENT};
use super::store;
use super::{BLOCK, Options, index};
use crate::error::shrunk;
use crate::{Error, Result};

/// Files from this length on, in bytes, are searched for zeros when data isn't compressed.
const ZEROS_FROM: u64 = 1 << 20;

/// Shortest run of zeros that is left out, in bytes, a power of two; longer in files so long that their list of
/// chunks would be too.
const CHUNK: u64 = 64 << 10;

/// How an inode's data is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// Whole blocks from `block`; the tail, if `tail` isn't 0, behind the inode.
    Flat { block: u32, tail: u64 },
    /// Compressed extents whose blocks follow each other from `block`.
    Packed { block: u32, extents: Vec<Extent> },
    /// Chunks of `1 << bits` blocks. Those that are all zeros share theirs: the format has holes too, but
    /// fsck.erofs (1.8) extracts neither one at a file's end nor one behind the second GiB.
    Chunks { bits: u8, blocks: Vec<u32> },
}

impl Default for Data {
    fn default() -> Self {
        Data::Flat { block: u32::MAX, tail: 0 }
    }
}

impl Data {
    /// Whole blocks that compressed data has.
    pub(super) fn packed_blocks(extents: &[Extent]) -> u64 {
        extents.iter().map(|e| u64::from(e.blocks)).sum()
    }
}

/// A part of a file to be read and packed.
struct Job<'a> {
    inode: usize,
    path: Vec<u8>,
    content: &'a Content,
    offset: u64,
    len: u64,
    /// Bytes of the whole file.
    size: u64,
    /// Bytes of the whole file that go into blocks when it is stored flat.
    whole: u64,
    head: u64,
}

impl Job<'_> {
    fn is_last(&self) -> bool {
        self.offset + self.len == self.size
    }

    /// Whether the whole file is smaller as `packed` bytes of blocks and their index than flat.
    fn gains(&self, packed: u64) -> bool {
        let flat = self.whole.next_multiple_of(BLOCK) + self.size - self.whole;
        packed + index::len(self.head, self.size) < flat
    }
}

/// A part that is ready to be written.
struct Part<'a> {
    job: Job<'a>,
    digest: [u8; 32],
    bytes: Bytes,
}

enum Bytes {
    /// As it is.
    Plain(Vec<u8>),
    Packed(Packed),
}

/// Writes the data of all regular files to `out`, block `first` being next, and notes where each one's is.
/// Returns the first block behind it. `progress` is told the bytes of content done.
pub(super) fn write<W: Write + Seek>(
    inodes: &mut [Inode<'_>],
    options: &Options<'_>,
    first: u64,
    out: &mut W,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let jobs: Vec<Job<'_>> = jobs(inodes);
    let mut places: Vec<(usize, Data)> = Vec::new();
    let base = out.stream_position()? - first * BLOCK;
    let sparse = options.compression.is_none();
    let mut writer =
        Writer { out, base, next: first, sparse, zeros: 0..0, known: HashMap::new(), file: None };
    let mut done = 0;
    ordered::map(
        options.workers,
        jobs.into_iter(),
        |job| prepare(job, options.compression.as_ref(), options.store),
        |part: Result<Part<'_>>| {
            let part = part?;
            done += part.job.len;
            let (inode, last) = (part.job.inode, part.job.is_last());
            writer.part(part)?;
            if last {
                places.push((inode, writer.finish()?));
            }
            progress(done);
            Ok::<_, Error>(())
        },
    )?;
    let next = writer.next;
    for (inode, data) in places {
        inodes[inode].data = data;
    }
    Ok(next)
}

/// One job for every segment of every file that doesn't fit behind its inode. Short files get their data here.
fn jobs<'a>(inodes: &mut [Inode<'a>]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for (index, inode) in inodes.iter_mut().enumerate() {
        let Kind::File(data) = &inode.node.kind else { continue };
        let whole = inode.size - inode.tail();
        if whole == 0 {
            inode.data = Data::Flat { block: u32::MAX, tail: inode.tail() };
        }
        let mut offset = 0;
        while whole > 0 && offset < inode.size {
            let len = SEGMENT.min(inode.size - offset);
            jobs.push(Job {
                inode: index,
                path: inode.path.clone(),
                content: &data.content,
                offset,
                len,
                size: inode.size,
                whole,
                head: inode.head(),
            });
            offset += len;
        }
    }
    jobs
}

thread_local! {
    /// Compressors are large and made once a thread.
    static ENCODER: std::cell::RefCell<Option<(Compression, Encoder)>> = const { std::cell::RefCell::new(None) };
}

/// Reads a part, and packs it or finds it packed in the store.
fn prepare<'a>(
    job: Job<'a>,
    compression: Option<&Compression>,
    store: Option<&dyn Store>,
) -> Result<Part<'a>> {
    let mut plain = Vec::with_capacity(job.len as usize);
    let got = job.content.open_at(job.offset).and_then(|r| r.take(job.len).read_to_end(&mut plain));
    if got.map_err(|e| shrunk(&job.path, e))? as u64 != job.len {
        return Err(shrunk(&job.path, std::io::ErrorKind::UnexpectedEof.into()));
    }
    let digest: [u8; 32] = Sha256::digest(&plain).into();
    let Some(compression) = compression else { return Ok(Part { job, digest, bytes: Bytes::Plain(plain) }) };
    let key = store::key(compression, &digest);
    let packed = match store.and_then(|s| s.get(&key)).and_then(|bytes| store::decode(bytes, plain.len())) {
        Some(packed) => packed,
        None => {
            let packed = ENCODER.with_borrow_mut(|encoder| -> Result<Packed> {
                if encoder.as_ref().is_none_or(|(with, _)| with != compression) {
                    *encoder = Some((*compression, Encoder::new(compression)?));
                }
                match encoder {
                    Some((_, encoder)) => pack::pack(encoder, compression, &plain),
                    None => Err(Error::BadSize("there is no compressor".into())),
                }
            })?;
            if let Some(store) = store {
                store.put(&key, &job.path, &store::encode(&packed));
            }
            packed
        }
    };
    // Of a file in one part it is known here which form is smaller, and its data is at hand.
    let is_whole = job.len == job.size;
    let plain_wins = is_whole && !job.gains(packed.data.len() as u64);
    let bytes = if plain_wins { Bytes::Plain(plain) } else { Bytes::Packed(packed) };
    Ok(Part { job, digest, bytes })
}

/// The file whose parts are being written.
struct Current<'a> {
    /// Its first block.
    first: u64,
    /// Digest of its parts' digests.
    digest: Sha256,
    data: Data,
    job: Job<'a>,
}

/// Puts parts onto the disk and remembers what is there.
struct Writer<'a, 'w, W> {
    out: &'w mut W,
    /// Position of block 0.
    base: u64,
    /// Next free block.
    next: u64,
    /// Whether files are searched for zeros.
    sparse: bool,
    /// Blocks that hold nothing but zeros.
    zeros: Range<u64>,
    /// Data by the digest of its content and how many bytes of that are in blocks when it is stored flat.
    known: HashMap<([u8; 32], u64), Data>,
    file: Option<Current<'a>>,
}

impl<'a, W: Write + Seek> Writer<'a, '_, W> {
    /// Writes the next part of the current file, or the first one of a new file.
    fn part(&mut self, Part { job, digest, bytes }: Part<'a>) -> Result<()> {
        let mut current = match self.file.take() {
            Some(current) => Current { job, ..current },
            None => {
                let block = block_number(self.next)?;
                let data = match &bytes {
                    Bytes::Packed(_) => Data::Packed { block, extents: Vec::new() },
                    Bytes::Plain(_) if self.sparse && job.size >= ZEROS_FROM => {
                        Data::Chunks { bits: chunk_bits(job.size), blocks: Vec::new() }
                    }
                    Bytes::Plain(_) => Data::Flat { block, tail: job.size - job.whole },
                };
                Current { first: self.next, digest: Sha256::new(), data, job }
            }
        };
        current.digest.update(digest);
        match (&mut current.data, bytes) {
            (Data::Packed { extents, .. }, Bytes::Packed(packed)) => {
                self.next += write_blocks(self.out, &packed.data)?;
                extents.extend(packed.extents);
            }
            (Data::Chunks { bits, blocks }, Bytes::Plain(plain)) => {
                for chunk in plain.chunks((BLOCK as usize) << *bits) {
                    let count = (chunk.len() as u64).div_ceil(BLOCK);
                    let empty = chunk.iter().all(|b| *b == 0);
                    if empty && self.zeros.end - self.zeros.start >= count {
                        blocks.push(block_number(self.zeros.start)?);
                        continue;
                    }
                    blocks.push(block_number(self.next)?);
                    write_blocks(self.out, chunk)?;
                    if empty {
                        self.zeros = self.next..self.next + count;
                    }
                    self.next += count;
                }
            }
            (_, Bytes::Plain(plain)) => {
                let end = plain.len() - (current.job.size - current.job.whole) as usize;
                self.next += write_blocks(self.out, &plain[..end])?;
            }
            // Only a file of one part is stored plain when data is compressed.
            (_, Bytes::Packed(_)) => return Err(Error::BadSize("parts of one file differ in kind".into())),
        }
        self.file = Some(current);
        Ok(())
    }

    /// Ends the current file. What it wrote is taken back when the same data is there already.
    fn finish(&mut self) -> Result<Data> {
        let Some(Current { first, digest, data, job }) = self.file.take() else { return Ok(Data::default()) };
        let (block, tail) = (block_number(first)?, job.size - job.whole);
        let data = match data {
            Data::Chunks { blocks, bits } if (0..).zip(&blocks).all(|(n, b)| *b == block + (n << bits)) => {
                if tail > 0 {
                    self.back_to(self.next - 1)?;
                }
                Data::Flat { block, tail }
            }
            Data::Packed { extents, .. } if !job.gains(Data::packed_blocks(&extents) * BLOCK) => {
                self.back_to(first)?;
                let mut plain = job.content.open().map_err(Error::Io)?.take(job.whole);
                let copied = std::io::copy(&mut plain, self.out)?;
                if copied != job.whole {
                    return Err(shrunk(&job.path, std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
                }
                pad(self.out, copied)?;
                self.next += copied.div_ceil(BLOCK);
                Data::Flat { block, tail }
            }
            other => other,
        };
        let key = (digest.finalize().into(), job.whole);
        if let Some(known) = self.known.get(&key) {
            let known = known.clone();
            self.back_to(first)?;
            return Ok(known);
        }
        self.known.insert(key, data.clone());
        Ok(data)
    }

    /// Takes back what was written from `block` on.
    fn back_to(&mut self, block: u64) -> Result<()> {
        self.next = block;
        self.zeros.end = self.zeros.end.min(block).max(self.zeros.start);
        self.out.seek(SeekFrom::Start(self.base + block * BLOCK))?;
        Ok(())
    }
}

/// The size of chunks for a file of `size` bytes: 64 KiB, more when their list would be longer than 64 KiB.
fn chunk_bits(size: u64) -> u8 {
    let mut chunk = CHUNK;
    while size / chunk > 16_384 && chunk < SEGMENT {
        chunk *= 2;
    }
    (chunk / BLOCK).trailing_zeros() as u8
}

/// `block` as the format stores it.
pub(super) fn block_number(block: u64) -> Result<u32> {
    u32::try_from(block).map_err(|_| Error::BadSize("the image would be larger than 16 TiB".into()))
}

/// Writes `data`, pads it to whole blocks and returns their number.
pub(super) fn write_blocks(out: &mut impl Write, data: &[u8]) -> Result<u64> {
    out.write_all(data)?;
    pad(out, data.len() as u64)?;
    Ok((data.len() as u64).div_ceil(BLOCK))
}

/// Writes zeros behind `len` bytes, up to a whole block.
pub(super) fn pad(out: &mut impl Write, len: u64) -> Result<()> {
    let missing = len.next_multiple_of(BLOCK) - len;
    out.write_all(&[0; BLOCK as usize][..missing as usize])?;
    Ok(())
}
