//! What can be wrong with the settings of reboots.
//!
//! All of it is found when settings are read. What goes wrong later (a lock server that is away) is no error but
//! a reason to wait.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A time zone that isn't there.
    #[error("the time zone {name:?} can't be used: {reason}")]
    Zone {
        /// The name as it was written.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A reboot window that makes no sense.
    #[error("reboot window {number}: {reason}")]
    Window {
        /// Which one, from 1.
        number: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A number of windows that can't be meant.
    #[error("there are {count} reboot windows; write 1 to {limit}, or choose another strategy")]
    WindowCount {
        /// How many there are.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The address of a lock server that can't be used. The address isn't repeated: it may have a password.
    #[error("the url of the lock server can't be used: {reason}")]
    Url {
        /// What is wrong and what to do.
        reason: String,
    },
    /// A group that FleetLock doesn't allow.
    #[error(
        "the group {group:?} of the lock server is empty or has more than letters, digits, `.` and `-`; rename it"
    )]
    Group {
        /// The group as it was written.
        group: String,
    },
    /// No identity to hold a lock with.
    #[error("a lock can't be asked for without an id; give the application-specific id of the machine")]
    NoId,
    /// Proxy settings that can't be used.
    #[error("the proxy of {scheme} can't be used: {reason}; correct the variable {scheme}_proxy or unset it")]
    Proxy {
        /// `http` or `https`.
        scheme: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No HTTP client could be made.
    #[error("no HTTP client can be set up: {0}; this is a mistake in the program, please report it")]
    Client(String),
    /// Not a machine id.
    #[error(
        "this is no machine id: {reason}; /etc/machine-id has 32 hexadecimal digits once the machine has booted"
    )]
    MachineId {
        /// What is wrong.
        reason: &'static str,
    },
    /// A wariness outside of its range.
    #[error("a wariness of {value} can't be used; write a number from 0 (among the first) to 1 (the last)")]
    Wariness {
        /// The value as it was written.
        value: f64,
    },
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
