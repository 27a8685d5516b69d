//! What can go wrong while a disk is written in another format.

use std::path::PathBuf;

use twinhull_sysutil::size::human;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is something else than a raw disk with a GPT.
    #[error(
        "{path} is {what}, not a raw disk image; give the NAME_VERSION.raw that `image-builder build` wrote"
    )]
    NotRaw {
        /// The input.
        path: PathBuf,
        /// What it seems to be.
        what: String,
    },
    /// The backup partition table is not where the primary one says, or that is not the disk's end.
    #[error(
        "{path} has {length} bytes, but its partition table is that of a disk of {expected} bytes; it is truncated, \
         or was enlarged without its table: copy or build it again"
    )]
    WrongLength {
        /// The input.
        path: PathBuf,
        /// Length of the file in bytes.
        length: u64,
        /// Length of the disk by its table in bytes.
        expected: u64,
    },
    /// The disk is larger than the format allows.
    #[error("a disk of {} is larger than {format} can hold ({} at most)", human(*size), human(*limit))]
    TooLarge {
        /// The format.
        format: &'static str,
        /// Length of the disk in bytes.
        size: u64,
        /// Longest disk in bytes.
        limit: u64,
    },
    /// A name of no format.
    #[error("{0:?} is no output format; known are {known}", known = crate::Format::ALL.map(crate::Format::name).join(", "))]
    UnknownFormat(String),
    /// The partition table can't be read or moved.
    #[error(transparent)]
    Table(#[from] twinhull_disk::Error),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
