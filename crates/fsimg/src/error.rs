//! What can go wrong while writing or checking an image.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tree holds something this file system or archive can't express.
    #[error("{path}: {reason}")]
    Unsupported {
        /// Path inside the tree.
        path: String,
        /// What it is and what to do about it.
        reason: String,
    },
    /// The content does not fit into the size asked for.
    #[error("{what} needs {needed} bytes, but only {available} are available")]
    NoRoom {
        /// What was being written.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
    },
    /// A size that the format doesn't allow.
    #[error("{0}")]
    BadSize(String),
    /// An image that is being read is damaged.
    #[error("{format} at offset {offset}: {reason}")]
    Damaged {
        /// The format that was expected.
        format: &'static str,
        /// Byte offset in the partition or file.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Data does not have the hash that the verity tree holds for it.
    #[error("block {block} (byte {} of the data) does not match its hash: {what}", block * 4096)]
    Mismatch {
        /// Number of the 4096-byte block.
        block: u64,
        /// Which hash was wrong.
        what: &'static str,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) fn unsupported(path: &[u8], reason: impl Into<String>) -> Error {
    Error::Unsupported { path: String::from_utf8_lossy(path).into_owned(), reason: reason.into() }
}

/// A file that became shorter between planning and writing.
pub(crate) fn shrunk(path: &[u8], error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            unsupported(path, "it became shorter while the image was being written; build again")
        }
        _ => error.into(),
    }
}
