//! What the pieces of an image are, and the short hashes they are found by.

use sha2::{Digest as _, Sha256};

/// Bytes of an extent's hash. With 2^16 extents on either side, one in 2^16 pairs of versions has two that are taken for
/// the same although they aren't; that costs the update a second round.
pub(crate) const EXTENT_HASH: usize = 6;
/// Bytes of a group's hash, of which there are few.
pub(crate) const GROUP_HASH: usize = 8;

/// The hash of an extent.
pub(crate) type ExtentHash = [u8; EXTENT_HASH];
/// The hash of a group.
pub(crate) type GroupHash = [u8; GROUP_HASH];

/// How a machine gets the bytes of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has them or fetches them from the image.
    Hashed(ExtentHash),
    /// They are in the index: node numbers and block addresses, which change whenever anything moves, and are small
    /// when they are compressed.
    Inline,
    /// They are zeros.
    Zero,
}

/// A piece of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) len: u64,
    pub(crate) kind: Kind,
}

/// Whole SHA-256 of an extent, of which the beginning is kept.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The first bytes of a digest.
pub(crate) fn short<const N: usize>(digest: [u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&digest[..N]);
    out
}
