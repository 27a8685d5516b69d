//! Cuts file data into compressed extents: as much data as fits the largest cluster, again and again.
//!
//! Long files are cut into segments that are packed independently, so that all processors can work on one
//! file, memory stays bounded, and a change early in a file leaves the blocks of later segments as they were.

use super::BLOCK;
use super::codec::{Compression, Encoder};
use crate::Result;

/// Bytes of a file that are packed as one, a multiple of [`BLOCK`].
pub const SEGMENT: u64 = 8 << 20;

/// Most data in one extent, in bytes. LZ4 can't get more into a block than 255 times its size, and nobody
/// should have to decompress megabytes for one page.
const MAX_EXTENT: usize = 1_000_000;

/// A run of file data and the whole blocks that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of file data.
    pub(super) len: u32,
    /// Blocks on disk.
    pub(super) blocks: u16,
    /// Not compressed; one block then, its data at the start.
    pub(super) raw: bool,
}

/// A packed segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Extents in the data's order.
    pub(super) extents: Vec<Extent>,
    /// Their blocks, one after the other.
    pub(super) data: Vec<u8>,
}

/// Packs `src`, at most [`SEGMENT`] bytes.
///
/// A block's index has room for one boundary between extents, so every extent but the last one of `src` must
/// reach the block (of file data) after the one it begins in: a compressed one does since it holds more data
/// than it has blocks, a raw one since it holds a block's worth.
pub(super) fn pack(encoder: &mut Encoder, compression: &Compression, src: &[u8]) -> Result<Packed> {
    const LEN: usize = BLOCK as usize;
    encoder.reset();
    let mut packed = Packed::default();
    let mut cluster = vec![0; compression.cluster as usize];
    let mut at = 0;
    while at < src.len() {
        let rest = &src[at..];
        let (used, written) = if rest.len() > LEN {
            encoder.fill(&rest[..rest.len().min(MAX_EXTENT)], &mut cluster)?
        } else {
            (0, 0)
        };
        let blocks = written.div_ceil(LEN);
        if blocks > 0 && used > blocks * LEN {
            // Readers skip zeros before the stream; its end is the cluster's end.
            let end = packed.data.len() + blocks * LEN;
            packed.data.resize(end - written, 0);
            packed.data.extend_from_slice(&cluster[..written]);
            packed.extents.push(Extent { len: used as u32, blocks: blocks as u16, raw: false });
            at += used;
            continue;
        }
        // What didn't shrink as a whole is not tried again in parts.
        let raw = if used + LEN > rest.len() { rest.len() } else { (used / LEN).max(1) * LEN };
        for piece in rest[..raw].chunks(LEN) {
            packed.data.extend_from_slice(piece);
            packed.data.resize(packed.data.len().next_multiple_of(LEN), 0);
            packed.extents.push(Extent { len: piece.len() as u32, blocks: 1, raw: true });
        }
        at += raw;
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Algorithm, decompress};
    use super::*;
    use proptest::prelude::*;

    /// Data that is partly repetitive and partly not.
    fn mixed(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 61 {
                0..3 => out.extend(std::iter::repeat_n((state >> 40) as u8, (state >> 48) as usize % 20_000)),
                3..6 => out.extend_from_slice(b"the same words again, and again ".as_slice()),
                _ => (0..500).for_each(|n| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
                    out.push((state >> 56) as u8);
                }),
            }
        }
        out.truncate(len);
        out
    }

    fn check(algorithm: Algorithm, cluster: u32, src: &[u8]) {
        let compression = Compression { algorithm, cluster };
        let packed = pack(&mut Encoder::new(&compression).unwrap(), &compression, src).unwrap();
        let (mut at, mut block) = (0, 0);
        for (n, extent) in packed.extents.iter().enumerate() {
            let (len, blocks) = (extent.len as usize, usize::from(extent.blocks));
            let data = &packed.data[block * 4096..(block + blocks) * 4096];
            if extent.raw {
                assert_eq!(&data[..len], &src[at..at + len]);
                assert_eq!(blocks, 1);
            } else {
                let mut plain = vec![0; len];
                decompress(algorithm.id(), data, &mut plain).unwrap();
                assert_eq!(plain, &src[at..at + len]);
                assert!(blocks * 4096 <= cluster as usize && len > blocks * 4096);
            }
            if n + 1 < packed.extents.len() {
                assert!((at + len) / 4096 > at / 4096, "an extent ends in the block in which it begins");
            }
            at += len;
            block += blocks;
        }
        assert_eq!((at, block * 4096), (src.len(), packed.data.len()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_extent_unpacks(seed: u64, len in 0_usize..400_000, blocks in 1_u32..40, which in 0_usize..4) {
            let algorithm = [Algorithm::Lz4, Algorithm::Lz4hc(3), Algorithm::Zstd(3), Algorithm::Zstd(12)][which];
            check(algorithm, blocks * 4096, &mixed(seed, len));
        }
    }

    #[test]
    fn extremes_unpack() {
        for algorithm in [Algorithm::Lz4, Algorithm::Lz4hc(9), Algorithm::Zstd(3)] {
            check(algorithm, 65_536, &vec![0; 3_000_000]);
            check(algorithm, 4096, &[]);
            check(algorithm, 4096, b"x");
        }
    }
}
