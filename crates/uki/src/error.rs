//! What can go wrong with PE files.

/// Errors of this crate. `role` says which file is meant: "stub", "kernel", "boot loader", "UKI".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a PE file for 64-bit EFI.
    #[error("the {role} is no EFI program: {reason}")]
    NotPe {
        /// Which file.
        role: &'static str,
        /// What is wrong, with the offset where there is one.
        reason: String,
    },
    /// A PE file for another architecture than the rest.
    #[error(
        "the {role} is for {found}, but the {other} is for {wanted}; take both from a tree of one architecture"
    )]
    WrongMachine {
        /// Which file.
        role: &'static str,
        /// What it is for.
        found: &'static str,
        /// The file it has to go with.
        other: &'static str,
        /// What that one is for.
        wanted: &'static str,
    },
    /// The stub's headers have no room for more sections.
    #[error(
        "the stub has room for {room} more sections, {needed} are needed; use the stub of systemd 252 or later"
    )]
    NoSectionRoom {
        /// Headers that fit.
        room: usize,
        /// Headers needed.
        needed: usize,
    },
    /// The result would not fit a 32-bit PE address.
    #[error("the UKI would be larger than 4 GiB")]
    TooLarge,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
