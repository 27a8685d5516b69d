//! Writes ext4 that is only ever read, without kernel or mke2fs.
//!
//! Layout (Documentation/filesystems/ext4 in the kernel): the superblock at byte 1024 of the first block, group
//! descriptors, the data of files in the order of the tree, directories, long symbolic links, attributes and
//! extent trees, then the bitmaps and inodes of all groups. Flexible groups let metadata lie anywhere, and
//! without copies of the superblock nothing interrupts the data: a file is one run of blocks but for its holes,
//! and data can be written before it is known how many groups there will be.
//!
//! There is nothing that a mount would have to finish or could use to write: no journal, no orphans, no
//! reserved blocks, no room to grow, no `lost+found`, and the feature that has the kernel mount it read-only.
//! All metadata has checksums. Kernels from 4.0 read it.

mod acl;
mod checksum;
mod data;
mod directory;
mod extents;
mod groups;
mod hash;
mod inode;
pub mod reader;
#[cfg(test)]
mod round_trip;
mod superblock;
mod xattr;

use std::io::{Seek, SeekFrom, Write};

use twinhull_tree::{Kind, Tree};

use crate::error::unsupported;
use crate::numbered::{self, Numbered};
use crate::{Error, Result};

use checksum::Checksums;
use data::Blocks;
use extents::Extent;
use groups::Groups;
pub(crate) use superblock::MAGIC;

/// Block size in bytes.
pub const BLOCK: u64 = 4096;

/// Number of the root directory's inode.
const ROOT: u32 = 2;
/// First inode number that isn't reserved.
const FIRST_INODE: u32 = 11;

/// Most names a file can have. A directory with more subdirectories has its links counted as 1, "not known".
const MAX_LINKS: u32 = 65_000;
/// Longest symbolic link in bytes: with its zero it must fit a block.
const MAX_TARGET: usize = BLOCK as usize - 1;
/// Longest symbolic link that lies in its inode, in bytes.
const FAST_TARGET: usize = inode::MAP - 1;

/// What determines an image besides its tree.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// UUID of the file system, big-endian bytes; also what names in directories are hashed with.
    pub uuid: [u8; 16],
    /// Time of the build, seconds since 1970.
    pub build_time: u64,
}

/// Writes `tree` to `out` from its current position, and returns the image's length in bytes, a multiple of
/// [`BLOCK`]. What lies behind that is not part of it. `progress` is told how many bytes of files are done.
///
/// Times outside of 1901 to 2446 become the nearest there is. Returns [`Error::Unsupported`] for what ext4 can't
/// hold: attributes outside the `user.`, `trusted.`, `security.` and POSIX ACL name spaces or more of them than
/// fit an inode and a block, files with more than 65000 names, symbolic links of 4096 bytes; and for a file that
/// became shorter in the meantime. Returns [`Error::BadSize`] for more than 16 TiB.
pub fn write<W: Write + Seek>(
    tree: &Tree,
    options: &Options,
    out: &mut W,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let inodes = numbered::inodes(tree)?;
    let count = u64::from(number(inodes.len())) - 1;
    // Holes are found while data is written, so this may be more than is needed; the rest stays free.
    let descriptors = Groups::plan(1 + most_blocks(&inodes), count)?.descriptor_blocks();
    let start = out.stream_position()?;
    let checksums = Checksums::new(&options.uuid);
    let mut blocks = Blocks::new(out, 1 + descriptors)?;
    let data = data::write(&inodes, &mut blocks, progress)?;
    let mut table = vec![0; (count * inode::SIZE as u64) as usize];
    for (index, (found, data)) in inodes.iter().zip(data).enumerate() {
        let place = (number(index) - 1) as usize * inode::SIZE;
        let bytes = finish(index, found, data, options, &checksums, &mut blocks)?;
        table[place..place + inode::SIZE].copy_from_slice(&bytes);
    }
    let groups = Groups::plan(blocks.next(), count)?;
    let free = 1 + groups.descriptor_blocks()..1 + descriptors;
    let directories = inodes.iter().map(|found| found.node.entries().is_some());
    let descriptors = groups::write(&groups, free.clone(), &table, directories, &checksums, &mut blocks)?;
    let end = blocks.next();
    out.seek(SeekFrom::Start(start))?;
    out.write_all(&superblock::encode(options, &groups, free.end - free.start))?;
    out.write_all(&descriptors)?;
    out.seek(SeekFrom::Start(start + end * BLOCK))?;
    Ok(end * BLOCK)
}

