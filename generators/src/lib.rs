//! Decisions of boot time: which disk is ours, what is mounted from it, where this machine is.
//!
//! Generators are functions of (root, output folder) and are tested on temporary trees; the binaries are a
//! few lines. [`disk`] is what the unit that grows the disk runs.

pub mod boot;
pub mod data;
mod definitions;
pub mod disk;
pub mod efi;
mod encryption;
mod error;
pub mod good;
pub mod provision;
pub mod trial;
mod unit;

pub use error::{Error, Result};

use std::path::{Path, PathBuf};

/// What systemd.generator(7) tells a generator.
#[derive(Debug, Clone)]
pub struct Context {
    /// The root of the file system; `/` except in tests.
    pub root: PathBuf,
    /// Folder for units of normal priority.
    pub units: PathBuf,
    /// Whether this is the initrd.
    pub initrd: bool,
}

impl Context {
    /// From the arguments and environment systemd gives: normal, early and late folder, and
    /// `SYSTEMD_IN_INITRD`.
    pub fn from_environment() -> Self {
        let units = std::env::args_os().nth(1).map_or_else(|| "/tmp".into(), PathBuf::from);
        let initrd = match std::env::var("SYSTEMD_IN_INITRD") {
            Ok(value) => value == "1",
            Err(_) => Path::new("/etc/initrd-release").exists(),
        };
        Context { root: "/".into(), units, initrd }
    }

    /// A path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The kernel command line as words; empty when it can't be read.
    pub fn command_line(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("/proc/cmdline")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// The value of the last `name=value` on the kernel command line.
    pub fn option(&self, name: &str) -> Option<String> {
        let words = self.command_line();
        words.iter().rev().find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }
}

/// Runs a generator and tells the kernel log why it failed: there is no journal yet.
pub fn main(name: &str, generate: impl FnOnce(&Context) -> Result<()>) -> std::process::ExitCode {
    match generate(&Context::from_environment()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("<3>{name}: {error}\n");
            if fs_err::write("/dev/kmsg", &line).is_err() {
                eprint!("{line}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
