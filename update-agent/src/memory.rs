//! What the agent remembers between its runs: what it has seen of releases, and the last check. Files that can't be
//! read are no reason to stop updating: they are said, and begun anew from the image's own root.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use twinhull_release::{Envelope, Root, State};
use twinhull_sysutil::atomic;

/// Where it is kept.
pub const DIR: &str = "/var/lib/twinhull/update";

/// Largest file that is read, in bytes.
const MAX: u64 = 8 << 20;

/// How the last check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The newest version of the channel, when all of it could be believed.
    pub newest: Option<String>,
    /// What went wrong otherwise, as a sentence.
    pub problem: Option<String>,
}

/// Why a version did not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The version.
    pub version: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why, as a sentence.
    pub reason: String,
}

/// Most failures that are kept.
const FAILURES: usize = 32;

/// What failed boots said, the newest last.
pub fn failures(dir: &Path) -> Vec<Failure> {
    let text = read(&dir.join("failures.json")).ok().flatten();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Adds why a boot failed. It is on the disk when this returns: the machine reboots next.
pub fn add_failure(dir: &Path, failure: Failure) -> Result<()> {
    fs_err::create_dir_all(dir)?;
    let mut all = failures(dir);
    all.push(failure);
    let newest = all.len().saturating_sub(FAILURES);
    let text = serde_json::to_string(&all[newest..])? + "\n";
    Ok(atomic::replace(&dir.join("failures.json"), text.as_bytes(), 0o644)?)
}

/// The folder, for one agent at a time.
#[derive(Debug)]
pub struct Memory {
    dir: PathBuf,
    _lock: fs_err::File,
}

impl Memory {
    /// Opens the folder `dir`, and makes it if it is missing. Fails while another agent has it.
    pub fn open(dir: &Path) -> Result<Self> {
        fs_err::create_dir_all(dir)?;
        let lock =
            fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                bail!(
                    "another update-agent is at work; wait for it, `systemctl status twinhull-update` shows it"
                )
            }
            result => result?,
        }
        Ok(Memory { dir: dir.to_owned(), _lock: lock })
    }

    /// What was seen of releases. A root in the image that is newer than the one that was seen, or another one, comes
    /// first: whoever installed the image trusts it.
    pub fn state(&self, first: &Envelope) -> Result<State> {
        let fresh = State::new(first)?;
        let Some(text) = read(&self.dir.join("state.json"))? else { return Ok(fresh) };
        let seen = match State::parse(&text) {
            Ok(seen) => seen,
            Err(error) => {
                eprintln!("<4>{error}; it is begun anew from the root in the image");
                return Ok(fresh);
            }
        };
        let root: Root = first.contents()?;
        let known = seen.root()?;
        let follows = known.image == root.image && (known.version > root.version || known == root);
        Ok(if follows { seen } else { fresh })
    }

    /// Remembers what was verified.
    pub fn set_state(&self, state: &State) -> Result<()> {
        let path = self.dir.join("state.json");
        atomic::replace(&path, state.to_json()?.as_bytes(), 0o600)
            .with_context(|| format!("{} can't be written", path.display()))
    }

    /// Versions that have used up their tries. They are remembered when their slot is long another one's.
    pub fn given_up(&self) -> Vec<String> {
        let text = read(&self.dir.join("given-up.json")).ok().flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Adds versions that have used up their tries.
    pub fn give_up(&self, versions: &[&str]) -> Result<()> {
        let mut all = self.given_up();
        let known = all.len();
        for version in versions {
            if !all.iter().any(|known| known == version) {
                all.push((*version).to_owned());
            }
        }
        if all.len() == known {
            return Ok(());
        }
        let newest = all.len().saturating_sub(FAILURES);
        let text = serde_json::to_string(&all[newest..])? + "\n";
        Ok(atomic::replace(&self.dir.join("given-up.json"), text.as_bytes(), 0o644)?)
    }

    /// Whether the machine was rebooted for `entry`, a boot file, already: if it comes back and the file still has the
    /// same name, the boot loader starts something else. Remembers that it is now.
    pub fn rebooted_for(dir: &Path, entry: &str) -> Result<bool> {
        let path = dir.join("rebooted-for");
        if read(&path)?.is_some_and(|last| last == entry.as_bytes()) {
            return Ok(true);
        }
        atomic::replace(&path, entry.as_bytes(), 0o644)?;
        Ok(false)
    }

    /// The reboot didn't happen: the next run may try again.
    pub fn forget_reboot(dir: &Path) -> Result<()> {
        Ok(fs_err::remove_file(dir.join("rebooted-for"))?)
    }

    /// The last check.
    pub fn last_check(dir: &Path) -> Option<LastCheck> {
        serde_json::from_slice(&read(&dir.join("last-check.json")).ok()??).ok()
    }

    /// Remembers a check.
    pub fn set_last_check(&self, check: &LastCheck) -> Result<()> {
        let text = serde_json::to_string(check)? + "\n";
        Ok(atomic::replace(&self.dir.join("last-check.json"), text.as_bytes(), 0o644)?)
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match fs_err::File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use twinhull_release::{Rule, SecretKey};

    use super::*;

    fn root(image: &str, version: u64) -> Envelope {
        let key = SecretKey::from_seed(&[1; 32]);
        let rule = Rule { keys: BTreeSet::from([key.public()]), threshold: 1 };
        let root = Root {
            format: 1,
            image: image.into(),
            version,
            expires: 2_000_000_000,
            root: rule.clone(),
            release: rule.clone(),
            channel: rule,
        };
        let mut envelope = Envelope::new(&root).unwrap();
        envelope.sign(&key);
        envelope
    }

    #[test]
    fn the_newest_root_is_trusted_whatever_happened_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        let version = |first: &Envelope| memory.state(first).unwrap().root().unwrap().version;
        assert_eq!(version(&root("web", 1)), 1);
        memory.set_state(&State::new(&root("web", 3)).unwrap()).unwrap();
        assert_eq!(version(&root("web", 1)), 3);
        assert_eq!(version(&root("web", 4)), 4);
        let stranger = || {
            let mut contents: Root = root("web", 3).contents().unwrap();
            contents.root.keys = BTreeSet::from([SecretKey::from_seed(&[2; 32]).public()]);
            Envelope::new(&contents).unwrap()
        };
        assert_eq!(memory.state(&stranger()).unwrap().root().unwrap(), stranger().contents().unwrap());
        // Another image's past says nothing about this one.
        assert_eq!(version(&root("db", 1)), 1);
        fs_err::write(dir.path().join("state.json"), "{").unwrap();
        assert_eq!(version(&root("web", 2)), 2);
    }

    #[test]
    fn a_version_is_given_up_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        assert!(memory.given_up().is_empty());
        memory.give_up(&["2", "3"]).unwrap();
        memory.give_up(&["3"]).unwrap();
        assert_eq!(memory.given_up(), ["2", "3"]);
    }

    #[test]
    fn one_reboot_for_one_try() {
        let dir = tempfile::tempdir().unwrap();
        for (entry, before) in [("web_2+3.efi", false), ("web_2+3.efi", true), ("web_2+2-1.efi", false)] {
            assert_eq!(Memory::rebooted_for(dir.path(), entry).unwrap(), before, "{entry}");
        }
    }

    #[test]
    fn the_newest_failures_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(failures(dir.path()).is_empty());
        for at in 0..40 {
            add_failure(dir.path(), Failure { version: "2".into(), at, reason: "x".into() }).unwrap();
        }
        let kept = failures(dir.path());
        assert_eq!((kept.len(), kept[0].at, kept[31].at), (32, 8, 39));
        fs_err::write(dir.path().join("failures.json"), "?").unwrap();
        assert!(failures(dir.path()).is_empty());
    }

    #[test]
    fn one_agent_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Memory::open(dir.path()).unwrap();
        assert!(Memory::open(dir.path()).unwrap_err().to_string().contains("another update-agent"));
        drop(first);
        let memory = Memory::open(dir.path()).unwrap();
        let check = LastCheck { at: 7, newest: Some("1.1".into()), problem: None };
        memory.set_last_check(&check).unwrap();
        assert_eq!(Memory::last_check(dir.path()), Some(check));
    }
}
