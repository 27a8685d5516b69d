//! The one thread that acts: what is due, then what somebody asks for.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use twinhull_reboot::{Decision, Strategy, Urge, blockers, decide};
use twinhull_slots::BootFile;

use super::bus::Bus;
use super::lock::FleetLock;
use super::logind::{self, Logind};
use super::metrics::Metrics;
use super::{Job, Request, Shared, later, random};
use crate::config::Config;
use crate::engine::{How, Outcome};
use crate::journal;
use crate::memory::{self, Memory, What};
use crate::ops::Ops;
use crate::restart::{self, Ready, Through};
use crate::status::Phase;

/// Between two looks at what can't be waited for: clocks, logins, boot assessment.
const SHORT: SignedDuration = SignedDuration::from_secs(30);
/// While the running version is on trial, which is over soon.
const TRIAL: SignedDuration = SignedDuration::from_secs(5);
/// After the first check that failed; it doubles.
const RETRY: SignedDuration = SignedDuration::from_secs(30);

pub(super) struct Worker {
    ops: Ops,
    config: Config,
    bus: Bus,
    shared: Shared,
    metrics: Metrics,
    logind: Logind,
    lock: FleetLock,
    next_check: Timestamp,
    /// Checks that failed one after the other.
    failures: u32,
    /// When people were warned of the reboot.
    warned: Option<Timestamp>,
    /// How much somebody wants the reboot.
    urge: Urge,
    /// What somebody wants the reboot to go through.
    through: Option<Through>,
    /// What the journal was told last about a reboot that waits.
    told: String,
}

impl Worker {
    pub(super) fn new(ops: Ops, config: Config, bus: Bus, shared: Shared, metrics: Metrics) -> Result<Self> {
        let first = config.check.first;
        let next_check = later(later(Timestamp::now(), first), some_of(first));
        let logind = Logind::new(&bus.connection);
        let lock = FleetLock::new(&config.reboot, ops.machine.id.as_ref())?;
        Ok(Worker {
            ops,
            config,
            bus,
            shared,
            metrics,
            logind,
            lock,
            next_check,
            failures: 0,
            warned: None,
            urge: Urge::None,
            through: None,
            told: String::new(),
        })
    }

