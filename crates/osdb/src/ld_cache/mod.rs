//! The dynamic linker's cache, `/etc/ld.so.cache`.
//!
//! Without it the linker looks into its default directories only, so libraries in directories
//! that `ld.so.conf` adds aren't found. This follows what `ldconfig` of glibc 2.41 does: which
//! directories are searched ([`conf`]), which files count as libraries and under which names
//! ([`scan`]) and how the file looks ([`format`]).

mod conf;
mod elf;
mod format;
mod scan;

use twinhull_tree::Tree;

use crate::Result;
pub use format::{LdCacheEntry, parse_ld_cache};

/// A symbolic link that `ldconfig` would make so that a library is found by its soname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SonameLink {
    /// Where the link belongs, as seen through the directory's configured name.
    pub path: String,
    /// Its target, a file name in the same directory.
    pub target: String,
}

/// Writes the linker cache for the libraries of a tree.
///
/// Searched are the directories that `/etc/ld.so.conf` names (with its `include` globs), then
/// `/lib` and `/usr/lib`, then `/lib64` and `/usr/lib64` unless a multiarch directory
/// (`*-linux-gnu`) is configured, as Debian's `ldconfig` has it; each with its `glibc-hwcaps`
/// subdirectories. A directory with several names counts under the first. Libraries are 64-bit ELF shared objects
/// for x86-64, AArch64 and RISC-V (double float). Their paths are the soname's
/// (`/lib/x86_64-linux-gnu/libc.so.6`), or the real file's where the tree lacks that name; put
/// the links of [`soname_links`] in first to get what `ldconfig` writes. ISA levels of
/// `glibc-hwcaps` libraries aren't recorded; the linker then goes by the subdirectory's name.
///
/// Returns [`crate::Error::TooLarge`] for a library over 1 GiB or a configuration over 1 MiB,
/// and errors of reading the tree.
pub fn ld_cache(tree: &Tree) -> Result<Vec<u8>> {
    format::write(&scan::scan(tree)?.entries)
}

/// The links from sonames to files that `ldconfig` would add to the tree before it writes the
/// cache; none in a tree that a package manager set up.
///
/// Errors are those of [`ld_cache`].
pub fn soname_links(tree: &Tree) -> Result<Vec<SonameLink>> {
    Ok(scan::scan(tree)?.links)
}
