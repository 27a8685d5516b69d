//! The index of a compressed file: which extent holds which block of its data.
//!
//! Written behind the inode in the compact form (Documentation/filesystems/erofs and fs/erofs/erofs_fs.h in
//! the kernel): a header of eight bytes, then one entry for every block of data. Entries come in packs with
//! one block address each; the address of a pack's later extents is counted from it.

use super::BLOCK;
use super::codec::Compression;
use super::pack::Extent;

/// Data layout of an inode with a compact index.
pub(super) const COMPRESSED_COMPACT: u16 = 3;

/// Bits of an entry that hold an offset or distance.
pub(super) const LOW_BITS: u32 = 12;
/// In the first entry after an extent's head: the other bits count the extent's blocks.
pub(super) const BLOCK_COUNT: u16 = 1 << 11;

/// Entries of sixteen in 32 bytes are used.
pub(super) const ADVISE_PACKS_OF_16: u16 = 1;
/// Extents of both kinds of head may have several blocks.
pub(super) const ADVISE_BIG: u16 = 2 | 4;

/// Entry types.
pub(super) const PLAIN: u16 = 0;
pub(super) const HEAD: u16 = 1;
pub(super) const INSIDE: u16 = 2;

/// Where packs of 2 and of 16 entries begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packs {
    /// Entries in packs of two before the first 32-byte boundary.
    pub(super) first: u64,
    /// Entries in packs of sixteen.
    pub(super) middle: u64,
    /// Entries in packs of two after them; the last pack may be half full.
    pub(super) last: u64,
}

impl Packs {
    /// The packs of `total` entries from byte `base`, which is a multiple of eight.
    pub(super) fn new(base: u64, total: u64) -> Self {
        let first = (32 - base % 32) / 4 % 8;
        if first >= total {
            return Packs { first: 0, middle: 0, last: total };
        }
        let middle = (total - first) / 16 * 16;
        Packs { first, middle, last: total - first - middle }
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        (self.first + self.last.next_multiple_of(2)) * 4 + self.middle * 2
    }
}

/// Byte offset of the first entry for an inode whose attributes end at `end`.
pub(super) fn base(end: u64) -> u64 {
    end.next_multiple_of(8) + 8
}

/// Bytes from `end`, the end of an inode's attributes, to the end of its index for `size` bytes of data.
pub(super) fn len(end: u64, size: u64) -> u64 {
    base(end) + Packs::new(base(end), size.div_ceil(BLOCK)).len() - end
}

/// An entry before it is packed.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u16,
    /// Offset of the head in its block, distance back to it, or the number of its blocks.
    low: u16,
    /// Distance to the next head, for entries inside an extent.
    ahead: u16,
    /// Blocks before this entry's extent, when it is a head.
    block: u64,
}

/// The index of a file with `extents` whose blocks start at `block`, for an inode whose attributes end at
/// byte `end` of the image; begins there.
pub(super) fn encode(
    end: u64,
    size: u64,
    block: u32,
    extents: &[Extent],
    compression: &Compression,
) -> Vec<u8> {
    let entries = entries(size, u64::from(block), extents, compression.big());
    let packs = Packs::new(base(end), entries.len() as u64);
    let mut out = vec![0; (end.next_multiple_of(8) - end) as usize];
    let advise = if packs.middle > 0 { ADVISE_PACKS_OF_16 } else { 0 }
        | if compression.big() { ADVISE_BIG } else { 0 };
    out.extend([0; 4]);
    out.extend(advise.to_le_bytes());
    out.extend([compression.algorithm.id(), 0]);
    let (first, rest) = entries.split_at(packs.first as usize);
    let (middle, last) = rest.split_at(packs.middle as usize);
    for (part, count) in [(first, 2), (middle, 16), (last, 2)] {
        for pack in part.chunks(count) {
            put_pack(&mut out, pack, count, compression.big());
        }
    }
    out
}

/// One entry for every block of data.
fn entries(size: u64, first_block: u64, extents: &[Extent], big: bool) -> Vec<Entry> {
    let total = size.div_ceil(BLOCK);
    let mut out: Vec<Entry> = Vec::with_capacity(total as usize);
    let (mut start, mut block) = (0, first_block);
    for extent in extents {
        let end = start + u64::from(extent.len);
        let head = start / BLOCK;
        let kind = if extent.raw { PLAIN } else { HEAD };
        out.push(Entry { kind, low: (start % BLOCK) as u16, ahead: 0, block });
        for inside in head + 1..end / BLOCK {
            let low =
                if inside == head + 1 && big { BLOCK_COUNT | extent.blocks } else { (inside - head) as u16 };
            out.push(Entry { kind: INSIDE, low, ahead: (end / BLOCK - inside) as u16, block: 0 });
        }
        block += u64::from(extent.blocks);
        start = end;
    }
    if (out.len() as u64) < total {
        // The last extent ends inside a block that it didn't begin in: a head at the end of the data says so.
        out.push(Entry { kind: PLAIN, low: (size % BLOCK) as u16, ahead: 0, block });
    }
    out
}

/// Appends one pack of `count` entries; missing ones stay zero.
fn put_pack(out: &mut Vec<u8>, pack: &[Entry], count: usize, big: bool) {
    let bytes = if count == 2 { 8 } else { 32 };
    let bits = (bytes - 4) * 8 / count;
    let mut packed = [0_u8; 32];
    for (n, entry) in pack.iter().enumerate() {
        let last = n + 1 == count;
        // The last entry of a pack looks ahead, so that a reader learns how far it may skip.
        let low = if last && entry.kind == INSIDE && entry.low & BLOCK_COUNT == 0 {
            entry.ahead
        } else {
            entry.low
        };
        let value = u32::from(entry.kind) << LOW_BITS | u32::from(low);
        let at = n * bits;
        let shifted = (value << (at % 8)).to_le_bytes();
        for (byte, more) in packed[at / 8..].iter_mut().zip(&shifted[..3]) {
            *byte |= more;
        }
    }
    let base = base_block(pack, big);
    packed[bytes - 4..bytes].copy_from_slice(&base.to_le_bytes());
    out.extend_from_slice(&packed[..bytes]);
}

/// The block address from which readers count to the pack's first head.
fn base_block(pack: &[Entry], big: bool) -> u32 {
    let Some(head) = pack.iter().position(|e| e.kind != INSIDE) else { return 0 };
    let before: u64 = if big {
        // Blocks of an extent that began in the pack before are counted here, if their number is.
        pack[..head]
            .iter()
            .filter(|e| e.low & BLOCK_COUNT != 0)
            .map(|e| u64::from(e.low & !BLOCK_COUNT))
            .sum()
    } else {
        1
    };
    (pack[head].block - before) as u32
}