/// Inode number by index: the root has its own, all others follow the reserved ones.
fn number(index: usize) -> u32 {
    if index == 0 { ROOT } else { FIRST_INODE - 1 + index as u32 }
}

/// More blocks than the content of an image can take, whatever its holes: data and its extents, and for every
/// name a block of a directory, for every inode one of attributes.
fn most_blocks(inodes: &[Numbered<'_>]) -> u64 {
    let of = |found: &Numbered<'_>| match &found.node.kind {
        Kind::File(data) => data.content.len().div_ceil(BLOCK) * 65 / 64 + 3,
        Kind::Directory(entries) => entries.len() as u64 + 4,
        _ => 2,
    };
    inodes.iter().map(|found| of(found) + 1).sum()
}

/// Writes what belongs to an inode besides the data of files, and returns the inode.
fn finish<W: Write>(
    index: usize,
    found: &Numbered<'_>,
    mut data: Vec<Extent>,
    options: &Options,
    checksums: &Checksums,
    blocks: &mut Blocks<'_, W>,
) -> Result<[u8; inode::SIZE]> {
    let seed = checksums.of_inode(number(index));
    let before = blocks.next();
    let mut flags = 0;
    let mut size = 0;
    match &found.node.kind {
        Kind::File(content) => size = content.content.len(),
        Kind::Directory(_) => {
            let names = directory::Names { own: number(index), parent: number(found.parent) };
            let directory = directory::encode(&found.path, names, &found.entries, &options.uuid, seed)?;
            size = directory.bytes.len() as u64;
            flags |= if directory.indexed { inode::INDEXED } else { 0 };
            data = vec![blocks.put(&directory.bytes)?];
        }
        Kind::Symlink(target) => {
            size = target.len() as u64;
            if target.is_empty() || target.len() > MAX_TARGET {
                let reason = format!("it links to a path of {size} bytes; ext4 has 1 to {MAX_TARGET}");
                return Err(unsupported(&found.path, reason));
            }
            if target.len() > FAST_TARGET {
                data = vec![blocks.put(target)?];
            }
        }
        _ => {}
    }
    let attributes = xattr::encode(&found.path, &found.node.meta)?;
    let attribute_block = match attributes.block {
        Some(block) => blocks.put(&xattr::seal(block, blocks.next(), checksums))?.start,
        None => 0,
    };
    let map = match &found.node.kind {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => inode::device_map(&found.path, *device)?,
        Kind::Symlink(target) if target.len() <= FAST_TARGET => inode::target_map(target),
        Kind::Fifo | Kind::Socket => [0; inode::MAP],
        _ => {
            flags |= inode::EXTENTS;
            extents::write(&data, seed, blocks)?
        }
    };
    let is_directory = found.node.entries().is_some();
    if found.links > MAX_LINKS && !is_directory {
        let reason = format!("it has {} names; ext4 has at most {MAX_LINKS} for one file", found.links);
        return Err(unsupported(&found.path, reason));
    }
    let file_blocks = match &found.node.kind {
        Kind::File(_) => data.iter().map(|e| u64::from(e.len)).sum(),
        _ => 0,
    };
    let facts = inode::Facts {
        size,
        links: if found.links > MAX_LINKS { 1 } else { found.links as u16 },
        blocks: file_blocks + blocks.next() - before,
        flags,
        map,
        attribute_block,
        attributes: attributes.inline,
    };
    Ok(inode::encode(found.node, &facts, seed))
}

/// `block` as this layout stores it.
fn block_number(block: u64) -> Result<u32> {
    u32::try_from(block).map_err(|_| Error::BadSize("an ext4 image would be larger than 16 TiB".into()))
}
