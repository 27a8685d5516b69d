//! What can go wrong at boot, as one line for the console.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk the machine booted from can't be found.
    #[error("the boot disk can't be found: {0}")]
    NoBootDisk(String),
    /// The disk has no partition of the kind needed.
    #[error("{disk} has no {what} partition; {advice}")]
    NoPartition {
        /// Device node.
        disk: String,
        /// What was looked for.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The image's list has no such data disk.
    #[error("{list} has no data disk {name}")]
    NoDataDisk {
        /// What was asked for.
        name: String,
        /// The list.
        list: &'static str,
    },
    /// The machine wasn't started by something that says so on the kernel's command line.
    #[error(
        "the kernel's command line doesn't name a boot entry that is on the ESP; what systemd-boot has started is blessed \
         by systemd-bless-boot.service"
    )]
    NoEntry,
    /// A boot entry.
    #[error(transparent)]
    Slots(#[from] twinhull_slots::Error),
    /// The bridge of a machine with a BIOS.
    #[error(transparent)]
    Bridge(#[from] twinhull_bridge::Error),
    /// /var is encrypted and shouldn't be, or the other way round.
    #[error("{0}")]
    Encryption(String),
    /// A program failed.
    #[error("{program} failed with {status}")]
    Program {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A partition table.
    #[error(transparent)]
    Disk(#[from] twinhull_disk::Error),
    /// Reading or writing failed; `fs_err` names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
