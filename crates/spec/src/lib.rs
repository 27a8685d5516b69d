//! The image spec: what one YAML file may say, and what is wrong when it says something else.

mod model;

pub use model::{Boot, Debian, Disk, Emergency, Image, Profile, Spec, System, TreeSource};
