//! Writes EROFS, the read-only file system of /usr, without kernel or mkfs.
//!
//! Layout (Documentation/filesystems/erofs in the kernel): the superblock at byte 1024 of the first block, the
//! data of files in the order of the tree, the blocks of large directories, then the inodes with their
//! attributes, the indexes of compressed files and the tails of flat ones. Data comes first so that it can be
//! written as it is packed, and so that its place doesn't depend on the metadata.
//!
//! Without compression a file is flat, or has holes. With it, a file is packed when that makes it smaller.
//! Kernels from 5.15 read LZ4, those from 6.10 Zstandard.

mod codec;
mod collect;
mod directory;
mod files;
mod index;
mod inode;
mod layout;
mod pack;
pub mod reader;
#[cfg(test)]
mod round_trip;
mod store;
mod superblock;

use std::io::{Seek, SeekFrom, Write};

use twinhull_sysutil::store::Store;
use twinhull_tree::Tree;

use crate::{Error, Result};

pub use codec::{Algorithm, Compression};
pub use pack::SEGMENT;
pub(crate) use superblock::MAGIC;

/// Block size in bytes; the kernel reads images whose blocks are no larger than its pages.
pub const BLOCK: u64 = 4096;

/// What determines an image besides its tree, and who helps to make it.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// UUID of the file system, big-endian bytes.
    pub uuid: [u8; 16],
    /// Time of the build, seconds since 1970.
    pub build_time: u64,
    /// How data is compressed, if it is.
    pub compression: Option<Compression>,
    /// Threads that read and compress. The image is the same with any number.
    pub workers: usize,
    /// Where compressed data is kept for the next image.
    pub store: Option<&'a dyn Store>,
}

impl Options<'_> {
    /// No compression, all processors up to 16, no store.
    pub fn new(uuid: [u8; 16], build_time: u64) -> Self {
        // More would only wait for the one that writes, each with megabytes in its hands.
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        Options { uuid, build_time, compression: None, workers, store: None }
    }
}

/// Writes `tree` to `out` from its current position, and returns the image's length in bytes, a multiple of
/// [`BLOCK`]. What lies behind that is not part of it. `progress` is told how many bytes of files are done.
///
/// Returns [`Error::Unsupported`] for what EROFS can't hold (attributes outside the `user.`, `trusted.`,
/// `security.` and POSIX ACL name spaces, or more of them than fit an inode) and for a file that became shorter
/// in the meantime; [`Error::BadSize`] for a cluster size that doesn't exist.
pub fn write<W: Write + Seek>(
    tree: &Tree,
    options: &Options<'_>,
    out: &mut W,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    if let Some(compression) = options.compression.filter(|c| !c.is_valid()) {
        return Err(Error::BadSize(format!(
            "clusters of {} bytes don't exist; a multiple of {BLOCK} up to {} is needed",
            compression.cluster,
            Compression::MAX_CLUSTER
        )));
    }
    let start = out.stream_position()?;
    let mut inodes = collect::inodes(tree, options)?;
    out.write_all(&[0; BLOCK as usize])?;
    let directories = files::write(&mut inodes, options, 1, out, progress)?;
    let metadata = layout::place_directories(&mut inodes, directories)?;
    let blocks = metadata + layout::place_inodes(&mut inodes).div_ceil(BLOCK);
    layout::write_directories(&inodes, out)?;
    layout::write_inodes(&inodes, options, metadata * BLOCK, out)?;
    let facts = superblock::Facts {
        metadata: files::block_number(metadata)?,
        root: u16::try_from(inodes[0].offset / layout::SLOT)
            .map_err(|_| Error::BadSize("the root inode is too far away".into()))?,
        inodes: inodes.len() as u64,
        blocks: files::block_number(blocks)?,
        chunks: inodes.iter().any(|i| matches!(i.data, files::Data::Chunks { .. })),
    };
    let end = out.stream_position()?;
    assert_eq!(end - start, blocks * BLOCK);
    out.seek(SeekFrom::Start(start))?;
    out.write_all(&superblock::encode(options, &facts))?;
    out.seek(SeekFrom::Start(end))?;
    Ok(end - start)
}

/// The blocks that [`write()`] gives a part of a compressed file: `plain` is one of its parts of [`SEGMENT`] bytes, or the
/// last one. Whoever has the data can make the blocks of an image from it, and should check them, as another release of
/// a compressor may give others.
///
/// Returns [`Error::BadSize`] for a longer part and for a cluster size that doesn't exist.
pub fn pack_segment(plain: &[u8], compression: &Compression) -> Result<Vec<u8>> {
    if plain.len() as u64 > SEGMENT || !compression.is_valid() {
        return Err(Error::BadSize("there are no parts or clusters of this size".into()));
    }
    let mut encoder = codec::Encoder::new(compression)?;
    Ok(pack::pack(&mut encoder, compression, plain)?.data)
}
