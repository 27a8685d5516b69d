//! What can be done on a machine, one thing at a time: by the service, by the command line without it, and by tests
//! with another root.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use twinhull_slots::{Assessment, BootFile, Disk, EspDir, Slots, State, boot_files, remove_entry, use_up};
use twinhull_sysutil::command::Cmd;

use crate::config::{self, Config};
use crate::engine::{Agent, How, Outcome, Show};
use crate::http::{Folders, Patience};
use crate::journal;
use crate::machine::Machine;
use crate::memory::{self, Event, Failure, Memory, What};

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Places {
    /// What to follow
    #[arg(long, value_name = "FILE", global = true, default_value = config::PATH)]
    pub config: PathBuf,
    /// What is different on this machine
    #[arg(long, value_name = "FILE", global = true, default_value = config::MACHINE_PATH)]
    pub machine_config: PathBuf,
    /// What is remembered
    #[arg(long, value_name = "DIR", global = true, default_value = memory::DIR)]
    pub state: PathBuf,
    /// The disk with the slots [default: the one the running slot is on]
    #[arg(long, value_name = "DISK", global = true)]
    pub disk: Option<PathBuf>,
    /// Where the ESP is mounted
    #[arg(long, value_name = "DIR", global = true, default_value = "/efi")]
    pub esp: PathBuf,
    /// The machine's root, for tests
    #[arg(long, value_name = "DIR", global = true, default_value = "/", hide = true)]
    pub root: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            config: config::PATH.into(),
            machine_config: config::MACHINE_PATH.into(),
            state: memory::DIR.into(),
            disk: None,
            esp: "/efi".into(),
            root: "/".into(),
        }
    }
}

/// What a look for something newer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What runs.
    pub running: String,
    /// What the channel points to.
    pub newest: String,
    /// The same, if it is newer than what runs.
    pub newer: Option<String>,
}

/// A machine, and where its things are.
#[derive(Debug)]
pub struct Ops {
    /// Where its things are.
    pub places: Places,
    /// What runs.
    pub machine: Machine,
}

impl Ops {
    /// Reads the machine.
    pub fn new(places: Places) -> Result<Self> {
        let machine = Machine::read(&places.root)?;
        Ok(Ops { places, machine })
    }

    /// What to follow.
    pub fn config(&self) -> Result<Config> {
        Config::read(&self.places.config, &self.places.machine_config)
    }

    fn memory(&self) -> Result<Memory> {
        Memory::open(&self.places.state)
    }

    /// The disk with the slots.
    pub fn disk(&self) -> Result<Disk> {
        let path = match &self.places.disk {
            Some(path) => path.clone(),
            None => self.machine.disk(&self.places.root)?,
        };
        Disk::open(&path).with_context(|| format!("the disk {} can't be opened", path.display()))
    }

    /// The ESP.
    pub fn esp(&self) -> Result<EspDir> {
        let path: &Path = &self.places.esp;
        EspDir::open(path).with_context(|| format!("the ESP at {} can't be used", path.display()))
    }

    /// The boot files of the machine's image.
    pub fn entries(&self) -> Result<Vec<BootFile>> {
        Ok(boot_files(&self.esp()?, &self.machine.image)?)
    }

