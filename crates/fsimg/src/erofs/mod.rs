//! Writes EROFS, the read-only file system of /usr, without kernel or mkfs.
//!
//! Layout (Documentation/filesystems/erofs in the kernel): the superblock at byte 1024, then inodes
//! with the tails of small files inlined, then whole data blocks in the order of the walk. Inodes are
//! extended ones, so times have nanoseconds and owners 32 bits. Data is not compressed.

mod inode;
mod layout;
mod superblock;

use std::io::{Seek, Write};

use twinhull_tree::Tree;

use crate::Result;

/// Block size in bytes; the kernel reads images whose blocks are no larger than its pages.
pub const BLOCK: u64 = 4096;

/// What determines an image besides its tree.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// UUID of the file system, big-endian bytes.
    pub uuid: [u8; 16],
    /// Time of the build, seconds since 1970.
    pub build_time: u64,
}

/// An image whose every inode and block has its place; nothing is written yet.
pub struct Image<'a> {
    plan: layout::Plan<'a>,
}

impl<'a> Image<'a> {
    /// Lays out `tree`.
    ///
    /// Returns [`crate::Error::Unsupported`] for what EROFS can't hold: attributes outside the `user.`,
    /// `trusted.`, `security.` and POSIX ACL name spaces, or more of them than fit an inode.
    pub fn new(tree: &'a Tree) -> Result<Self> {
        Ok(Image { plan: layout::Plan::new(tree)? })
    }

    /// Length of the image in bytes, a multiple of [`BLOCK`].
    pub fn len(&self) -> u64 {
        self.plan.len()
    }

    /// Never: an image has at least a superblock and a root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the image to `out` from its current position. `progress` is told how many bytes are done.
    ///
    /// Returns [`crate::Error::Unsupported`] for a file that became shorter in the meantime.
    pub fn write<W: Write + Seek>(
        &self,
        options: &Options,
        out: &mut W,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        self.plan.write(options, out, progress)
    }
}
