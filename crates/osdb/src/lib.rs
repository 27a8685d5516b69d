//! The databases a Linux system needs before its first boot, written without running any of its
//! programs.
//!
//! Distributions fill these files in with tools that run inside the installed system: `ldconfig`,
//! `journalctl --update-catalog`, `systemd-hwdb update` and `depmod`. An image builder that may
//! neither run foreign programs nor change its root directory can't do that, so this crate reads
//! the same sources from a [`twinhull_tree::Tree`] and writes the same formats. The output
//! depends on nothing but the tree.

mod catalog;
mod error;
mod glob;
mod hwdb;
mod input;
mod kmod;
mod ld_cache;
mod strings;

pub use catalog::{CatalogEntry, catalog, parse_catalog};
pub use error::{Error, Result};
pub use glob::matches;
pub use hwdb::{HwdbReader, hwdb, hwdb_sources};
pub use kmod::{IndexOptions, ModInfo, ModuleDb, decompress_module, lookup_index, parse_modinfo};
pub use ld_cache::{LdCacheEntry, SonameLink, ld_cache, parse_ld_cache, soname_links};
