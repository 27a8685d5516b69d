//! Signed releases: what a web server's folder holds, who vouches for it, and what a machine checks before it
//! believes any of it. docs/reference/release.md is the formats' description.
//!
//! Trust is in signatures only. The [`Root`] says which keys may sign what and is followed from one version to the
//! next; a [`Channel`] points to the newest release; a [`Release`] names every file of a version with its digest.
//! [`check`] goes through all three and gives a new [`State`] only when everything holds. A [`DiskImage`] is for installers,
//! and belongs to none of that.

mod check;
mod documents;
mod error;
mod key;
pub mod names;
mod signed;
mod state;
mod version;

pub use check::{Checked, Machine, Source, SourceError, check};
pub use documents::{
    Artefact, Channel, DiskImage, Document, FORMAT, Kind, Part, Patches, Release, Role, Rollout, Root, Rule,
    check_cmdline,
};
pub use error::{Attack, Error, Result};
pub use key::{PublicKey, SecretKey};
pub use signed::{Envelope, MAX_DOCUMENT, Signature};
pub use state::{Pinned, State};
pub use version::compare;
