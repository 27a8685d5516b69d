//! What can go wrong with partitions.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is larger than the place planned for it.
    #[error(
        "{what} has {size} bytes, but {place} has room for {room}; raise {setting} in the spec to at least {advice}"
    )]
    NoRoom {
        /// What doesn't fit.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// Where it was to go.
        place: &'static str,
        /// The room there in bytes.
        room: u64,
        /// The setting to change.
        setting: &'static str,
        /// A value that would do, as people write it.
        advice: String,
    },
    /// A label with more than 36 UTF-16 units.
    #[error(
        "the partition label {label:?} has {length} characters, GPT allows {limit}; shorten image.id or image.version"
    )]
    LabelTooLong {
        /// The label.
        label: String,
        /// Its length in UTF-16 units.
        length: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// No valid partition table.
    #[error("{path}: no valid GPT: {reason}")]
    NoTable {
        /// Disk or image.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A partition table could not be written.
    #[error("the partition table could not be written: {0}")]
    Write(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
