//! What the agent remembers between its runs: what it has seen of releases, and the last check. Files that can't be
//! read are no reason to stop updating: they are said, and begun anew from the image's own root.

mod history;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twinhull_release::{Envelope, Root, State};
use twinhull_sysutil::atomic;

pub use history::{Event, Failure, What, add_event, add_failure, events, failures};

/// Where it is kept.
pub const DIR: &str = "/var/lib/twinhull/update";

/// Largest file that is read, in bytes.
const MAX: u64 = 8 << 20;

/// Names of the files.
const GIVEN_UP: &str = "given-up.json";
const HOLDS: &str = "holds.json";
const LAST_CHECK: &str = "last-check.json";
const REBOOTED_FOR: &str = "rebooted-for";

/// Most versions that are kept as given up.
pub(crate) const KEPT: usize = 64;

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

/// What somebody said not to install.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Any version.
    pub all: bool,
    /// These versions.
    pub versions: BTreeSet<String>,
}

impl Holds {
    /// Whether `version` is not to be installed.
    pub fn holds(&self, version: &str) -> bool {
        self.all || self.versions.contains(version)
    }
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
                log::warn!("{error}; it is begun anew from the root in the image");
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
        load(&self.dir.join(GIVEN_UP))
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
        let newest = all.len().saturating_sub(KEPT);
        store(&self.dir.join(GIVEN_UP), &all[newest..])
    }

    /// Forgets that `version` has used up its tries.
    pub fn try_again(&self, version: &str) -> Result<()> {
        let mut all = self.given_up();
        all.retain(|known| known != version);
        store(&self.dir.join(GIVEN_UP), &all)
    }

    /// What is not to be installed.
    pub fn holds(&self) -> Holds {
        holds(&self.dir)
    }

    /// Replaces what is not to be installed.
    pub fn set_holds(&self, holds: &Holds) -> Result<()> {
        store(&self.dir.join(HOLDS), holds)
    }

    /// Whether the machine was rebooted for `entry`, a boot file, already: if it comes back and the file still has the
    /// same name, the boot loader starts something else.
    pub fn is_rebooted_for(dir: &Path, entry: &str) -> bool {
        matches!(read(&dir.join(REBOOTED_FOR)), Ok(Some(last)) if last == entry.as_bytes())
    }

    /// Remembers that the machine is rebooted for `entry`.
    pub fn set_rebooted_for(dir: &Path, entry: &str) -> Result<()> {
        Ok(atomic::replace(&dir.join(REBOOTED_FOR), entry.as_bytes(), 0o644)?)
    }

    /// The reboot didn't happen: the next run may try again.
    pub fn forget_reboot(dir: &Path) -> Result<()> {
        Ok(fs_err::remove_file(dir.join(REBOOTED_FOR))?)
    }

    /// The last check.
    pub fn last_check(dir: &Path) -> Option<LastCheck> {
        load(&dir.join(LAST_CHECK))
    }

    /// Remembers a check.
    pub fn set_last_check(&self, check: &LastCheck) -> Result<()> {
        store(&self.dir.join(LAST_CHECK), check)
    }
}

/// What is not to be installed, as the folder `dir` says.
pub fn holds(dir: &Path) -> Holds {
    load(&dir.join(HOLDS))
}

/// What `path` holds, or nothing when that makes no sense.
fn load<T: DeserializeOwned + Default>(path: &Path) -> T {
    let text = read(path).ok().flatten();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn store(path: &Path, value: &(impl Serialize + ?Sized)) -> Result<()> {
    let text = serde_json::to_string(value)? + "\n";
    Ok(atomic::replace(path, text.as_bytes(), 0o644)?)
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
    fn a_version_is_given_up_until_somebody_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        assert!(memory.given_up().is_empty());
        memory.give_up(&["2", "3"]).unwrap();
        memory.give_up(&["3"]).unwrap();
        assert_eq!(memory.given_up(), ["2", "3"]);
        memory.try_again("2").unwrap();
        assert_eq!(memory.given_up(), ["3"]);
    }

    #[test]
    fn one_reboot_for_one_try() {
        let dir = tempfile::tempdir().unwrap();
        for entry in ["web_2+3.efi", "web_2+2-1.efi"] {
            assert!(!Memory::is_rebooted_for(dir.path(), entry), "{entry}");
            Memory::set_rebooted_for(dir.path(), entry).unwrap();
            assert!(Memory::is_rebooted_for(dir.path(), entry), "{entry}");
        }
        Memory::forget_reboot(dir.path()).unwrap();
        assert!(!Memory::is_rebooted_for(dir.path(), "web_2+2-1.efi"));
    }

    #[test]
    fn holds_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        assert!(!memory.holds().holds("2"));
        let some = Holds { all: false, versions: ["2".into()].into() };
        memory.set_holds(&some).unwrap();
        assert!(memory.holds().holds("2") && !memory.holds().holds("3"));
        memory.set_holds(&Holds { all: true, ..some }).unwrap();
        assert!(holds(dir.path()).holds("3"));
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
