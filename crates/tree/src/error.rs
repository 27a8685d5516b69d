//! What can go wrong with a tree, each with the path it is about.

use std::path::PathBuf;

/// Errors of this crate. Paths inside a tree are shown with a leading slash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path named by the caller is not in the tree.
    #[error("the tree has no {0}")]
    Missing(String),
    /// A path exists but is of another kind than needed.
    #[error("{path} in the tree is {found}, where {wanted} was expected")]
    WrongKind {
        /// Path inside the tree.
        path: String,
        /// What it is.
        found: &'static str,
        /// What the caller needed.
        wanted: &'static str,
    },
    /// More than 40 symbolic links were followed.
    #[error("{0} in the tree leads through more than 40 symbolic links; is there a loop?")]
    TooManyLinks(String),
    /// A path contains `..`, NUL or an over-long component.
    #[error("{path:?} is not a path that a tree can hold: {reason}")]
    BadPath {
        /// The offending path, lossily decoded.
        path: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// An archive is damaged or uses a feature that is not understood.
    #[error("{archive}: at offset {offset}: {reason}")]
    Archive {
        /// The tar file.
        archive: PathBuf,
        /// Byte offset of the entry's header.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is larger than the caller allows in memory.
    #[error("{path} in the tree has {size} bytes; at most {limit} are read here")]
    TooLarge {
        /// Path inside the tree.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The cap in bytes.
        limit: u64,
    },
    /// The source of a tree can't be used as asked.
    #[error("{0}")]
    Source(String),
    /// Reading the host's files failed; `fs_err` names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
