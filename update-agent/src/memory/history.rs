//! What happened on this machine, for people who ask later: `update-agent history`, and why a version is bad.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{load, store};

const FAILURES: &str = "failures.json";
const EVENTS: &str = "history.json";

/// Most failures and events that are kept.
const KEPT: usize = 64;

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

/// What failed boots said, the newest last.
pub fn failures(dir: &Path) -> Vec<Failure> {
    load(&dir.join(FAILURES))
}

/// Adds why a boot failed. It is on the disk when this returns: the machine reboots next.
pub fn add_failure(dir: &Path, failure: Failure) -> Result<()> {
    add(dir, FAILURES, failure, failures(dir))
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in seconds since 1970.
    pub at: u64,
    /// What.
    pub what: What,
    /// The version that it is about.
    pub version: String,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The version was seen running, and was not before.
    Runs,
    /// It was installed.
    Installed,
    /// The machine was rebooted for it.
    Rebooted,
    /// It did not come up healthy.
    Failed,
    /// Somebody went back from it.
    RolledBack,
    /// Somebody said not to install it, or any version.
    Held,
    /// Somebody said that it may be installed again.
    Released,
}

/// What happened, the newest last.
pub fn events(dir: &Path) -> Vec<Event> {
    load(&dir.join(EVENTS))
}

/// Adds an event.
pub fn add_event(dir: &Path, event: Event) -> Result<()> {
    add(dir, EVENTS, event, events(dir))
}

fn add<T: Serialize>(dir: &Path, name: &str, one: T, mut all: Vec<T>) -> Result<()> {
    fs_err::create_dir_all(dir)?;
    all.push(one);
    let newest = all.len().saturating_sub(KEPT);
    store(&dir.join(name), &all[newest..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_failures_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(failures(dir.path()).is_empty());
        for at in 0..70 {
            add_failure(dir.path(), Failure { version: "2".into(), at, reason: "x".into() }).unwrap();
            add_event(dir.path(), Event { at, what: What::Failed, version: "2".into() }).unwrap();
        }
        let kept = failures(dir.path());
        assert_eq!((kept.len(), kept[0].at, kept[63].at), (64, 6, 69));
        assert_eq!(events(dir.path()).len(), 64);
        fs_err::write(dir.path().join(FAILURES), "?").unwrap();
        assert!(failures(dir.path()).is_empty());
    }
}
