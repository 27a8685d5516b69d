//! The image spec: what one YAML file may say, and what is wrong when it says something else.

mod model;

pub use model::{Boot, Debian, Disk, Emergency, Image, Profile, Spec, System, TreeSource};

/// Reads a spec.
pub fn from_str(text: &str) -> Result<Spec, serde_saphyr::Error> {
    serde_saphyr::from_str(text)
}
