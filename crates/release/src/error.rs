//! What can go wrong with releases. Attacks have names of their own: who reads a log should see at once that somebody
//! tried something, and which protection held.

use std::fmt;
use std::path::PathBuf;

use crate::documents::Kind;
use crate::{PublicKey, SourceError};

/// An attack that was refused, by the names of The Update Framework's specification, section 1.5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Attack {
    /// Too few signatures of keys that may sign this.
    #[error(
        "arbitrary software: the {kind} has {signed} of the {threshold} signatures it needs \
         (and {others} of keys that may not sign it, perhaps not any longer)"
    )]
    ArbitrarySoftware {
        /// What was to be believed.
        kind: Kind,
        /// Valid signatures of different keys of the rule.
        signed: usize,
        /// How many it takes.
        threshold: u32,
        /// Signatures of other keys, valid or not.
        others: usize,
    },
    /// Something older than what was seen already.
    #[error("rollback: {what} is {found}, this machine has seen {seen} already")]
    Rollback {
        /// What is compared, such as `the serial of channel "stable"`.
        what: String,
        /// What the server has.
        found: String,
        /// What was seen.
        seen: String,
    },
    /// A document whose time has passed.
    #[error(
        "freeze: the {kind} expired at {expires}, it is at least {now} (seconds since 1970); if the machine's clock \
         is right, the server holds newer documents back or its owner has to sign again"
    )]
    Freeze {
        /// What expired.
        kind: Kind,
        /// When, in seconds since 1970.
        expires: u64,
        /// The latest of the clock, the image's time and the last signed time.
        now: u64,
    },
    /// Parts that don't belong together.
    #[error("mix and match: {what} is {found}, but {expected} belongs here")]
    MixAndMatch {
        /// Which part.
        what: String,
        /// What it is.
        found: String,
        /// What was signed for.
        expected: String,
    },
    /// Two documents with the same number.
    #[error("equivocation: channel {channel:?} has two different documents with the serial {serial}")]
    Equivocation {
        /// The channel.
        channel: String,
        /// Their serial.
        serial: u64,
    },
    /// More bytes than there can be.
    #[error("endless data: {what} is longer than {limit} bytes")]
    EndlessData {
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A root that doesn't follow the one before.
    #[error("skipped root: {found} is where version {expected} of the root belongs")]
    SkippedRoot {
        /// The version found.
        found: u64,
        /// The version expected.
        expected: u64,
    },
}

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody tried something.
    #[error("refused, {0}")]
    Attack(#[from] Attack),
    /// A document that can't be understood.
    #[error("the {kind} can't be understood: {reason}")]
    Malformed {
        /// What it should be.
        kind: Kind,
        /// What is wrong.
        reason: String,
    },
    /// Something the server must have.
    #[error("the server has no {name}; was the release published as a whole?")]
    Missing {
        /// Name of the file.
        name: String,
    },
    /// A signature made elsewhere that doesn't fit.
    #[error(
        "this is no signature of the key {key} over the document; sign the file that `--prepare` wrote, as it is"
    )]
    WrongSignature {
        /// The key that should have made it.
        key: PublicKey,
    },
    /// Text that is no public key.
    #[error("{text:?} is no ed25519 public key; expected 64 lower-case hexadecimal digits")]
    BadKey {
        /// The text, shortened.
        text: String,
    },
    /// A key file that can't be used.
    #[error("{}: {reason}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// What a machine remembers is damaged.
    #[error("what is remembered of earlier updates can't be understood: {0}")]
    State(String),
    /// The server can't be read.
    #[error("{name} can't be fetched: {reason}")]
    Source {
        /// Name of the file.
        name: String,
        /// What happened.
        reason: SourceError,
    },
    /// Reading a file failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn malformed(kind: Kind, reason: &dyn fmt::Display) -> Self {
        // Serde quotes what it finds; control characters must not reach a terminal.
        let reason = reason.to_string().chars().filter(|c| !c.is_control()).take(300).collect();
        Error::Malformed { kind, reason }
    }

    /// The attack, if it was one.
    pub fn attack(&self) -> Option<&Attack> {
        match self {
            Error::Attack(attack) => Some(attack),
            _ => None,
        }
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
