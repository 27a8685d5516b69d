//! Getting at the ELF file in a compressed module.

use std::io::Read;

use crate::{Error, Result};

/// Decompresses a module by its name's suffix (`.ko.xz`, `.ko.zst`, `.ko.gz`; anything else is
/// returned as it is) and gives its name without that suffix and its bytes.
///
/// Returns [`Error::TooLarge`] when more than `limit` bytes come out, [`Error::Damaged`] when
/// the compressed data is broken.
pub fn decompress_module(name: &str, bytes: &[u8], limit: u64) -> Result<(String, Vec<u8>)> {
    let damaged = |e: std::io::Error| Error::Damaged { path: name.to_owned(), reason: e.to_string() };
    let (plain, reader): (&str, Box<dyn Read + '_>) = if let Some(plain) = name.strip_suffix(".xz") {
        (plain, Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes)))
    } else if let Some(plain) = name.strip_suffix(".zst") {
        (plain, Box::new(zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?))
    } else if let Some(plain) = name.strip_suffix(".gz") {
        (plain, Box::new(flate2::read::MultiGzDecoder::new(bytes)))
    } else {
        (name, Box::new(bytes))
    };
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(damaged)?;
    if out.len() as u64 > limit {
        return Err(Error::TooLarge { path: name.to_owned(), limit, what: "a kernel module" });
    }
    Ok((plain.to_owned(), out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn every_compression_comes_back() {
        let plain = vec![7u8; 5000];
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&plain).unwrap();
        let zst = zstd::encode_all(&plain[..], 1).unwrap();
        for (name, packed) in [
            ("a.ko.xz", xz.finish().unwrap()),
            ("a.ko.gz", gz.finish().unwrap()),
            ("a.ko.zst", zst),
            ("a.ko", plain.clone()),
        ] {
            let (short, bytes) = decompress_module(name, &packed, 5000).unwrap();
            assert_eq!((short.as_str(), &bytes), ("a.ko", &plain), "{name}");
            assert!(matches!(decompress_module(name, &packed, 4999), Err(Error::TooLarge { .. })), "{name}");
        }
        assert!(matches!(decompress_module("a.ko.xz", b"junk", 9), Err(Error::Damaged { .. })));
    }
}
