//! A disk image as a file of its own, for whoever writes it to a disk that has nothing to believe yet.

use serde::{Deserialize, Serialize};

use super::release::Artefact;
use super::{Document, Kind, check_arch, common};
use crate::names;

/// Longest file in bytes.
const MAX_FILE: u64 = 1 << 42;
/// Shortest disk in bytes: a table at both ends with something in between.
const MIN_DISK: u64 = 4 << 20;
/// Longest disk in bytes.
const MAX_DISK: u64 = 1 << 46;

/// A raw disk, compressed with Zstandard. It lies beside the file, whose name has `.json` behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskImage {
    /// Version of the format.
    pub format: u32,
    /// The image's name.
    pub image: String,
    /// Its version.
    pub version: String,
    /// For which processor: `x86-64`, `arm64`.
    pub arch: String,
    /// The compressed file.
    pub file: Artefact,
    /// Length of the disk in it, in bytes.
    pub disk_length: u64,
}

impl Document for DiskImage {
    const KIND: Kind = Kind::DiskImage;

    fn validate(&self) -> std::result::Result<(), String> {
        common(self.format, &self.image, &[])?;
        if !names::is_version(&self.version) {
            return Err("version is no version".into());
        }
        check_arch(&self.arch)?;
        if !(1..=MAX_FILE).contains(&self.file.length) || !names::is_digest(&self.file.sha256) {
            return Err("length or digest of the file makes no sense".into());
        }
        if !(MIN_DISK..=MAX_DISK).contains(&self.disk_length) || !self.disk_length.is_multiple_of(512) {
            return Err("a disk has 4 MiB to 64 TiB in sectors of 512 bytes".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Envelope, FORMAT, Rule, SecretKey};

    fn document() -> DiskImage {
        DiskImage {
            format: FORMAT,
            image: "web".into(),
            version: "1.0.0".into(),
            arch: "x86-64".into(),
            file: Artefact { length: 1000, sha256: "0".repeat(64) },
            disk_length: 8 << 30,
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        document().validate().unwrap();
        let change = |change: fn(&mut DiskImage)| {
            let mut document = document();
            change(&mut document);
            document.validate().unwrap_err()
        };
        for (error, word) in [
            (change(|d| d.format = 2), "format"),
            (change(|d| d.image = "../web".into()), "image"),
            (change(|d| d.version = String::new()), "version"),
            (change(|d| d.arch = "amd64".into()), "arch"),
            (change(|d| d.file.length = 0), "file"),
            (change(|d| d.file.length = MAX_FILE + 1), "file"),
            (change(|d| d.file.sha256 = "0".repeat(63)), "file"),
            (change(|d| d.disk_length = (8 << 30) + 1), "512"),
            (change(|d| d.disk_length = MIN_DISK - 512), "4 MiB"),
            (change(|d| d.disk_length = u64::MAX), "64 TiB"),
        ] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn no_other_document_stands_for_it() {
        let key = SecretKey::from_seed(&[3; 32]);
        let rule = Rule { keys: [key.public()].into(), threshold: 1 };
        let mut envelope = Envelope::new(&document()).unwrap();
        envelope.sign(&key);
        assert_eq!(envelope.open::<DiskImage>(&rule).unwrap(), document());
        // The same lines, signed as a release.
        let mut other = Envelope::parse(Kind::Release, envelope.to_string().as_bytes()).unwrap();
        assert!(other.signers(&rule).is_empty());
        other.sign(&key);
        let other = Envelope::parse(Kind::DiskImage, other.to_string().as_bytes()).unwrap();
        assert!(other.open::<DiskImage>(&rule).unwrap_err().attack().is_some());
    }
}
