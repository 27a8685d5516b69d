//! Files that a distribution packed with xz, such as kernel modules: every byte of the packed file depends on all bytes
//! before it, so patches are between the plain data, and the result is packed again.
//!
//! Only one way of packing is known, that of the kernel's makefiles with a present xz: blocks of 3 MiB that begin anew. The
//! builder makes a patch only where that gives the file it has.

use std::io::{Read as _, Write as _};

use liblzma::read::XzDecoder;
use liblzma::stream::{Check, Filters, LzmaOptions, MtStreamBuilder, Stream};
use liblzma::write::XzEncoder;

/// Bytes of the dictionary; a block is three times as long.
const DICTIONARY: u32 = 1 << 20;
/// Most memory that unpacking may take, in bytes: enough for that dictionary.
const MEMORY: u64 = 8 << 20;

/// Whether a file of this path may be such a file.
pub(super) fn is_named(path: &[u8]) -> bool {
    path.ends_with(b".xz")
}

/// The plain data, if `packed` is such a file and has no more than `limit` bytes of it.
pub(super) fn unpack(packed: &[u8], limit: u64) -> Option<Vec<u8>> {
    let stream = Stream::new_stream_decoder(MEMORY, 0).ok()?;
    let mut plain = Vec::new();
    XzDecoder::new_stream(packed, stream).take(limit + 1).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= limit).then_some(plain)
}

/// The packed file.
pub(super) fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(6).ok()?;
    options.dict_size(DICTIONARY);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    // Its name says threads; its format is blocks that say how long they are.
    let mut builder = MtStreamBuilder::new();
    builder.threads(1).block_size(3 * u64::from(DICTIONARY)).filters(filters).check(Check::Crc32);
    let mut encoder = XzEncoder::new_stream(Vec::new(), builder.encoder().ok()?);
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::bytes;

    #[test]
    fn what_is_packed_comes_back() {
        for plain in [Vec::new(), b"module".to_vec(), bytes(3, 4 << 20)] {
            let packed = pack(&plain).unwrap();
            assert!(packed.starts_with(b"\xfd7zXZ\0"));
            assert_eq!(unpack(&packed, plain.len() as u64).as_ref(), Some(&plain));
            assert_eq!(plain.is_empty(), unpack(&packed, (plain.len() as u64).saturating_sub(1)).is_some());
        }
        assert_eq!(unpack(b"\xfd7zXZ\0 no", 100), None);
    }
}
