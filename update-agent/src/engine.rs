//! The order of things: check, and move the other slot to what the check found. Nothing is kept of an update that is under
//! way but the slot itself, so it can be interrupted anywhere and begun again.

use std::io::Read;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;
use twinhull_reboot::{Admission, Place, Rollout};
use twinhull_release::{Checked, Part, Release, check, names};
use twinhull_slots::{Assessment, Disk, Error as SlotError, EspDir, Image, Update, boot_files, staged};

use crate::config::Config;
use crate::http::Folders;
use crate::machine::Machine;
use crate::memory::{LastCheck, Memory};

/// Bytes that are fetched and written at once.
const CHUNK: u64 = 256 << 10;

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is newer than what runs.
    UpToDate {
        /// What runs.
        version: String,
    },
    /// It is not this machine's turn yet.
    Waiting {
        /// The newer version.
        version: String,
        /// When it is, in seconds since 1970.
        until: i64,
    },
    /// The version is in its slot; the machine boots it next.
    Staged {
        /// The version.
        version: String,
    },
    /// The version was tried as often as it may be, and the machine came back.
    Failed {
        /// The version.
        version: String,
    },
}

/// An agent with all it needs.
#[derive(Debug)]
pub struct Agent<'a> {
    /// What runs.
    pub machine: &'a Machine,
    /// What to follow.
    pub config: &'a Config,
    /// What was seen.
    pub memory: &'a Memory,
    /// Where from.
    pub folders: Folders,
    /// The clock.
    pub now: Timestamp,
}

impl Agent<'_> {
    /// Looks for something newer, and remembers what was believed.
    pub fn check(&mut self) -> Result<Checked> {
        let at = u64::try_from(self.now.as_second()).unwrap_or(0);
        let first = self.config.first_root()?;
        let state = self.memory.state(&first)?;
        let machine = twinhull_release::Machine {
            image: self.machine.image.clone(),
            version: self.machine.version.clone(),
            arch: self.machine.arch.name().into(),
            channel: self.config.channel.clone(),
            now: at,
            built: self.machine.built,
        };
        let checked = check(&state, &machine, &mut self.folders);
        let (newest, problem) = match &checked {
            Ok(checked) => (Some(checked.channel.newest.clone()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let noted = self.memory.set_last_check(&LastCheck { at, newest, problem });
        // What is wrong with a release says more than what is wrong with our disk.
        let checked = checked?;
        self.memory.set_state(&checked.state)?;
        noted?;
        Ok(checked)
    }

    /// Whether it is this machine's turn for what a check found.
    pub fn admission(&self, checked: &Checked, version: &str) -> Result<Admission> {
        let Some(rollout) = checked.channel.rollout else { return Ok(Admission::Yes) };
        let rollout = Rollout { start: rollout.start, duration: rollout.duration };
        let place = match &self.machine.id {
            Some(id) => Place::of(&id.app_specific(), version),
            None => Place::wary(1.0)?,
        };
        Ok(rollout.admits(self.now, place))
    }

    /// Moves the other slot of `disk` to what a check found; with `at_once` before the machine's turn. `progress` gets
    /// the bytes so far and all bytes.
    pub fn update(
        &mut self,
        disk: &Disk,
        esp: &EspDir,
        at_once: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Outcome> {
        let checked = self.check()?;
        let Some(release) = &checked.offer else {
            return Ok(Outcome::UpToDate { version: self.machine.version.clone() });
        };
        let version = release.version.clone();
        let image = image(self.machine, release)?;
        // Before its slot is written again, as that is where boot counting keeps it.
        let entries = boot_files(esp, &self.machine.image)?;
        let failed = entries.iter().filter(|e| matches!(e.name.assessment(), Assessment::Failed { .. }));
        self.memory.give_up(&failed.map(|entry| entry.name.version.as_str()).collect::<Vec<_>>())?;
        if self.memory.given_up().contains(&version) {
            return Ok(Outcome::Failed { version });
        }
        if staged(disk, esp, &image)?.is_some() {
            return Ok(Outcome::Staged { version });
        }
        if !at_once && let Admission::WaitUntil(until) = self.admission(&checked, &version)? {
            return Ok(Outcome::Waiting { version, until: until.as_second() });
        }
        self.stage(disk, esp, &image, release, progress)?;
        Ok(Outcome::Staged { version })
    }

    fn stage(
        &self,
        disk: &Disk,
        esp: &EspDir,
        image: &Image,
        release: &Release,
        show: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let update = Update::begin(disk, esp, image, &self.machine.root_hash)?;
        let writer = update.writer();
        let slot = release.usr.length + release.verity.length;
        let mut progress = Progress { bytes: 0, total: slot + release.uki.length, show };
        let failed = || format!("{} was not installed", release.version);
        // What an earlier run has written whole needs no second fetch.
        if writer.verify().is_ok() {
            progress.bytes = slot;
        } else {
            let usr = self.open(release, Part::Usr, &mut progress);
            copy(usr, |bytes, at| writer.write_data(bytes, at)).with_context(failed)?;
            let tree = self.open(release, Part::Verity, &mut progress);
            copy(tree, |bytes, at| writer.write_tree(bytes, at)).with_context(failed)?;
        }
        update.finish(&mut self.open(release, Part::Uki, &mut progress)).with_context(failed)?;
        Ok(())
    }

    fn open<'a>(&'a self, release: &Release, part: Part, progress: &'a mut Progress<'_>) -> impl Read + 'a {
        let file = self.folders.open(&release.file(part), release.part(part).length);
        Counted { file, progress: &mut *progress }
    }
}

/// What is to be installed, in the words of the slots.
pub(crate) fn image(machine: &Machine, release: &Release) -> Result<Image> {
    let hash = |text: &str| names::parse_digest(text).with_context(|| format!("{text:?} is no digest"));
    Ok(Image {
        arch: machine.arch,
        id: release.image.clone(),
        version: release.version.clone(),
        root: hash(&release.root_hash)?,
        data_len: release.usr.length,
        uki_len: release.uki.length,
        uki_sha256: hash(&release.uki.sha256)?,
    })
}

/// Copies all of `file`. What it is gets verified as a whole, by the hash tree.
fn copy(mut file: impl Read, write: impl Fn(&[u8], u64) -> Result<(), SlotError>) -> Result<()> {
    let (mut buffer, mut at) = (Vec::new(), 0);
    loop {
        buffer.clear();
        // Whole chunks: what comes from the network comes in pieces of any size.
        (&mut file).take(CHUNK).read_to_end(&mut buffer)?;
        if buffer.is_empty() {
            return Ok(());
        }
        write(&buffer, at)?;
        at += buffer.len() as u64;
    }
}

/// How far an update is, over all its files.
struct Progress<'a> {
    bytes: u64,
    total: u64,
    show: &'a mut dyn FnMut(u64, u64),
}

/// A file whose bytes count.
struct Counted<'a, 'b, R> {
    file: R,
    progress: &'a mut Progress<'b>,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        let progress = &mut *self.progress;
        progress.bytes += n as u64;
        (progress.show)(progress.bytes, progress.total);
        Ok(n)
    }
}
