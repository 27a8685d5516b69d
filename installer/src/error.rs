//! What can go wrong, said to somebody in front of a rescue system: what was expected, and the way out.

use std::io;
use std::path::PathBuf;

use twinhull_sysutil::size::human;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key, and no word that none is wanted.
    #[error(
        "nothing says whom to believe; give --key with the public key that signed the image, or --unsigned to do with \
         checksums, which stop accidents and nobody else"
    )]
    NoKey,
    /// A signed image without its document.
    #[error(
        "{name} does not exist; `image-builder sign-image` writes it, --signature says where it is if not beside the image"
    )]
    NoDocument {
        /// Where it was looked for.
        name: String,
    },
    /// Standard input has nothing beside it.
    #[error(
        "standard input has no signature beside it; give --signature with the image's .json, a file or a URL"
    )]
    NoDocumentForStdin,
    /// A document that isn't believed or makes no sense.
    #[error(transparent)]
    Release(#[from] twinhull_release::Error),
    /// Overwriting a disk needs a yes.
    #[error("nobody can be asked whether {} may be overwritten; give --yes if it may", disk.display())]
    NobodyToAsk {
        /// The disk.
        disk: PathBuf,
    },
    /// The answer was no.
    #[error("{} was not touched", disk.display())]
    Declined {
        /// The disk.
        disk: PathBuf,
    },
    /// Something that an image can't be written to.
    #[error("{} is {what}; {way_out}", path.display())]
    NoDisk {
        /// What was given.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to give instead.
        way_out: String,
    },
    /// Somebody uses it.
    #[error("{} is in use: {by}; nothing was written", path.display())]
    InUse {
        /// The disk.
        path: PathBuf,
        /// By whom, and how it gets free.
        by: String,
    },
    /// The image is larger than the disk.
    #[error(
        "{} has {} ({disk} bytes), the image needs {} ({image} bytes); nothing was written",
        path.display(),
        human(*disk),
        human(*image)
    )]
    TooSmall {
        /// The disk.
        path: PathBuf,
        /// Its size in bytes.
        disk: u64,
        /// The image's size in bytes.
        image: u64,
    },
    /// A source that can't be understood or isn't there.
    #[error("{name} can't be read: {reason}")]
    Source {
        /// URL or path.
        name: String,
        /// What happened.
        reason: String,
    },
    /// No Zstandard.
    #[error(
        "the image can't be unpacked: {reason}; a raw disk compressed with Zstandard is needed, such as \
         `image-builder convert --format raw.zst` writes"
    )]
    NoZstd {
        /// What the decompressor said.
        reason: String,
    },
    /// Unpacked, it is no disk.
    #[error("what is in the image is no disk to boot from: {reason}")]
    NoTable {
        /// What is wrong.
        reason: String,
    },
    /// It breaks off or has wrong bytes.
    #[error("the image is damaged at byte {at} of the disk: {reason}")]
    Damaged {
        /// Where in the unpacked disk.
        at: u64,
        /// What the decompressor said.
        reason: String,
    },
    /// More or fewer bytes than were signed.
    #[error("the image has {found} bytes, {signed} were signed; it is another file, or only a part of it")]
    WrongLength {
        /// What came; with a plus sign when more would have come.
        found: String,
        /// What was signed.
        signed: u64,
    },
    /// Other bytes than were signed.
    #[error(
        "the image is not what was signed: its SHA-256 is {found}, that in the signed document is {signed}"
    )]
    WrongDigest {
        /// Of what came.
        found: String,
        /// What was signed.
        signed: String,
    },
    /// The disk in the image has another length than expected.
    #[error("the disk in the image has {found} bytes, {expected} are expected by {whom}")]
    WrongDisk {
        /// What came.
        found: String,
        /// What should have come.
        expected: u64,
        /// Who says so.
        whom: &'static str,
    },
    /// Writing failed.
    #[error("{} can't be written at byte {at}: {source}", path.display())]
    Write {
        /// The disk.
        path: PathBuf,
        /// Where.
        at: u64,
        /// Why.
        source: io::Error,
    },
    /// A failure after the disk was touched.
    #[error(
        "{reason}\n\
         {} has no partition table now, neither the old one nor the new one, and nothing can boot from it. Whatever was \
         written is no harm; run the command again.",
        disk.display()
    )]
    Unfinished {
        /// The disk.
        disk: PathBuf,
        /// What went wrong.
        reason: Box<Error>,
    },
    /// A machine would become one that doesn't start.
    #[error("{0}; take the image for this one")]
    OtherProcessor(String),
    /// A machine that can't be taken over.
    #[error(transparent)]
    Takeover(#[from] crate::takeover::Error),
    /// Another failure of the host.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
