//! What became of provisioning on this boot, for everything that comes after the initrd.
//!
//! It is in /run, so it goes with the boot. Only root reads it: lines about user data have names in them.

use std::io;

use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::source::Host;
use crate::{Error, Result};

const PATH: &str = "/run/twinhull/provision.json";
const ROLE: &str = "the outcome of provisioning";

/// What the machine is based on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The image's own settings: nobody has ever said who this machine is.
    #[default]
    Image,
    /// What an earlier boot stored.
    Stored,
    /// What its source said on this boot.
    Source,
}

/// `provision.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// What the machine is based on.
    pub basis: Basis,
    /// The source that was heard on this boot or an earlier one.
    pub source: Option<String>,
    /// URL or device of the source that was heard on this boot.
    pub place: Option<String>,
    /// User data in use, as recognised and summed up.
    pub user_data: Option<String>,
    /// What was tolerated.
    pub warnings: Vec<String>,
    /// What was asked for and is not so.
    pub failures: Vec<String>,
    /// The most memory that the agent took in the initrd, in bytes; where the kernel says so.
    pub peak_memory: Option<u64>,
}

impl Outcome {
    /// Keeps it for this boot, with all that the console said.
    pub fn save(mut self, host: &Host<'_>, console: &Console<'_>) -> Result<()> {
        self.warnings.clone_from(&console.warnings);
        self.failures.clone_from(&console.failures);
        self.peak_memory = peak_memory();
        let path = host.path(PATH);
        let json = serde_json::to_vec_pretty(&self).map_err(io::Error::other);
        json.and_then(|json| twinhull_sysutil::atomic::replace(&path, &json, 0o600))
            .map_err(Error::file(ROLE, path))
    }

    /// The outcome of this boot; `None` when the agent didn't run in its initrd.
    pub fn load(host: &Host<'_>) -> Result<Option<Self>> {
        let path = host.path(PATH);
        match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::Document {
                place: path.display().to_string(),
                problem: format!("this isn't an outcome of ours: {e}"),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file(ROLE, path)(e)),
        }
    }

    /// Why this machine doesn't count as provisioned; `None`: it does. Whoever knew it on an earlier boot need not
    /// be there.
    pub fn missing(&self) -> Option<String> {
        match self.basis {
            _ if !self.failures.is_empty() => Some(self.failures.join("; ")),
            Basis::Image => Some("no source has said who this machine is".into()),
            Basis::Stored | Basis::Source => None,
        }
    }
}

/// `VmHWM` of proc_pid_status(5).
fn peak_memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/self/status").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kib.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Boottime;

    #[test]
    fn only_root_reads_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { root: dir.path().to_owned(), clock: &Boottime };
        assert_eq!(Outcome::load(&host).unwrap(), None);
        fs_err::create_dir_all(host.path("/run/twinhull")).unwrap();
        let mut out = Vec::new();
        let mut console = Console::new(&mut out);
        console.fail("no");
        let outcome = Outcome { basis: Basis::Source, source: Some("aws".into()), ..Outcome::default() };
        outcome.clone().save(&host, &console).unwrap();
        let loaded = Outcome::load(&host).unwrap().unwrap();
        assert!(loaded.peak_memory.is_some_and(|n| n > 100_000), "{loaded:?}");
        assert_eq!(
            loaded,
            Outcome { failures: vec!["no".into()], peak_memory: loaded.peak_memory, ..outcome }
        );
        let meta = fs_err::metadata(host.path(PATH)).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
        fs_err::write(host.path(PATH), "[").unwrap();
        assert!(Outcome::load(&host).unwrap_err().to_string().contains("isn't an outcome of ours"));
    }

    #[test]
    fn what_counts_as_provisioned() {
        for (basis, failure, missing) in [
            (Basis::Source, None, None),
            (Basis::Stored, None, None),
            (Basis::Image, None, Some("no source has said who this machine is")),
            (Basis::Source, Some("user data: wrong"), Some("user data: wrong")),
        ] {
            let failures = failure.map(str::to_owned).into_iter().collect();
            let outcome = Outcome { basis, failures, ..Outcome::default() };
            assert_eq!(outcome.missing().as_deref(), missing);
        }
    }
}