    /// Runs `work` with an agent.
    fn with_agent<T>(&self, work: impl FnOnce(&mut Agent<'_>) -> Result<T>) -> Result<T> {
        let config = self.config()?;
        let memory = self.memory()?;
        let folders = Folders::new(&config.urls, &self.machine.image, Patience::default())?;
        let folders = folders.limited(config.bandwidth);
        let now = Timestamp::now();
        work(&mut Agent { machine: &self.machine, config: &config, memory: &memory, folders, now })
    }

    /// Looks for something newer, without changing anything.
    pub fn check(&self) -> Result<Seen> {
        let checked = self.with_agent(|agent| agent.check())?;
        Ok(Seen {
            running: self.machine.version.clone(),
            newest: checked.channel.newest,
            newer: checked.offer.map(|release| release.version),
        })
    }

    /// Looks for something newer and moves the other slot to it.
    pub fn update(&self, how: How, show: Show<'_>) -> Result<Outcome> {
        let (disk, esp) = (self.disk()?, self.esp()?);
        let before = self.next()?;
        let outcome = self.with_agent(|agent| agent.update(&disk, &esp, how, show))?;
        if let Outcome::Staged { version, fetched } = &outcome
            && before.is_none_or(|entry| entry.name.version != *version)
        {
            log::info!(
                MESSAGE_ID = journal::INSTALLED, TWINHULL_VERSION = version.as_str(), TWINHULL_FETCHED = *fetched;
                "{version} is installed, {fetched} bytes were fetched for it"
            );
            self.note(What::Installed, version);
        }
        Ok(outcome)
    }

    /// What the machine boots next instead of what runs: a version with tries left.
    pub fn next(&self) -> Result<Option<BootFile>> {
        let other = |entry: &BootFile| {
            entry.name.version != self.machine.version
                && matches!(entry.name.assessment(), Assessment::Trying { .. })
        };
        Ok(self.entries()?.into_iter().find(other))
    }

    /// Whether the running version has proved to be good. One without a boot file was booted by somebody else's rules,
    /// which [`twinhull_slots::Update::begin`] has its own words for.
    pub fn blessed(&self) -> Result<bool> {
        let entries = self.entries()?;
        let running = entries.iter().find(|entry| entry.name.version == self.machine.version);
        Ok(running.is_none_or(|entry| entry.name.assessment() == Assessment::Blessed))
    }

    /// Another version that has proved to be good, and whose slot is whole as far as its labels say.
    fn good_other(&self) -> Result<Option<BootFile>> {
        let slots = Slots::read(&self.disk()?, self.machine.arch, &self.machine.image)?;
        let filled = |wanted: &str| {
            slots.iter().any(|slot| matches!(&slot.state, State::Filled { version, .. } if version == wanted))
        };
        let good = |entry: &BootFile| {
            let name = &entry.name;
            name.version != self.machine.version
                && name.assessment() == Assessment::Blessed
                && filled(&name.version)
        };
        Ok(self.entries()?.into_iter().find(good))
    }

    /// Makes the machine boot the version in the other slot from now on, and never install the running one again.
    /// Returns that other version.
    pub fn roll_back(&self) -> Result<String> {
        let memory = self.memory()?;
        let version = &self.machine.version;
        let Some(other) = self.good_other()? else {
            bail!(
                "there is no other version that has proved to be good; `update-agent status` shows the slots"
            );
        };
        let other = other.name.version;
        let esp = self.esp()?;
        for entry in self.entries()? {
            let trying = matches!(entry.name.assessment(), Assessment::Trying { .. });
            if entry.name.version == *version || trying {
                use_up(&esp, &entry)?;
            }
        }
        memory.give_up(&[version])?;
        let at = now();
        let reason = format!("somebody went back from it to {other}");
        memory::add_failure(&self.places.state, Failure { version: version.clone(), at, reason })?;
        self.note(What::RolledBack, version);
        log::warn!(
            MESSAGE_ID = journal::ROLLED_BACK, TWINHULL_VERSION = version.as_str();
            "somebody goes back from {version} to {other}"
        );
        Ok(other)
    }

    /// Never installs `version`, or any without one. What is installed and wasn't booted yet isn't booted any more.
    pub fn hold(&self, version: Option<&str>) -> Result<()> {
        let memory = self.memory()?;
        let mut holds = memory.holds();
        match version {
            Some(version) => {
                twinhull_slots::check_version(version)?;
                ensure!(
                    holds.versions.len() < memory::KEPT || holds.versions.contains(version),
                    "{} versions are held already; release some",
                    holds.versions.len()
                );
                holds.versions.insert(version.to_owned());
            }
            None => holds.all = true,
        }
        memory.set_holds(&holds)?;
        if let Some(next) = self.next()?
            && holds.holds(&next.name.version)
        {
            remove_entry(&self.esp()?, &next)?;
        }
        self.note(What::Held, version.unwrap_or("*"));
        Ok(())
    }

    /// Undoes [`Ops::hold`]. A version that was given up gets new tries.
    pub fn release(&self, version: Option<&str>) -> Result<()> {
        let memory = self.memory()?;
        let mut holds = memory.holds();
        let Some(version) = version else {
            ensure!(
                holds.all,
                "updates are not on hold; name a version to release one that is held or given up"
            );
            holds.all = false;
            memory.set_holds(&holds)?;
            self.note(What::Released, "*");
            return Ok(());
        };
        let mut known = holds.versions.remove(version);
        if memory.given_up().iter().any(|given_up| given_up == version) {
            memory.try_again(version)?;
            known = true;
        }
        let failed = |entry: &&BootFile| {
            entry.name.version == version && matches!(entry.name.assessment(), Assessment::Failed { .. })
        };
        if version != self.machine.version
            && let Some(entry) = self.entries()?.iter().find(failed)
        {
            // The slot stays, so installing it again costs little.
            remove_entry(&self.esp()?, entry)?;
            known = true;
        }
        ensure!(known, "{version} is neither held nor given up");
        memory.set_holds(&holds)?;
        self.note(What::Released, version);
        Ok(())
    }

    /// After a boot that is not healthy, where boot counting is under way: writes down why, and lets boot counting go on with the next try or the version
    /// before. Without one, a machine that is up is better than one that reboots. Returns whether to reboot.
    pub fn boot_failed(&self) -> Result<bool> {
        if !twinhull_slots::is_counted(&self.places.root) {
            log::info!("this version has proved to be good before, or has no counter, so it stays up");
            return Ok(false);
        }
        let Machine { image, version, .. } = &self.machine;
        let reason =
            failed_units().unwrap_or_else(|error| format!("its failed units can't be listed: {error:#}"));
        log::error!(
            MESSAGE_ID = journal::UNHEALTHY, TWINHULL_VERSION = version.as_str();
            "{image} {version} is not healthy, {reason}"
        );
        let failure = Failure { version: version.clone(), at: now(), reason };
        if let Err(error) = memory::add_failure(&self.places.state, failure) {
            // A version that fills the disk is one to go back from, too.
            log::warn!("the reason can't be kept: {error:#}");
        }
        self.note(What::Failed, version);
        let entries = self.entries()?;
        let good = |entry: &&BootFile| {
            entry.name.version != *version && entry.name.assessment() == Assessment::Blessed
        };
        let Some(other) = entries.iter().find(good) else {
            log::warn!("there is no version to go back to, so it stays up");
            return Ok(false);
        };
        log::warn!("rebooting; {} is there when the tries are used up", other.name.version);
        Ok(true)
    }

    /// Remembers that something happened. What has happened is not undone because there is no room to say so.
    pub fn note(&self, what: What, version: &str) {
        let event = Event { at: now(), what, version: version.to_owned() };
        if let Err(error) = memory::add_event(&self.places.state, event) {
            log::warn!("the history can't be kept: {error:#}");
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

fn failed_units() -> Result<String> {
    let list = Cmd::new("systemctl").args(["list-units", "--failed", "--plain", "--no-legend"]).output()?;
    let list = String::from_utf8_lossy(&list);
    // The check itself is what brought us here.
    let units = list.lines().filter_map(|line| line.split_whitespace().next());
    let units: Vec<&str> = units.filter(|unit| !unit.starts_with("systemd-boot-check-no-")).collect();
    if !units.is_empty() {
        return Ok(format!("failed units: {}", units.join(", ")));
    }
    // Nothing has failed, so something isn't done.
    let list = Cmd::new("systemctl").args(["list-jobs", "--plain", "--no-legend"]).output()?;
    let list = String::from_utf8_lossy(&list);
    Ok(format!("not up in time; still under way: {}", running_jobs(&list)))
}

/// The units of those jobs that run, of `systemctl list-jobs`: number, unit, type, state. The others wait for them.
fn running_jobs(list: &str) -> String {
    let ours = "twinhull-boot-failed.service";
    let jobs = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let units: Vec<String> = jobs
        .filter_map(|job| match job[..] {
            [_, unit, "start", "running"] if unit != ours => Some(unit.to_owned()),
            _ => None,
        })
        .collect();
    if units.is_empty() { "-".into() } else { units.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_boot_waits_for_is_what_runs() {
        let list = "12 multi-user.target start waiting\n\
                    88 slow.service      start running\n\
                    90 old.service       stop  running\n\
                    99 twinhull-boot-failed.service start running\n";
        assert_eq!(running_jobs(list), "slow.service");
        assert_eq!(running_jobs(""), "-");
    }
}
