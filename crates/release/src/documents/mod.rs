//! The documents that are signed, and what each must be like. Fields that aren't known are passed over, so that later
//! versions can say more; whoever changes the meaning of what is here raises `format`.

mod channel;
mod disk;
mod release;
mod root;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use channel::{Channel, Rollout};
pub use disk::DiskImage;
pub use release::{Artefact, Part, Patches, Release, check_cmdline};
pub use root::{Role, Root, Rule};

/// Version of the formats.
pub const FORMAT: u32 = 1;

/// Latest time in a document, seconds since 1970: the year 9999.
pub(crate) const MAX_TIME: u64 = 253_402_300_799;

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Which keys may sign what.
    Root,
    /// Which release is the newest.
    Channel,
    /// What a release is made of.
    Release,
    /// A disk image to install from.
    DiskImage,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Root => "root",
            Kind::Channel => "channel",
            Kind::Release => "release",
            Kind::DiskImage => "disk-image",
        })
    }
}

/// Something that is signed.
pub trait Document: Serialize + DeserializeOwned {
    /// What it is.
    const KIND: Kind;

    /// Checks what the types don't say.
    ///
    /// Returns what is wrong as a sentence.
    fn validate(&self) -> std::result::Result<(), String>;
}

/// The checks that all documents have in common.
fn common(format: u32, image: &str, times: &[u64]) -> std::result::Result<(), String> {
    if format != FORMAT {
        return Err(format!("its format is {format}, this program knows {FORMAT}; update the program"));
    }
    if !crate::names::is_image(image) {
        return Err("image is no image name".into());
    }
    if times.iter().any(|time| *time > MAX_TIME) {
        return Err("a time is later than the year 9999".into());
    }
    Ok(())
}

/// Checks that a document names a processor there are images for.
fn check_arch(arch: &str) -> std::result::Result<(), String> {
    if matches!(arch, "x86-64" | "arm64") {
        return Ok(());
    }
    Err("arch is neither \"x86-64\" nor \"arm64\"".into())
}
