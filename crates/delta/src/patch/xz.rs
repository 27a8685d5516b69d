//! Files that a distribution packed with xz, such as kernel modules: every byte of the packed file depends on all bytes
//! before it, so patches are between the plain data, and the result is packed again.
//!
//! Only one way of packing is known, that of the kernel's makefiles with a present xz: blocks of 3 MiB that begin anew and
//! say how long they are. The builder makes a patch only where that gives the file it has. The container is written here and
//! not by liblzma, whose encoder for such blocks has threads, and takes 4 MiB more as it holds whole blocks.

use std::io::{Read as _, Write as _};

use liblzma::read::XzDecoder;
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use crate::index::varint;

/// Bytes of the dictionary, which is what the last byte of [`FILTER`] says.
const DICTIONARY: u32 = 1 << 20;
/// LZMA2, with one byte of properties.
const FILTER: [u8; 3] = [0x21, 1, 16];
/// Plain bytes of a block.
const BLOCK: usize = 3 * DICTIONARY as usize;
/// Bytes of a block's header: it has room for the longest lengths there could be.
const HEADER: usize = 20;
/// Checks are CRC32.
const FLAGS: [u8; 2] = [0, 1];
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
    let mut out = b"\xfd7zXZ\0".to_vec();
    out.extend(FLAGS);
    out.extend(crc(&FLAGS));
    let mut index = vec![0];
    varint::put(&mut index, plain.len().div_ceil(BLOCK) as u64);
    for block in plain.chunks(BLOCK) {
        let packed = lzma2(block)?;
        let mut header = vec![(HEADER / 4 - 1) as u8, 0xc0];
        varint::put(&mut header, packed.len() as u64);
        varint::put(&mut header, block.len() as u64);
        header.extend(FILTER);
        header.resize(HEADER - 4, 0);
        header.extend(crc(&header));
        out.extend(header);
        varint::put(&mut index, (HEADER + packed.len() + 4) as u64);
        varint::put(&mut index, block.len() as u64);
        out.extend(packed);
        fill(&mut out);
        out.extend(crc(block));
    }
    fill(&mut index);
    index.extend(crc(&index));
    let mut footer = u32::try_from(index.len() / 4 - 1).ok()?.to_le_bytes().to_vec();
    footer.extend(FLAGS);
    out.extend(index);
    out.extend(crc(&footer));
    out.extend(footer);
    out.extend(b"YZ");
    Some(out)
}

/// A block's data.
fn lzma2(plain: &[u8]) -> Option<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(6).ok()?;
    options.dict_size(DICTIONARY);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = XzEncoder::new_stream(Vec::new(), Stream::new_raw_encoder(&filters).ok()?);
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

/// Fills up to four bytes.
fn fill(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use liblzma::stream::{Check, MtStreamBuilder};

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

    /// Packed by liblzma as `xz --check=crc32 --lzma2=dict=1MiB -T2` does.
    fn by_threads(plain: &[u8]) -> Vec<u8> {
        let mut options = LzmaOptions::new_preset(6).unwrap();
        options.dict_size(DICTIONARY);
        let mut filters = Filters::new();
        filters.lzma2(&options);
        let mut builder = MtStreamBuilder::new();
        builder.threads(2).block_size(BLOCK as u64).filters(filters).check(Check::Crc32);
        let mut encoder = XzEncoder::new_stream(Vec::new(), builder.encoder().unwrap());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn it_is_packed_as_xz_does() {
        // Lengths around a block's, and data that shrinks: what doesn't is stored in another way.
        let text = b"a kernel module has words that come again and again; ".repeat(200_000);
        for len in [0, 1, 100, 5001, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77] {
            assert!(pack(&text[..len]).unwrap() == by_threads(&text[..len]), "{len}");
        }
    }
}
