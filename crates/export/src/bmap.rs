//! The block map that bmaptool writes a raw image to a device by: which blocks matter, and their SHA-256.
//!
//! Source: the description of the format in bmaptool's own sources, version 2.0. Blocks that are left out keep
//! what the device held before, so being empty is not enough for that: a zero inside a file system or under a hash
//! tree is data. Left out are empty blocks in free slots and outside of partitions, and what follows the last block
//! in use of /usr and its hash tree, which nobody reads.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;

use sha2::{Digest, Sha256};
use twinhull_disk::{ALIGN, slot, types};
use twinhull_sysutil::{digest, size};

use crate::Result;
use crate::disk::{Disk, is_zero};

/// Bytes in a block.
const BLOCK: u64 = 4096;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// Writes the map of `disk` to the empty file `out`.
pub(crate) fn write(disk: &Disk, out: &mut File, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let ranges = mapped(disk)?;
    let mut rows = String::new();
    for range in &ranges {
        let sum = digest::hex(&hash(disk, range, progress)?);
        let last = range.end - 1;
        // Writing to a String can't fail.
        let _ = if range.start == last {
            writeln!(rows, "        <Range chksum=\"{sum}\"> {last} </Range>")
        } else {
            writeln!(rows, "        <Range chksum=\"{sum}\"> {}-{last} </Range>", range.start)
        };
    }
    let count: u64 = ranges.iter().map(|r| r.end - r.start).sum();
    let text = |own: &str| {
        format!(
            "<?xml version=\"1.0\" ?>\n\
             <!-- Which blocks of the image have to be written; read by bmaptool. -->\n\
             <bmap version=\"2.0\">\n    \
                 <!-- {} -->\n    \
                 <ImageSize> {} </ImageSize>\n    \
                 <BlockSize> {BLOCK} </BlockSize>\n    \
                 <BlocksCount> {} </BlocksCount>\n    \
                 <!-- {} -->\n    \
                 <MappedBlocksCount> {count} </MappedBlocksCount>\n    \
                 <ChecksumType> sha256 </ChecksumType>\n    \
                 <BmapFileChecksum> {own} </BmapFileChecksum>\n    \
                 <BlockMap>\n{rows}    </BlockMap>\n\
             </bmap>\n",
            size::human(disk.size()),
            disk.size(),
            disk.size().div_ceil(BLOCK),
            size::human(count * BLOCK),
        )
    };
    // The file's own checksum is that of the file with zeros in its place.
    let own = digest::sha256_hex(text(&"0".repeat(64)).as_bytes());
    out.write_all(text(&own).as_bytes())?;
    progress(disk.size());
    Ok(())
}

/// The blocks that have to be written, in order and apart from each other.
fn mapped(disk: &Disk) -> Result<Vec<Range<u64>>> {
    let end = disk.size().div_ceil(BLOCK);
    let blocks =
        |offset: u64, size: u64| offset / BLOCK..offset.saturating_add(size).div_ceil(BLOCK).min(end);
    // Both tables with everything around them, boot loaders for instance.
    let mut ranges = vec![blocks(0, ALIGN), blocks(disk.size().saturating_sub(ALIGN), ALIGN)];
    // Partitions that matter up to the last block that isn't empty.
    let mut images: Vec<Range<u64>> = Vec::new();
    for partition in &disk.table.partitions {
        let range = blocks(partition.offset, partition.size);
        match types::name(partition.kind) {
            Some("usr" | "usr-verity") if partition.label == slot::EMPTY => {}
            Some("usr" | "usr-verity") => images.push(range),
            _ => ranges.push(range),
        }
    }
    let mut used: Vec<u64> = images.iter().map(|image| image.start).collect();
    for chunk in disk.chunks(CHUNK) {
        let chunk = chunk?;
        for (bytes, block) in chunk.data.chunks(BLOCK as usize).zip(chunk.offset / BLOCK..) {
            if is_zero(bytes) {
                continue;
            }
            match images.iter().position(|image| image.contains(&block)) {
                Some(image) => used[image] = block + 1,
                None => match ranges.last_mut() {
                    Some(last) if last.end == block => last.end += 1,
                    _ => ranges.push(block..block + 1),
                },
            }
        }
    }
    ranges.extend(images.iter().zip(used).map(|(image, end)| image.start..end));
    Ok(merge(ranges))
}

/// Sorts ranges and joins those that touch or overlap.
fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// SHA-256 of the blocks of `range`; the disk's last one may be short.
fn hash(disk: &Disk, range: &Range<u64>, progress: &mut dyn FnMut(u64)) -> Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK as usize];
    let (mut at, end) = (range.start * BLOCK, (range.end * BLOCK).min(disk.size()));
    while at < end {
        let length = CHUNK.min(end - at);
        let part = &mut buffer[..length as usize];
        disk.read_at(part, at)?;
        hasher.update(part);
        at += length;
        progress(at);
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};

    #[test]
    fn zeros_are_left_out_only_where_nobody_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), 12 << 20);
        let mib = |n: u64| (n << 20) / BLOCK;
        // Tables and ESP; /usr up to its last byte; neither the free slot nor the room behind it.
        let usr_end = ((2_u64 << 20) + 70_000 + 200_000).div_ceil(BLOCK);
        assert_eq!(mapped(&disk).unwrap(), [0..usr_end, mib(11)..mib(12)]);
    }

    #[test]
    fn checksums_are_those_of_the_blocks_and_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), (12 << 20) + 512);
        let path = dir.path().join("a.bmap");
        write(&disk, &mut File::create_new(&path).unwrap(), &mut |_| ()).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        let field = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.trim().to_owned()
        };
        let own = field("BmapFileChecksum");
        assert_eq!(digest::sha256_hex(text.replace(&own, &"0".repeat(64)).as_bytes()), own);
        let bytes = content(&disk);
        let mut count = 0;
        for line in text.lines().filter(|line| line.contains("<Range")) {
            let sum = line.split('"').nth(1).unwrap();
            let blocks = line.split(['>', '<']).nth(2).unwrap().trim();
            let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let end = ((last + 1) * 4096).min(bytes.len());
            assert_eq!(digest::sha256_hex(&bytes[first * 4096..end]), sum);
            count += last + 1 - first;
        }
        assert_eq!(field("MappedBlocksCount"), count.to_string());
        assert_eq!(field("BlocksCount"), "3073");
    }

    #[test]
    fn ranges_are_joined() {
        assert_eq!(merge(vec![5..7, 0..2, 2..3, 6..6, 6..9, 20..21]), [0..3, 5..9, 20..21]);
    }
}
