//! What keeps a machine from starting, or its bridge from being renewed.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Mounting and the like.
    #[error("{what} failed: {source}")]
    Call {
        /// What was to be done.
        what: &'static str,
        /// Why it wasn't.
        source: std::io::Error,
    },
    /// The kernel's command line lacks a word.
    #[error("the kernel's command line has no {0}, which GRUB's script on the disk should have given")]
    NoWord(&'static str),
    /// No disk has the partition.
    #[error("no disk with the EFI system partition {uuid} came up within {seconds} s; disks found: {found}")]
    NoEsp {
        /// UUID of the partition.
        uuid: String,
        /// How long it was waited for.
        seconds: u64,
        /// Names of the disks that came up.
        found: String,
    },
    /// No boot entry could be started.
    #[error("no boot entry in EFI/Linux on the ESP could be started")]
    NoEntry,
    /// The state file is no GRUB environment block with what GRUB's script needs.
    #[error("{} is no state of bridges: {problem}", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What was written isn't what is read.
    #[error("{} is not what was written to it; the ESP or its disk is damaged", .0.display())]
    Damaged(PathBuf),
    /// A boot entry.
    #[error(transparent)]
    Slots(#[from] twinhull_slots::Error),
    /// A UKI.
    #[error(transparent)]
    Kexec(#[from] twinhull_kexec::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
