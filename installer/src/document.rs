//! Whom and what to believe: the signed document beside an image.

use std::path::Path;

use twinhull_release::{DiskImage, Envelope, Kind, PublicKey, Rule};

use crate::Result;

/// What stands behind an image's name for its document.
pub const EXTENSION: &str = ".json";

/// A key as people give it: a file that `image-builder keygen` wrote, or its text, or 64 hexadecimal digits.
///
/// Returns what is wrong as a sentence.
pub fn parse_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).or_else(|bad| {
        let path = Path::new(text);
        if text.starts_with("-----") || !path.exists() {
            return Err(format!("{bad}, or a file with one in PEM"));
        }
        PublicKey::read(path).map_err(|e| e.to_string())
    })
}

/// The document in `bytes`, if every one of `keys` has signed it.
///
/// Returns [`crate::Error::Release`].
pub fn verify(bytes: &[u8], keys: &[PublicKey]) -> Result<DiskImage> {
    let keys: std::collections::BTreeSet<PublicKey> = keys.iter().copied().collect();
    // A rule without keys holds for anything; there are at most 64 signatures.
    let threshold = u32::try_from(keys.len().max(1)).unwrap_or(u32::MAX);
    Ok(Envelope::parse(Kind::DiskImage, bytes)?.open(&Rule { keys, threshold })?)
}

#[cfg(test)]
mod tests {
    use twinhull_release::{Artefact, FORMAT, SecretKey};

    use super::*;

    #[test]
    fn every_key_that_was_given_must_have_signed() {
        let document = DiskImage {
            format: FORMAT,
            image: "web".into(),
            version: "1".into(),
            arch: "arm64".into(),
            file: Artefact { length: 9, sha256: "a".repeat(64) },
            disk_length: 4 << 20,
        };
        let [a, b, c] = [1, 2, 3].map(|n| SecretKey::from_seed(&[n; 32]));
        let mut envelope = Envelope::new(&document).unwrap();
        envelope.sign(&a);
        envelope.sign(&b);
        let bytes = envelope.to_string().into_bytes();
        let keys = |keys: &[&SecretKey]| keys.iter().map(|key| key.public()).collect::<Vec<_>>();
        assert_eq!(verify(&bytes, &keys(&[&a])).unwrap(), document);
        assert_eq!(verify(&bytes, &keys(&[&a, &b, &a])).unwrap(), document);
        for wrong in [keys(&[]), keys(&[&c]), keys(&[&a, &c])] {
            assert!(verify(&bytes, &wrong).unwrap_err().to_string().contains("arbitrary software"));
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(verify(&bytes, &keys(&[&a, &b])).is_err(), "byte {at}");
        }
    }

    #[test]
    fn keys_are_files_or_text() {
        let dir = tempfile::tempdir().unwrap();
        let (key, path) = (SecretKey::from_seed(&[1; 32]).public(), dir.path().join("release.pub"));
        fs_err::write(&path, key.to_pem().unwrap()).unwrap();
        for text in [path.to_str().unwrap(), &key.to_string(), &key.to_pem().unwrap()] {
            assert_eq!(parse_key(text).unwrap(), key);
        }
        fs_err::write(&path, "x").unwrap();
        for (text, word) in [(path.to_str().unwrap(), "openssl"), ("release.pub.missing", "or a file")] {
            assert!(parse_key(text).unwrap_err().contains(word), "{text}");
        }
    }
}
