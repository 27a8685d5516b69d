//! What clouds and tools wrap user data in: gzip, base64, and one in the other. A few kilobytes can unpack to
//! gigabytes, so everything that is unpacked comes out of one budget.

use std::io::Read;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The most layers around a document.
const LAYERS: usize = 3;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many bytes may still be unpacked.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Budget { left: limit, limit }
    }

    /// Unpacks gzip, all members of it, without counting it.
    fn peek(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(self.left as u64 + 1);
        let read = reader.read_to_end(&mut out);
        if out.len() > self.left {
            return Err(self.too_much("this gzip data unpacks"));
        }
        match read {
            Ok(_) => Ok(out),
            Err(_) => Err("this gzip data is damaged or cut off".into()),
        }
    }

    fn too_much(&self, what: &str) -> String {
        format!(
            "{what} to more than the {} bytes that user data may have in all: a decompression bomb?",
            self.limit
        )
    }

    /// Counts bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_much("this comes"))?;
        Ok(())
    }

    /// Unpacks gzip and counts what comes out.
    pub(super) fn gunzip(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let out = self.peek(bytes)?;
        self.take(out.len())?;
        Ok(out)
    }
}

/// Decodes base64 with any white space in it, padded or not.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    ENGINE.decode(text).ok()
}

/// A layer that was taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// gzip
    Gzip,
    /// base64
    Base64,
}

impl Layer {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Gzip => "gzip",
            Layer::Base64 => "base64",
        }
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x1f\x8b") {
            return Some(Layer::Gzip);
        }
        let code = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b) || b.is_ascii_whitespace();
        let digits = || bytes.iter().filter(|b| !b.is_ascii_whitespace()).count();
        // A word or two look like base64 as well; spaces inside of lines don't.
        let one_word = |line: &[u8]| !line.trim_ascii().contains(&b' ');
        (bytes.iter().all(code) && bytes.split(|b| *b == b'\n').all(one_word) && digits() >= 24)
            .then_some(Layer::Base64)
    }
}

/// Takes all layers off, outermost first.
pub(super) fn unwrap(bytes: &[u8], budget: &Budget) -> Result<(Vec<u8>, Vec<Layer>), String> {
    let (mut bytes, mut layers) = (bytes.to_vec(), Vec::new());
    while let Some(layer) = Layer::of(&bytes) {
        if layers.len() == LAYERS {
            return Err(format!("there are more than {LAYERS} layers of gzip and base64 around this"));
        }
        bytes = match layer {
            Layer::Gzip => budget.peek(&bytes)?,
            Layer::Base64 => {
                base64(&bytes).ok_or("this looks like base64, but isn't: it is damaged or cut off")?
            }
        };
        layers.push(layer);
    }
    Ok((bytes, layers))
}