    /// Goes on until nobody can ask for anything any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        self.note_version();
        loop {
            let until = self.turn().unwrap_or_else(|error| {
                log::error!("{error:#}");
                self.say(Phase::Idle, format!("{error:#}"));
                // Whatever it is, the fleet needn't wait for it.
                self.lock.not_now(None);
                later(Timestamp::now(), SHORT)
            });
            if let Err(error) = self.metrics.write() {
                log::debug!("metrics can't be written: {error:#}");
            }
            let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
            match requests.recv_timeout(wait) {
                Ok(request) => {
                    let answer = self.serve(&request.job).map_err(|error| format!("{error:#}"));
                    // Whoever asked may be gone.
                    let _ = request.reply.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does what is due, and says when something is due next.
    fn turn(&mut self) -> Result<Timestamp> {
        let now = Timestamp::now();
        if !self.ops.blessed()? {
            let version = &self.ops.machine.version;
            let why = format!(
                "{version} has not proved to be good yet; until it has, the other slot stays as it is."
            );
            self.say(Phase::Trial, why);
            return Ok(later(now, TRIAL));
        }
        if let Err((reason, until)) = self.lock.be_steady(now) {
            self.say(Phase::Idle, format!("{reason}."));
            return Ok(until);
        }
        if now >= self.next_check {
            // How it ended is said already.
            let _ = self.update(How { now: false, finish: true });
        }
        self.consider_reboot()
    }

    /// Looks for something newer and installs it.
    fn update(&mut self, how: How) -> Result<Outcome> {
        self.say(Phase::Checking, String::new());
        let (bus, shared) = (&mut self.bus, self.shared.clone());
        let mut installing = false;
        let result = self.ops.update(how, &mut |bytes, total| {
            shared.get().progress = (bytes, total);
            if !std::mem::replace(&mut installing, true) {
                bus.say(|live| live.phase = Phase::Installing);
            }
        });
        let now = Timestamp::now();
        let every = self.config.check.every;
        let pause = match &result {
            Ok(outcome) => {
                self.failures = 0;
                self.say(Phase::Idle, sentence(outcome, &self.ops.machine.version));
                every
            }
            Err(error) => {
                log::error!(MESSAGE_ID = journal::TROUBLE; "{error:#}");
                self.say(Phase::Idle, format!("{error:#}"));
                self.failures += 1;
                RETRY.checked_mul(1 << self.failures.min(16)).map_or(every, |pause| pause.min(every))
            }
        };
        self.next_check = later(later(now, pause), some_of(pause / 4));
        let at = self.next_check.as_second();
        self.bus.say(|live| live.next_check = at);
        result
    }

    /// Reboots into what is installed, as soon as that is allowed.
    fn consider_reboot(&mut self) -> Result<Timestamp> {
        loop {
            let now = Timestamp::now();
            let Some(entry) = self.ops.next()? else {
                (self.warned, self.urge, self.through) = (None, Urge::None, None);
                self.lock.not_now(None);
                self.bus.say(|live| {
                    live.next.clear();
                    live.phase = Phase::Idle;
                });
                return Ok(self.next_check);
            };
            let version = entry.name.version.clone();
            self.bus.say(|live| live.next = version.clone());
            if Memory::is_rebooted_for(&self.ops.places.state, &entry.file) && self.urge == Urge::None {
                self.lock.not_now(None);
                self.wait(format!(
                    "The machine was rebooted for {} already, and started something else: is another entry the \
                     default? `bootctl list` shows it; `update-agent reboot` tries again.",
                    entry.file
                ));
                return Ok(self.next_check);
            }
            let sessions = self.logind.sessions().map_err(|error| error.to_string());
            let decision = self.decide(now, &sessions);
            match decision {
                Decision::Reboot => return self.reboot(&entry, now),
                Decision::AskLock => self.lock.ask(now),
                Decision::Warn { until, ref reason } => {
                    let people = twinhull_reboot::People { until, reason: reason.clone(), warn: true };
                    logind::broadcast(sessions.as_deref().unwrap_or_default(), &people.warning(&version));
                    self.warned = Some(now);
                }
                Decision::Wait { until, ref reason } => {
                    self.lock.not_now(until);
                    self.wait(reason.clone());
                    let soon = later(now, SHORT);
                    return Ok(until.unwrap_or(soon).min(soon).min(self.next_check.max(now)));
                }
                Decision::Never { reason } => {
                    self.lock.not_now(None);
                    self.wait(reason);
                    return Ok(self.next_check);
                }
            }
        }
    }

    fn decide(
        &self,
        now: Timestamp,
        sessions: &std::result::Result<Vec<twinhull_reboot::Session>, String>,
    ) -> Decision {
        let inhibitors = self.logind.inhibitors().map_err(|error| error.to_string());
        let blockers = blockers(
            now,
            inhibitors.as_deref().map_err(String::as_str),
            sessions.as_deref().map_err(String::as_str),
            self.warned,
        );
        let built = i64::try_from(self.ops.machine.built).unwrap_or(i64::MAX);
        let windows = !matches!(self.config.reboot, Strategy::Immediate | Strategy::Manual);
        if windows && self.urge == Urge::None && now.as_second() < built {
            let reason =
                "The clock is older than the image, so nobody knows whether a reboot window is open.".into();
            return Decision::Wait { until: None, reason };
        }
        decide(now, &self.config.reboot, &blockers, self.lock.state(), self.urge)
    }

    fn wait(&mut self, reason: String) {
        if self.told != reason {
            let version = self.shared.get().next.clone();
            log::info!(
                MESSAGE_ID = journal::WAITING, TWINHULL_VERSION = version.as_str();
                "the reboot into {version} waits. {reason}"
            );
            self.told.clone_from(&reason);
        }
        self.say(Phase::Waiting, reason);
    }

    fn reboot(&mut self, entry: &BootFile, now: Timestamp) -> Result<Timestamp> {
        let version = &entry.name.version;
        let ready = self.prepare(entry);
        let file = ready.as_ref().map_or(&entry.file, |ready| &ready.entry.file);
        Memory::set_rebooted_for(&self.ops.places.state, file)?;
        self.ops.note(What::Rebooted, version);
        let through = ready.as_ref().map_or(Through::Firmware, |ready| ready.through);
        log::info!(
            MESSAGE_ID = journal::REBOOTING, TWINHULL_VERSION = version.as_str(), TWINHULL_THROUGH = through.name();
            "rebooting into {version}"
        );
        let why = format!("Rebooting into {version}.");
        self.say(Phase::Rebooting, why);
        if let Err(error) = self.logind.reboot(through) {
            Memory::forget_reboot(&self.ops.places.state)?;
            if let Some(ready) = ready {
                restart::undo(&self.ops, &ready)?;
            }
            bail!("the machine can't be rebooted: {error}");
        }
        // It ends this program soon.
        Ok(later(now, SignedDuration::from_mins(10)))
    }

    /// Makes `entry` ready for a faster way than the firmware's, if there is to be one and this machine can.
    fn prepare(&self, entry: &BootFile) -> Option<Ready> {
        let ways: &[Through] = match self.through.unwrap_or(self.config.through) {
            Through::Firmware => &[],
            Through::Kexec => &[Through::Kexec],
            Through::SoftReboot => &[Through::SoftReboot, Through::Kexec],
        };
        for way in ways {
            match restart::prepare(&self.ops, entry, *way) {
                Ok(ready) => return Some(ready),
                Err(error) => log::warn!(
                    MESSAGE_ID = journal::SLOWER, TWINHULL_VERSION = entry.name.version.as_str();
                    "{} can't be started by {}: {error:#}", entry.name.version, way.name()
                ),
            }
        }
        None
    }

    fn serve(&mut self, job: &Job) -> Result<String> {
        let answer = match job {
            Job::Check => {
                self.say(Phase::Checking, String::new());
                let seen = self.ops.check();
                let why = seen.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
                self.say(Phase::Idle, why);
                serde_json::to_value(seen?)?
            }
            Job::Update(how) => {
                if !self.ops.blessed()? {
                    let version = &self.ops.machine.version;
                    bail!(
                        "{version} has not proved to be good yet; until it has, the other slot stays as it is"
                    );
                }
                serde_json::to_value(self.update(*how)?)?
            }
            Job::Reboot { force, through } => {
                let next = self
                    .ops
                    .next()?
                    .context("nothing is installed that the machine could be rebooted for")?;
                self.urge = if *force { Urge::Forced } else { Urge::Asked };
                self.through = *through;
                json!({ "next": next.name.version })
            }
            Job::RollBack => json!({ "next": self.ops.roll_back()? }),
            Job::Hold(version) => {
                self.ops.hold(version.as_deref())?;
                json!({})
            }
            Job::Release(version) => {
                self.ops.release(version.as_deref())?;
                // Whoever releases something wants it.
                self.next_check = Timestamp::now();
                json!({})
            }
        };
        Ok(answer.to_string())
    }

    fn say(&mut self, phase: Phase, why: String) {
        self.bus.say(|live| (live.phase, live.why) = (phase, why));
    }

    /// Writes down that another version runs than before.
    fn note_version(&mut self) {
        let version = &self.ops.machine.version;
        let next_check = self.next_check.as_second();
        self.bus.say(|live| live.next_check = next_check);
        let last =
            memory::events(&self.ops.places.state).into_iter().rev().find(|event| event.what == What::Runs);
        if last.is_some_and(|event| event.version == *version) {
            return;
        }
        log::info!(MESSAGE_ID = journal::RUNS, TWINHULL_VERSION = version.as_str(); "{version} runs for the first time");
        self.ops.note(What::Runs, version);
    }
}

/// A random part of `pause`: a fleet that was started together doesn't ask together.
fn some_of(pause: SignedDuration) -> SignedDuration {
    pause.checked_mul((random() % 1000) as i32).map_or(pause, |pause| pause / 1000)
}

/// What came of a look, for `status`.
fn sentence(outcome: &Outcome, running: &str) -> String {
    match outcome {
        Outcome::UpToDate { .. } => format!("Nothing is newer than {running}."),
        Outcome::Waiting { version, until } => {
            format!(
                "{version} is newer; this machine's turn in the rollout is at {}.",
                crate::status::time(*until)
            )
        }
        Outcome::Staged { version, .. } => format!("{version} is installed."),
        Outcome::Fetched { version, .. } => format!("{version} is fetched."),
        Outcome::Held { version } => format!("{version} is newer, and updates to it are on hold."),
        Outcome::Failed { version } => {
            format!("{version} was tried and did not come up; it is not tried again.")
        }
    }
}
