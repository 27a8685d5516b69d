//! The index of a compressed file, turned back into extents.

use super::{Inode, Reader, damaged, u16_at, u32_at};
use crate::erofs::BLOCK;
use crate::erofs::index::{
    ADVISE_BIG, ADVISE_PACKS_OF_16, BLOCK_COUNT, COMPRESSED_COMPACT, INSIDE, LOW_BITS, PLAIN, Packs,
};
use crate::{ReadAt, Result};

/// Largest index that is read, in bytes: that of a file of 16 GiB. Forty times as much is needed to unfold it.
const MAX_INDEX: u64 = 8 << 20;

/// Most data in one extent, in bytes, as the kernel has it.
const MAX_EXTENT: u64 = 12 << 20;

/// A run of file data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// First byte of file data.
    pub(super) start: u64,
    /// Bytes of file data.
    pub(super) len: u64,
    /// Byte offset in the image.
    pub(super) at: u64,
    /// Bytes in the image.
    pub(super) stored: u64,
    /// Number of the compression algorithm; none when the data is stored as it is.
    pub(super) algorithm: Option<u8>,
}

/// A head that was found, and how far its number of blocks is known.
struct Head {
    start: u64,
    block: u64,
    blocks: u64,
    kind: u16,
}

impl<R: ReadAt> Reader<R> {
    /// The extents of a compressed inode, in the order of its data.
    pub(super) fn extents(&self, inode: &Inode) -> Result<Vec<Extent>> {
        let bad = |reason: &str| damaged(inode.offset, format!("in the index here, {reason}"));
        let header_at = inode.end().next_multiple_of(8);
        let header = self.bytes(header_at, 8)?;
        let advise = u16_at(&header, 4);
        if advise & !(ADVISE_PACKS_OF_16 | ADVISE_BIG) != 0 || header[7] != 0 {
            return Err(bad("there are features this reader doesn't know"));
        }
        let total = inode.size.div_ceil(BLOCK);
        let big = advise & ADVISE_BIG != 0;
        let heads = if inode.layout == COMPRESSED_COMPACT {
            let base = header_at + 8;
            let mut packs = Packs::new(base, total);
            if advise & ADVISE_PACKS_OF_16 == 0 {
                packs = Packs { first: 0, middle: 0, last: total };
            }
            if packs.len() > MAX_INDEX {
                return Err(bad("there are more entries than this reader takes"));
            }
            compact_heads(&self.bytes(base, packs.len())?, &packs, big)
        } else {
            let len = total.checked_mul(8).filter(|len| *len <= MAX_INDEX);
            let len = len.ok_or_else(|| bad("there are more entries than this reader takes"))?;
            full_heads(&self.bytes(header_at + 16, len)?)
        };
        let mut extents = Vec::with_capacity(heads.len());
        for (n, head) in heads.iter().enumerate() {
            let end = heads.get(n + 1).map_or(inode.size, |next| next.start);
            if n + 1 == heads.len() && head.start == inode.size {
                break;
            }
            let len = end.checked_sub(head.start).filter(|len| (1..=MAX_EXTENT).contains(len));
            let algorithm = match head.kind {
                PLAIN => None,
                1 => Some(header[6] & 15),
                _ => Some(header[6] >> 4),
            };
            extents.push(Extent {
                start: head.start,
                len: len.ok_or_else(|| bad("an extent is empty, too long or out of order"))?,
                at: head.block * BLOCK,
                stored: head.blocks * BLOCK,
                algorithm,
            });
        }
        if extents.first().is_none_or(|e| e.start != 0) {
            return Err(bad("the first extent doesn't begin with the file"));
        }
        Ok(extents)
    }
}

/// The heads in packs of 2 and 16 entries.
fn compact_heads(bytes: &[u8], packs: &Packs, big: bool) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    let mut rest = bytes;
    let mut block_of_data = 0;
    for (entries, count) in [(packs.first, 2), (packs.middle, 16), (packs.last, 2)] {
        let size = if count == 2 { 8 } else { 32 };
        let bits = (size - 4) * 8 / count;
        let mut left = entries;
        while left > 0 {
            let Some((pack, after)) = rest.split_at_checked(size) else { return heads };
            rest = after;
            let base = u64::from(u32_at(pack, size - 4));
            // Blocks counted so far in this pack, and whether a head's own are still to come.
            let (mut counted, mut owed) = (if big { 0 } else { 1 }, false);
            for n in 0..left.min(count as u64) as usize {
                let at = n * bits;
                let value = u32_at(pack, at / 8) >> (at % 8);
                let low = (value & ((1 << LOW_BITS) - 1)) as u16;
                let kind = (value >> LOW_BITS & 3) as u16;
                if kind == INSIDE {
                    if big && low & BLOCK_COUNT != 0 {
                        let blocks = u64::from(low & !BLOCK_COUNT);
                        counted += blocks;
                        owed = false;
                        if let Some(head) = heads.last_mut() {
                            head.blocks = blocks;
                        }
                    }
                } else {
                    counted += u64::from(owed);
                    heads.push(Head {
                        start: block_of_data * BLOCK + u64::from(low),
                        block: base + counted,
                        blocks: 1,
                        kind,
                    });
                    owed = true;
                }
                block_of_data += 1;
            }
            left = left.saturating_sub(count as u64);
        }
    }
    heads
}

/// The heads in entries of eight bytes each.
fn full_heads(bytes: &[u8]) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    for (n, entry) in bytes.chunks_exact(8).enumerate() {
        let kind = u16_at(entry, 0) & 3;
        if kind == INSIDE {
            let count = u16_at(entry, 4);
            if let Some(head) = heads.last_mut().filter(|_| count & BLOCK_COUNT != 0) {
                head.blocks = u64::from(count & !BLOCK_COUNT);
            }
            continue;
        }
        let start = n as u64 * BLOCK + u64::from(u16_at(entry, 2));
        heads.push(Head { start, block: u64::from(u32_at(entry, 4)), blocks: 1, kind });
    }
    heads
}
