//! The order of things: check, and move the other slot to what the check found. Nothing is kept of an update that is under
//! way but the slot itself, so it can be interrupted anywhere and begun again.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use twinhull_delta::{Reuse, Scan};
use twinhull_fsimg::Part as File;
use twinhull_reboot::{Admission, Place, Rollout};
use twinhull_release::{Checked, Part, Release, check, names};
use twinhull_slots::{Assessment, Disk, Error as SlotError, EspDir, Image, Update, boot_files, staged};

use crate::assemble::{self, Trouble};
use crate::config::Config;
use crate::http::Folders;
use crate::machine::Machine;
use crate::memory::{LastCheck, Memory};

/// Who wants to know how many bytes of how many are in their place.
pub type Show<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// Bytes that are fetched and written at once.
const CHUNK: u64 = 256 << 10;

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        /// Bytes that were fetched for it.
        fetched: u64,
    },
    /// All of the version is here, and its boot file is all that is missing.
    Fetched {
        /// The version.
        version: String,
        /// Bytes that were fetched for it.
        fetched: u64,
    },
    /// Somebody said that the version, or any, is not to be installed.
    Held {
        /// The version.
        version: String,
    },
    /// The version was tried as often as it may be, and the machine came back.
    Failed {
        /// The version.
        version: String,
    },
}

/// How far to go, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Before the machine's turn in a rollout.
    pub now: bool,
    /// To the end, so that the machine boots the version next.
    pub finish: bool,
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
        let place = match (self.config.wariness, &self.machine.id) {
            (Some(place), _) => place,
            (None, Some(id)) => Place::of(&id.app_specific(), version),
            (None, None) => Place::wary(1.0)?,
        };
        Ok(rollout.admits(self.now, place))
    }

    /// Moves the other slot of `disk` to what a check found. `progress` gets the bytes so far and all bytes.
    pub fn update(&mut self, disk: &Disk, esp: &EspDir, how: How, progress: Show<'_>) -> Result<Outcome> {
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
        if self.memory.holds().holds(&version) {
            return Ok(Outcome::Held { version });
        }
        if staged(disk, esp, &image)?.is_some() {
            return Ok(Outcome::Staged { version, fetched: 0 });
        }
        if !how.now
            && let Admission::WaitUntil(until) = self.admission(&checked, &version)?
        {
            return Ok(Outcome::Waiting { version, until: until.as_second() });
        }
        let before = self.folders.fetched();
        self.stage(disk, esp, (&image, release), how.finish, progress)?;
        let fetched = self.folders.fetched() - before;
        Ok(if how.finish {
            Outcome::Staged { version, fetched }
        } else {
            Outcome::Fetched { version, fetched }
        })
    }

    /// Puts the version into the other slot, fetching as little as it can, and makes its boot file if it is to `finish`.
    /// When what comes out is not what was signed, all of it is fetched.
    fn stage(
        &self,
        disk: &Disk,
        esp: &EspDir,
        (image, release): (&Image, &Release),
        finish: bool,
        show: Show<'_>,
    ) -> Result<()> {
        let total = Part::NEEDED.iter().map(|part| release.part(*part).length).sum();
        let progress = Progress { total, state: Mutex::new((0, show)) };
        let failed = || format!("{} was not installed", release.version);
        let update = Update::begin(disk, esp, image, &self.machine.root_hash)?;
        self.fill(disk, &update, release, &progress).with_context(failed)?;
        if !finish {
            progress.set(total);
            return Ok(());
        }
        let slot = release.usr.length + release.verity.length;
        progress.set(slot);
        match self.old_uki(esp).and_then(|old| assemble::begin(&self.folders, release, old)) {
            Ok(uki) => match update.finish(&mut Counted { file: uki, progress: &progress }) {
                Err(
                    error @ (SlotError::Source(_)
                    | SlotError::WrongDigest { .. }
                    | SlotError::WrongLength { .. }),
                ) => {
                    log::info!("the UKI is fetched whole: {error}");
                }
                finished => return finished.map(drop).with_context(failed),
            },
            Err(error) => {
                log::info!("the UKI is fetched whole: {error:#}");
                return update
                    .finish(&mut self.open(release, Part::Uki, &progress))
                    .map(drop)
                    .with_context(failed);
            }
        }
        // The slot has its name by now, and is found to be whole.
        progress.set(slot);
        let update = Update::begin(disk, esp, image, &self.machine.root_hash)?;
        update.finish(&mut self.open(release, Part::Uki, &progress)).map(drop).with_context(failed)
    }

    fn fill(
        &self,
        disk: &Disk,
        update: &Update<'_, Disk, EspDir>,
        release: &Release,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let writer = update.writer();
        // What an earlier run has written whole needs no second look.
        if writer.verify().is_ok() {
            return Ok(());
        }
        let running = update.running().data_of(disk);
        let scan = Scan::new(&running).inspect_err(|error| log::info!("nothing of /usr is reused: {error}"));
        let scan: Vec<Scan> = scan.into_iter().collect();
        let slot = assemble::Slot {
            folders: &self.folders,
            release,
            running: &running,
            scan: &scan,
            version: &self.machine.version,
            writer,
            done: &|bytes| progress.add(bytes),
        };
        for reuse in [Reuse::Extents, Reuse::Groups] {
            progress.set(0);
            match assemble::fill(&slot, reuse) {
                Ok(()) => return Ok(()),
                Err(Trouble::Doubt(error)) => log::info!("more is fetched: {error:#}"),
                Err(Trouble::Fatal(error)) => return Err(error),
            }
        }
        progress.set(0);
        copy(self.open(release, Part::Usr, progress), |bytes, at| writer.write_data(bytes, at))?;
        copy(self.open(release, Part::Verity, progress), |bytes, at| writer.write_tree(bytes, at))
    }

    /// The UKI that runs.
    fn old_uki(&self, esp: &EspDir) -> Result<File> {
        let entries = boot_files(esp, &self.machine.image)?;
        let running = entries.iter().find(|entry| entry.name.version == self.machine.version);
        Ok(esp.read_at(&running.context("the running version has no boot file")?.file)?)
    }

    fn open<'a>(&'a self, release: &Release, part: Part, progress: &'a Progress<'_>) -> impl Read + 'a {
        let file = self.folders.open(&release.file(part), release.part(part).length);
        Counted { file, progress }
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

/// How far an update is, over all files that it writes.
struct Progress<'a> {
    total: u64,
    /// Bytes so far, and who wants to know.
    state: Mutex<(u64, Show<'a>)>,
}

impl Progress<'_> {
    fn add(&self, more: u64) {
        self.change(|bytes| bytes + more);
    }

    fn set(&self, bytes: u64) {
        self.change(|_| bytes);
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        // Whoever panicked in there is known already.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = change(state.0).min(self.total);
        let bytes = state.0;
        (state.1)(bytes, self.total);
    }
}

/// A file whose bytes count.
struct Counted<'a, 'b, R> {
    file: R,
    progress: &'a Progress<'b>,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.progress.add(n as u64);
        Ok(n)
    }
}
