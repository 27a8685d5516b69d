//! A release: every file of a version with its length and digest.

use serde::{Deserialize, Serialize};

use super::{Document, Kind, check_arch, common};
use crate::{Attack, Result, names};

/// Longest usr image or hash tree in bytes.
const MAX_SLOT: u64 = 1 << 40;
/// Longest UKI in bytes.
const MAX_UKI: u64 = 1 << 30;
/// Longest index or file of patches in bytes.
const MAX_DELTA: u64 = 1 << 30;
/// Most versions that there can be patches from.
const MAX_PATCHES: usize = 64;

/// What is known of a file before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Which file of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The usr image, byte for byte as in the slot.
    Usr,
    /// Its index, by which machines find what they have of it.
    UsrIndex,
    /// Its hash tree.
    Verity,
    /// The UKI.
    Uki,
    /// Its index.
    UkiIndex,
}

impl Part {
    /// All parts.
    pub const ALL: [Part; 5] = [Part::Usr, Part::UsrIndex, Part::Verity, Part::Uki, Part::UkiIndex];
    /// What a version consists of, in the order it is written to a machine's disk. The others only save bytes.
    pub const NEEDED: [Part; 3] = [Part::Usr, Part::Verity, Part::Uki];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Part::Usr => "usr image",
            Part::UsrIndex => "index of the usr image",
            Part::Verity => "hash tree",
            Part::Uki => "UKI",
            Part::UkiIndex => "index of the UKI",
        }
    }

    fn max(self) -> u64 {
        match self {
            Part::Usr | Part::Verity => MAX_SLOT,
            Part::Uki => MAX_UKI,
            Part::UsrIndex | Part::UkiIndex => MAX_DELTA,
        }
    }
}

/// Patches from an earlier version's usr image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patches {
    /// The earlier version.
    pub from: String,
    /// Their file.
    #[serde(flatten)]
    pub file: Artefact,
}

/// What a version is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Version of the format.
    pub format: u32,
    /// The image's name.
    pub image: String,
    /// Its version.
    pub version: String,
    /// For which processor: `x86-64`, `arm64`.
    pub arch: String,
    /// Upper bound of its time stamps, seconds since 1970.
    pub created: u64,
    /// dm-verity root hash of the usr image, 64 hexadecimal digits.
    pub root_hash: String,
    /// The usr image.
    pub usr: Artefact,
    /// Its index.
    pub usr_index: Artefact,
    /// Its hash tree.
    pub verity: Artefact,
    /// The UKI.
    pub uki: Artefact,
    /// Its index.
    pub uki_index: Artefact,
    /// Patches, for machines that run one of these versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patches>,
}

impl Release {
    /// Length and digest of a part.
    pub fn part(&self, part: Part) -> &Artefact {
        match part {
            Part::Usr => &self.usr,
            Part::UsrIndex => &self.usr_index,
            Part::Verity => &self.verity,
            Part::Uki => &self.uki,
            Part::UkiIndex => &self.uki_index,
        }
    }

    /// Name of a part's file.
    pub fn file(&self, part: Part) -> String {
        match part {
            Part::Usr => names::usr(&self.image, &self.version, &self.root_hash),
            Part::UsrIndex => names::index(&self.file(Part::Usr)),
            Part::Verity => names::verity(&self.image, &self.version, &self.root_hash),
            Part::Uki => names::uki(&self.image, &self.version),
            Part::UkiIndex => names::index(&self.file(Part::Uki)),
        }
    }

    /// Name of the file of patches from an earlier version.
    pub fn patches_file(&self, from: &str) -> String {
        names::patches(&self.image, &self.version, from)
    }
}

/// Checks that a UKI with the command line `cmdline` starts the usr image with `root_hash`.
///
/// Returns [`Attack::MixAndMatch`] unless it has exactly one `usrhash=`, with that root hash.
pub fn check_cmdline(root_hash: &str, cmdline: &str) -> Result<()> {
    let hashes: Vec<&str> =
        cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("usrhash=")).collect();
    if hashes == [root_hash] {
        return Ok(());
    }
    Err(Attack::MixAndMatch {
        what: "usrhash= in the UKI".into(),
        found: if hashes.is_empty() { "missing".into() } else { format!("{hashes:?}") },
        expected: root_hash.into(),
    }
    .into())
}

impl Document for Release {
    const KIND: Kind = Kind::Release;

    fn validate(&self) -> std::result::Result<(), String> {
        common(self.format, &self.image, &[self.created])?;
        if !names::is_version(&self.version) {
            return Err("version is no version".into());
        }
        check_arch(&self.arch)?;
        if !names::is_digest(&self.root_hash) {
            return Err("root_hash is no root hash".into());
        }
        let makes_sense = |artefact: &Artefact, max| {
            (1..=max).contains(&artefact.length) && names::is_digest(&artefact.sha256)
        };
        if let Some(part) = Part::ALL.into_iter().find(|part| !makes_sense(self.part(*part), part.max())) {
            return Err(format!("length or digest of the {} makes no sense", part.name()));
        }
        if self.patches.len() > MAX_PATCHES {
            return Err(format!("there are patches from {} versions", self.patches.len()));
        }
        for patches in &self.patches {
            if !names::is_version(&patches.from) || !makes_sense(&patches.file, MAX_DELTA) {
                return Err("version, length or digest of patches makes no sense".into());
            }
        }
        if !self.usr.length.is_multiple_of(4096) || !self.verity.length.is_multiple_of(4096) {
            return Err("a file system or hash tree is made of blocks of 4096 bytes".into());
        }
        Ok(())
    }
}
