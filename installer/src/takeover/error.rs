//! Why a machine isn't taken over. Until the disk is touched, each of these leaves the machine as it was.

use std::path::PathBuf;

use twinhull_sysutil::size::human;

/// Errors of a takeover.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Only root can load a kernel and see all keys.
    #[error("only root can take over a machine; run it with sudo")]
    NotRoot,
    /// Another processor.
    #[error("a takeover is for x86-64, and this machine has {0}; install from its rescue system instead")]
    Processor(&'static str),
    /// The kernel isn't ours to replace.
    #[error("this is a container ({0}); a takeover replaces the kernel, so run it on the machine itself")]
    Container(String),
    /// Switched off.
    #[error(
        "this machine loads no further kernels until it restarts (kernel.kexec_load_disabled is 1); see what sets that in \
         /etc/sysctl.d, take it away and restart, or install from a rescue system"
    )]
    SwitchedOff,
    /// Nothing to start.
    #[error(
        "the running kernel's image isn't there ({} and {}); was the kernel updated since the machine started? Restart it and \
         try again", tried[0].display(), tried[1].display()
    )]
    NoKernel {
        /// Where it was looked for.
        tried: [PathBuf; 2],
    },
    /// Not the static program.
    #[error(
        "this twinhull-install needs shared libraries, and there are none where it goes on; use the static one that \
         `cargo xtask installer` makes"
    )]
    Libraries,
    /// A kernel that isn't taken.
    #[error("the installer's kernel can't be loaded: {0}; install from a rescue system instead")]
    Kexec(#[from] twinhull_kexec::Error),
    /// Somebody's kernel is loaded.
    #[error("another kernel is loaded by kexec already, for whatever reason; take it away with `kexec -u`")]
    Loaded,
    /// A program that says what the network is like.
    #[error("`{command}` failed: {reason}; it says what the network is like (package iproute2)")]
    Ip {
        /// What was run.
        command: String,
        /// What came of it.
        reason: String,
    },
    /// No disk, or too many.
    #[error("{place} is on {what}, so it can't be told which disk is meant; name it, such as /dev/sda")]
    WhichDisk {
        /// What lies on it.
        place: &'static str,
        /// What was found.
        what: String,
    },
    /// Nothing to know the disk by.
    #[error(
        "{} has no partition table, so the installer couldn't be sure to find it again; install from a rescue system instead",
        .0.display()
    )]
    NoTable(PathBuf),
    /// Two that are the same.
    #[error(
        "{found} disks have {size} bytes and begin like the one that is meant, and exactly one should ({names}); {way_out}"
    )]
    Lookalikes {
        /// How many.
        found: usize,
        /// Their size.
        size: u64,
        /// Their names.
        names: String,
        /// What to do.
        way_out: &'static str,
    },
    /// Memory is too small.
    #[error(
        "the image has {image} MiB and needs a machine with {need} MiB of memory, because it is unpacked from there; this one \
         has {found} MiB; install from a rescue system instead, which needs no room for the image"
    )]
    Memory {
        /// The compressed image.
        image: u64,
        /// What is needed.
        need: u64,
        /// What there is.
        found: u64,
    },
    /// Memory is in use.
    #[error(
        "the image has {image} MiB and needs {need} MiB of free memory until the machine restarts; {found} MiB are available; \
         stop what uses the rest"
    )]
    FreeMemory {
        /// The compressed image.
        image: u64,
        /// What is needed.
        need: u64,
        /// What there is.
        found: u64,
    },
    /// Too large for an initrd.
    #[error("the compressed image has {}, an initrd takes less than 2.0 GiB; install from a rescue system instead", human(*.0))]
    TooLong(u64),
    /// No room for the seed.
    #[error(
        "{} has {}, and behind the slots of the image there is no room for {} with what this machine keeps; a larger disk is \
         needed", path.display(), human(*disk), human(super::SEED)
    )]
    NoRoom {
        /// The disk.
        path: PathBuf,
        /// Its size.
        disk: u64,
    },
    /// A table that can't be changed.
    #[error("the image's partition table can't take a partition more: {0}")]
    Table(#[from] twinhull_disk::Error),
    /// Nobody could log in.
    #[error(
        "no SSH key is found for root or somebody who may use sudo, so nobody could log in; put one into \
         /root/.ssh/authorized_keys, or give --without-keys if the image lets you in by other means{left_out}"
    )]
    NoKeys {
        /// What was found and isn't taken.
        left_out: String,
    },
    /// The way out of the machine can't be kept.
    #[error(
        "the default route is on {0}, which is no card and can't be kept, so nobody could reach the new system; put it on a \
         card, or install from a rescue system with user data that describe it"
    )]
    DefaultRoute(String),
    /// Modules that can't be read.
    #[error("the kernel's modules can't be taken along: {0}")]
    Modules(String),
    /// The archive.
    #[error("the installer's initrd can't be made: {0}")]
    Initrd(String),
    /// No restart.
    #[error(
        "everything is loaded, but the machine doesn't go down: {0}; `systemctl kexec` goes on, `kexec -u` takes it back"
    )]
    Restart(String),
    /// The disk doesn't show up.
    #[error("no disk of {size} bytes begins as {name} did; found {found} in {seconds} s")]
    Gone {
        /// What it was called.
        name: String,
        /// Its size.
        size: u64,
        /// What there is.
        found: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A system call of the new PID 1.
    #[error("{what} failed: {source}")]
    Call {
        /// What was done.
        what: &'static str,
        /// Why it wasn't.
        source: std::io::Error,
    },
}
