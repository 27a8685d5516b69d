//! What can go wrong with indexes and plans.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The index isn't one, or not one that this version reads.
    #[error("the index can't be used: {0}; fetch the whole image instead")]
    BadIndex(&'static str),
    /// Less of the index is at hand than is needed.
    #[error("{needed} bytes of the index are needed, there are {available}")]
    TooShort {
        /// Bytes needed from the index's beginning.
        needed: u64,
        /// Bytes at hand.
        available: u64,
    },
    /// A plan was asked for before all of the index was there that it needs.
    #[error("the part of the index from byte {0} is still missing")]
    Missing(u64),
    /// Fetched bytes that aren't what the index says.
    #[error("bytes {start} to {} of the image are not what the index says; fetch them again", start + len)]
    NotVerified {
        /// First byte in the image.
        start: u64,
        /// Number of bytes.
        len: u64,
    },
    /// An image can't be indexed.
    #[error("the image can't be indexed: {0}")]
    BadImage(String),
    /// An image could not be read, or the index not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
