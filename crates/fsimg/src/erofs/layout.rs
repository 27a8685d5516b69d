//! Gives every inode its place and writes the metadata, which lies behind the data.
//!
//! Data goes first because its compressed length is only known once it is written; nothing has to be kept or
//! written twice for that.

use std::io::{Read, Write};

use twinhull_tree::Kind;

use super::collect::Inode;
use super::files::{Data, block_number, pad, write_blocks};
use super::inode::{self, CHUNKS, FLAT_INLINE, FLAT_PLAIN, Placement};
use super::{BLOCK, Options, directory, index};
use crate::error::shrunk;
use crate::{Error, Result, unix};

/// Node numbers count these units from the start of the metadata.
pub(super) const SLOT: u64 = 32;

/// How many partly filled metadata blocks are kept open for tails that fit.
const OPEN_BLOCKS: usize = 32;

/// Gives directories and long symbolic links their blocks, from block `next`, and returns the block behind them.
pub(super) fn place_directories(inodes: &mut [Inode<'_>], mut next: u64) -> Result<u64> {
    for inode in inodes {
        if matches!(inode.node.kind, Kind::Directory(_) | Kind::Symlink(_)) {
            let tail = inode.tail();
            let blocks = (inode.size - tail).div_ceil(BLOCK);
            inode.data = Data::Flat { block: if blocks > 0 { block_number(next)? } else { u32::MAX }, tail };
            next += blocks;
        }
    }
    Ok(next)
}

/// Bytes behind inode and attributes, and whether they must lie in one block with them.
fn behind(inode: &Inode<'_>, offset: u64) -> (u64, bool) {
    match &inode.data {
        Data::Flat { tail, .. } => (*tail, *tail > 0),
        Data::Packed { .. } => (index::len(offset + inode.head(), inode.size), false),
        // Attributes and inodes have whole multiples of four bytes, as the list's numbers.
        Data::Chunks { blocks, .. } => (blocks.len() as u64 * 4, false),
    }
}

/// Gives every inode its offset from the start of the metadata, and returns the metadata's length, in bytes.
///
/// A tail must lie in the same block as the end of its inode. Blocks with room are kept open, so a
/// tail goes to the first that takes it.
pub(super) fn place_inodes(inodes: &mut [Inode<'_>]) -> u64 {
    // Node number 0 is avoided: programs take an inode of that number for a deleted file.
    let mut end = SLOT;
    // Free ranges inside blocks already begun, as (start, end).
    let mut open: Vec<(u64, u64)> = Vec::new();
    for inode in inodes {
        let need = |offset: u64| inode.head() + behind(inode, offset).0;
        let together = behind(inode, end).1;
        if let Some(slot) = open.iter().position(|(from, to)| from + need(*from) <= *to) {
            let (from, to) = open[slot];
            let next = (from + need(from)).next_multiple_of(SLOT);
            inode.offset = from;
            open[slot].0 = next;
            if next >= to {
                open.remove(slot);
            }
            continue;
        }
        let room = end.next_multiple_of(BLOCK) - end;
        if together && need(end) > room && room > 0 {
            open.push((end, end + room));
            if open.len() > OPEN_BLOCKS {
                let fullest = (0..open.len()).min_by_key(|i| open[*i].1 - open[*i].0).unwrap_or(0);
                open.remove(fullest);
            }
            end += room;
        }
        let next = (end + need(end)).next_multiple_of(SLOT);
        inode.offset = end;
        end = next;
    }
    end
}

/// Writes the blocks of directories and long symbolic links in the order in which they were placed.
pub(super) fn write_directories(inodes: &[Inode<'_>], out: &mut impl Write) -> Result<()> {
    for inode in inodes {
        let Data::Flat { tail, .. } = inode.data else { continue };
        let whole = (inode.size - tail) as usize;
        match &inode.node.kind {
            Kind::Directory(_) if whole > 0 => {
                write_blocks(out, &directory_bytes(inodes, inode)[..whole])?;
            }
            Kind::Symlink(target) if whole > 0 => {
                write_blocks(out, &target[..whole])?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn directory_bytes(inodes: &[Inode<'_>], inode: &Inode<'_>) -> Vec<u8> {
    directory::encode(&inode.entries, |target| inodes[target].offset / SLOT)
}

/// Writes the metadata, which starts at byte `start` of the image, padded to whole blocks.
pub(super) fn write_inodes(
    inodes: &[Inode<'_>],
    options: &Options<'_>,
    start: u64,
    out: &mut impl Write,
) -> Result<()> {
    let mut order: Vec<usize> = (0..inodes.len()).collect();
    order.sort_unstable_by_key(|n| inodes[*n].offset);
    let mut at = 0;
    for number in order {
        let inode = &inodes[number];
        std::io::copy(&mut std::io::repeat(0).take(inode.offset - at), out)?;
        let bytes = encode(inodes, number, options, start)?;
        out.write_all(&bytes)?;
        at = inode.offset + bytes.len() as u64;
    }
    pad(out, at)
}

/// An inode with its attributes and what is behind them.
fn encode(inodes: &[Inode<'_>], number: usize, options: &Options<'_>, start: u64) -> Result<Vec<u8>> {
    let inode = &inodes[number];
    let (data_layout, union) = match (&inode.node.kind, &inode.data) {
        (Kind::CharDevice(d) | Kind::BlockDevice(d), _) => (FLAT_PLAIN, unix::encode_device(*d)),
        (_, Data::Flat { block, tail }) => (if *tail > 0 { FLAT_INLINE } else { FLAT_PLAIN }, *block),
        (_, Data::Packed { extents, .. }) => {
            (index::COMPRESSED_COMPACT, block_number(Data::packed_blocks(extents))?)
        }
        (_, Data::Chunks { bits, .. }) => (CHUNKS, u32::from(*bits)),
    };
    let place = Placement {
        form: inode.form,
        data_layout,
        union,
        size: inode.size,
        number: number as u32 + 1,
        links: inode.links,
    };
    let mut out = inode::encode(inode.node, &place, inode.xattrs.len());
    out.extend(&inode.xattrs);
    match (&inode.node.kind, &inode.data) {
        (Kind::Directory(_), Data::Flat { tail, .. }) => {
            let bytes = directory_bytes(inodes, inode);
            out.extend(&bytes[bytes.len() - *tail as usize..]);
        }
        (Kind::Symlink(target), Data::Flat { tail, .. }) => {
            out.extend(&target[target.len() - *tail as usize..])
        }
        (Kind::File(data), Data::Flat { tail, .. }) if *tail > 0 => {
            let head = out.len();
            out.resize(head + *tail as usize, 0);
            data.content
                .open_at(inode.size - tail)
                .and_then(|mut reader| reader.read_exact(&mut out[head..]))
                .map_err(|e| shrunk(&inode.path, e))?;
        }
        (_, Data::Packed { block, extents }) => {
            let compression = options.compression.as_ref();
            let compression =
                compression.ok_or_else(|| Error::BadSize("packed data without compression".into()))?;
            let end = start + inode.offset + inode.head();
            out.extend(index::encode(end, inode.size, *block, extents, compression));
        }
        (_, Data::Chunks { blocks, .. }) => blocks.iter().for_each(|b| out.extend(b.to_le_bytes())),
        _ => {}
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::collect;
    use super::*;
    use twinhull_tree::{Node, Tree};

    #[test]
    fn tails_never_cross_a_block_and_inodes_never_overlap() {
        let mut tree = Tree::new();
        for n in 0..500_usize {
            tree.insert(format!("/d/{n:03}"), Node::file(vec![7_u8; (n * 37) % 9000])).unwrap();
        }
        let mut inodes = collect::inodes(&tree, &Options::new([0; 16], 0)).unwrap();
        for inode in &mut inodes {
            inode.data = Data::Flat { block: 1, tail: inode.tail() };
        }
        let length = place_inodes(&mut inodes);
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for inode in &inodes {
            let head = inode.offset + inode.head();
            let end = head + inode.tail();
            assert_eq!(inode.offset % SLOT, 0);
            if inode.tail() > 0 {
                assert_eq!(head / BLOCK, (end - 1) / BLOCK);
            }
            ranges.push((inode.offset, end));
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0));
        let used: u64 = ranges.iter().map(|(a, b)| b - a).sum();
        assert!(length < used + used / 5, "more than a fifth is wasted");
    }
}
