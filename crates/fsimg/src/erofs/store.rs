//! How packed data is kept from one image to the next.

use sha2::{Digest, Sha256};

use super::BLOCK;
use super::codec::Compression;
use super::pack::{Extent, Packed};

/// Changes whenever [`super::pack`] would pack the same data otherwise.
const FORMAT: &str = "erofs extents 2";

/// The key for data with this SHA-256, packed like that.
pub(super) fn key(compression: &Compression, digest: &[u8; 32]) -> [u8; 32] {
    // Another version of a library may pack otherwise.
    let (lz4, zstd) = (lzzzz::version_number(), zstd::zstd_safe::version_number());
    let text = format!("{FORMAT} {} {} {lz4} {zstd}", compression.algorithm, compression.cluster);
    Sha256::new().chain_update(text).chain_update(digest).finalize().into()
}

/// Number of extents, six bytes for each, blocks.
pub(super) fn encode(packed: &Packed) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + packed.extents.len() * 8 + packed.data.len());
    out.extend((packed.extents.len() as u32).to_le_bytes());
    for extent in &packed.extents {
        out.extend(extent.len.to_le_bytes());
        out.extend((extent.blocks << 1 | u16::from(extent.raw)).to_le_bytes());
    }
    out.extend(&packed.data);
    out
}

/// The packed form of `len` bytes of data from a store, unless it isn't one.
pub(super) fn decode(mut bytes: Vec<u8>, len: usize) -> Option<Packed> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let (table, data) = rest.split_at_checked(count.checked_mul(6)?)?;
    let extents: Vec<Extent> = table
        .chunks_exact(6)
        .map(|e| {
            let blocks = u16::from_le_bytes([e[4], e[5]]);
            Extent {
                len: u32::from_le_bytes([e[0], e[1], e[2], e[3]]),
                blocks: blocks >> 1,
                raw: blocks & 1 == 1,
            }
        })
        .collect();
    let total: u64 = extents.iter().map(|e| u64::from(e.len)).sum();
    let blocks: u64 = extents.iter().map(|e| u64::from(e.blocks)).sum();
    if total != len as u64 || blocks * BLOCK != data.len() as u64 {
        return None;
    }
    bytes.drain(..bytes.len() - (blocks * BLOCK) as usize);
    Some(Packed { extents, data: bytes })
}
