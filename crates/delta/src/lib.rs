//! Deltas between any two versions of a usr image: what a machine has already, and what it has to fetch.
//!
//! The release has an index of its image, made by [`write_index`]. A machine reads the head of that file ([`Head`]),
//! looks through the images it has ([`Scan`]), and is told by a [`Planner`] which parts of the index it needs and then
//! which ranges of the image ([`Plan`]). Its old image is cut and hashed by the same code as the new one was, so there
//! is no file for a pair of versions, and no old index. docs/reference/index.md describes the format.
//!
//! For pairs of versions that the builder chooses there can be [`Patches`] as well: a plan takes them where they are
//! smaller than what it would fetch ([`Plan::patch`]).
//!
//! Nothing here opens a connection or writes to a disk. Nothing here makes an image trustworthy either: the hashes are
//! short, and find things. Whoever has written the image checks it against its root hash.

mod cut;
mod error;
mod extent;
mod index;
mod patch;
mod plan;
mod planner;
#[cfg(test)]
mod samples;
mod scan;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use index::{Head, MAX_INDEX, write_index};
pub use patch::{Patch, Patches, write_patches};
pub use plan::{Plan, Step, Totals, Wanted};
pub use planner::{DEFAULT_GAP, Planner, Reuse};
pub use scan::Scan;
