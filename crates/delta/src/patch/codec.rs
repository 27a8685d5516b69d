//! Making and applying a patch, and packing what came of it.

use std::io::Write;

use twinhull_fsimg::erofs::{self, Compression, SEGMENT};
use zstd::zstd_safe::DCtx;

use crate::{Error, Result};

/// As small as it gets.
const LEVEL: i32 = 19;
/// The patched part and what it is made from lie in a window of 2^25 bytes.
const WINDOW: u32 = 25;

/// How plain data is stored in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is, cut or filled up with zeros to whole blocks.
    Plain,
    /// In clusters.
    Packed(Compression),
}

impl Form {
    /// The `len` bytes of the image that hold `plain`.
    pub(crate) fn store(&self, plain: &[u8], len: u64) -> Option<Vec<u8>> {
        let mut bytes = match self {
            Form::Plain => plain.to_vec(),
            Form::Packed(compression) => erofs::pack_segment(plain, compression).ok()?,
        };
        match self {
            Form::Plain if len.abs_diff(bytes.len() as u64) < erofs::BLOCK => bytes.resize(len as usize, 0),
            _ => {}
        }
        (bytes.len() as u64 == len).then_some(bytes)
    }
}

/// A patch that makes `new` from `old`.
pub(crate) fn make(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), LEVEL, old)?;
    encoder.window_log(WINDOW)?;
    encoder.long_distance_matching(true)?;
    encoder.include_checksum(false)?;
    encoder.set_pledged_src_size(Some(new.len() as u64))?;
    encoder.write_all(new)?;
    Ok(encoder.finish()?)
}

/// What `patch` makes of `old`, `len` bytes.
pub(crate) fn apply(old: &[u8], patch: &[u8], len: u64) -> Result<Vec<u8>> {
    let wrong = Error::BadIndex("a patch is longer than it says");
    if len > SEGMENT {
        return Err(wrong);
    }
    // At once, as a stream would have a window of its own in memory.
    let mut context = DCtx::create();
    let failed = |code| Error::Io(std::io::Error::other(zstd::zstd_safe::get_error_name(code)));
    context.ref_prefix(old).map_err(failed)?;
    let mut out = Vec::with_capacity(len as usize);
    context.decompress(&mut out, patch).map_err(failed)?;
    if out.len() as u64 == len { Ok(out) } else { Err(wrong) }
}
