//! What an operator sees of a machine: slots, what is remembered, and what the service is doing.

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use twinhull_slots::{Assessment, Slots};
use twinhull_sysutil::{digest, size};

use crate::memory::{self, Holds, LastCheck, Memory};
use crate::ops::Ops;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The image's name.
    pub image: String,
    /// What runs.
    pub version: String,
    /// Root hash of the running `/usr`.
    pub root_hash: String,
    /// The slots.
    pub slots: Vec<Row>,
    /// How the last look for something newer ended.
    pub last_check: Option<LastCheck>,
    /// What is not to be installed.
    pub held: Holds,
    /// What the service is doing; `None` when it doesn't run.
    pub service: Option<Live>,
}

/// A slot.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `A` or `B`.
    pub slot: String,
    /// What is in it.
    pub version: Option<String>,
    /// What boot counting says of that, in words.
    pub state: Option<&'static str>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it runs.
    pub running: bool,
}

/// What the service is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// In a word.
    pub phase: Phase,
    /// Why nothing happens, or what does: a sentence.
    pub why: String,
    /// Bytes that are in their place, and all of them.
    pub progress: (u64, u64),
    /// When it looks for something newer, in seconds since 1970.
    pub next_check: i64,
    /// The version the machine boots next, if it isn't what runs.
    pub next: String,
}

/// Where the service is between two versions; docs/concepts/updates.md has the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The running version has not proved to be good yet.
    #[default]
    Trial,
    /// Nothing to do until the next look.
    Idle,
    /// Looking for something newer.
    Checking,
    /// Writing the other slot.
    Installing,
    /// A version is installed, and its reboot waits for something.
    Waiting,
    /// The machine is going down.
    Rebooting,
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 6] =
        [Phase::Trial, Phase::Idle, Phase::Checking, Phase::Installing, Phase::Waiting, Phase::Rebooting];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Trial => "trial",
            Phase::Idle => "idle",
            Phase::Checking => "checking",
            Phase::Installing => "installing",
            Phase::Waiting => "waiting",
            Phase::Rebooting => "rebooting",
        }
    }
}

impl Status {
    /// Looks at the machine; `service` is what the service says of itself.
    pub fn read(ops: &Ops, service: Option<Live>) -> Result<Self> {
        let machine = &ops.machine;
        let slots = Slots::read(&ops.disk()?, machine.arch, &machine.image)?;
        let entries = ops.entries()?;
        let running = slots.running(&machine.root_hash)?.data.number;
        let failures = memory::failures(&ops.places.state);
        let reason = |version: &str| {
            let last = failures.iter().rev().find(|failure| failure.version == version);
            last.map_or("it did not come up", |failure| failure.reason.as_str()).to_owned()
        };
        let row = |(slot, name): (&twinhull_slots::Slot, char)| {
            let version = slot.version();
            let entry = version.and_then(|v| entries.iter().find(|entry| entry.name.version == v));
            let state = match entry.map(|entry| entry.name.assessment()) {
                Some(Assessment::Blessed) => "blessed",
                Some(Assessment::Trying { .. }) => "to be tried",
                Some(Assessment::Failed { .. }) => "failed",
                None => "no boot entry",
            };
            Row {
                slot: name.to_string(),
                version: version.map(str::to_owned),
                state: version.map(|_| state),
                reason: version.filter(|_| state == "failed").map(reason),
                running: slot.data.number == running,
            }
        };
        Ok(Status {
            image: machine.image.clone(),
            version: machine.version.clone(),
            root_hash: digest::hex(&machine.root_hash),
            slots: slots.iter().zip('A'..).map(row).collect(),
            last_check: Memory::last_check(&ops.places.state),
            held: memory::holds(&ops.places.state),
            service,
        })
    }

    /// For people, with `why` nothing happens.
    pub fn text(&self, why: bool) -> String {
        let mut lines = vec![format!("{} {}", self.image, self.version)];
        for row in &self.slots {
            let version = row.version.as_deref().unwrap_or("-");
            let state = row.state.unwrap_or("-");
            let running = if row.running { "  running" } else { "" };
            let reason = row.reason.as_ref().map(|reason| format!("  ({reason})")).unwrap_or_default();
            lines.push(format!("  slot {}  {version:<20} {state}{running}{reason}", row.slot));
        }
        lines.push(match &self.last_check {
            None => "  never looked for a newer version".into(),
            Some(last) => {
                let found = last.problem.as_ref().or(last.newest.as_ref());
                let at = i64::try_from(last.at).unwrap_or(i64::MAX);
                format!("  last check {}: {}", time(at), found.map_or("-", String::as_str))
            }
        });
        if self.held.all {
            lines.push("  updates are on hold; `update-agent release` goes on with them".into());
        }
        if !self.held.versions.is_empty() {
            let held: Vec<&str> = self.held.versions.iter().map(String::as_str).collect();
            lines.push(format!("  held: {}", held.join(", ")));
        }
        match &self.service {
            None => {
                lines.push("  the service does not run; `systemctl start twinhull-update` starts it".into())
            }
            Some(live) => {
                let (bytes, total) = live.progress;
                let progress = match live.phase {
                    Phase::Installing => format!(", {} of {}", size::human(bytes), size::human(total)),
                    Phase::Idle => format!(", next check {}", time(live.next_check)),
                    _ => String::new(),
                };
                lines.push(format!("  {}{progress}", live.phase.name()));
                if (why || live.phase == Phase::Waiting) && !live.why.is_empty() {
                    lines.push(format!("  {}", live.why));
                }
            }
        }
        lines.join("\n")
    }
}

/// A time for people; `-` for one that no clock shows.
pub fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "-".into(), |at| at.to_string())
}
