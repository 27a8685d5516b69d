//! The strategy that somebody chose for a machine, and the decision that follows from it.
//!
//! Decisions are made again and again, at the latest at the time they name. The caller acts on them:
//!
//! - [`Decision::Reboot`]: reboot, now;
//! - [`Decision::AskLock`]: ask the lock server, then decide again with what it said;
//! - [`Decision::Warn`]: broadcast [`People::warning`](crate::People::warning), remember when, then decide again;
//! - [`Decision::Wait`] and [`Decision::Never`]: don't, and give back a lock that is held: a lock that waits for
//!   people or hours keeps the rest of the fleet waiting.
//!
//! People are warned only when the reboot can follow: not outside of windows, and not when a window closes before
//! their time is over.
//!
//! The machine's own reasons come before the lock for the same reason.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::fleetlock::{Server, ServerText};
use crate::{Blockers, People, Result, Windows, WindowsText, Zones, text};

/// A strategy as it is written: `immediate`, `manual`, `windows: {...}` or `fleet-lock: {...}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyText {
    /// As soon as nothing blocks.
    Immediate,
    /// Inside reboot windows.
    Windows(WindowsText),
    /// With a lock of a FleetLock server.
    FleetLock(FleetLockText),
    /// When somebody asks.
    Manual,
}

/// A fleet lock as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FleetLockText {
    /// The lock server.
    pub server: ServerText,
    /// Windows outside of which no lock is asked for.
    #[serde(default)]
    pub within: Option<WindowsText>,
}

/// A strategy that was checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// As soon as nothing blocks.
    Immediate,
    /// Inside reboot windows.
    Windows(Windows),
    /// With a lock of a FleetLock server.
    FleetLock {
        /// The lock server.
        server: Server,
        /// Windows outside of which no lock is asked for.
        within: Option<Windows>,
    },
    /// When somebody asks.
    Manual,
}

impl Strategy {
    /// Checks a strategy.
    ///
    /// # Errors
    /// What [`Windows::new`] and [`Server::new`] find.
    pub fn new(written: &StrategyText, zones: &Zones) -> Result<Self> {
        Ok(match written {
            StrategyText::Immediate => Strategy::Immediate,
            StrategyText::Windows(windows) => Strategy::Windows(Windows::new(windows, zones)?),
            StrategyText::FleetLock(lock) => Strategy::FleetLock {
                server: Server::new(&lock.server)?,
                within: lock.within.as_ref().map(|windows| Windows::new(windows, zones)).transpose()?,
            },
            StrategyText::Manual => Strategy::Manual,
        })
    }

    fn windows(&self) -> Option<&Windows> {
        match self {
            Strategy::Windows(windows) => Some(windows),
            Strategy::FleetLock { within, .. } => within.as_ref(),
            Strategy::Immediate | Strategy::Manual => None,
        }
    }
}

/// How much somebody wants this reboot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urge {
    /// Nobody asked: the strategy decides.
    #[default]
    None,
    /// Somebody asked for it now: windows and `manual` don't hold it back, blockers and locks do.
    Asked,
    /// Somebody insists: nothing holds it back.
    Forced,
}

/// What is known of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Not held, and no answer that still counts.
    Open,
    /// Held by this machine.
    Held,
    /// Asked for and not granted.
    Denied {
        /// When to ask again; `None` when somebody has to change something first, until the caller forgets the
        /// answer and has [`Lock::Open`] again.
        again: Option<Timestamp>,
        /// The server's words.
        reason: String,
    },
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// Reboot.
    Reboot,
    /// Decide again later.
    Wait {
        /// When that makes sense; `None` when nobody knows.
        until: Option<Timestamp>,
        /// Why, a sentence.
        reason: String,
    },
    /// Ask the lock server and decide again.
    AskLock,
    /// Warn the people who are logged in and decide again.
    Warn {
        /// When their time is over.
        until: Timestamp,
        /// Who they are, a sentence.
        reason: String,
    },
    /// Don't, as long as the settings are what they are and nobody asks.
    Never {
        /// Why, a sentence.
        reason: String,
    },
}

/// What `update-agent status --why` prints.
impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Decision::Reboot => "Nothing holds the reboot back.",
            Decision::AskLock => {
                "Nothing on this machine holds the reboot back; the lock server is asked next."
            }
            Decision::Warn { reason, .. } | Decision::Wait { reason, .. } | Decision::Never { reason } => {
                reason
            }
        })
    }
}

/// Whether to reboot at `now` into an update that is staged.
pub fn decide(now: Timestamp, strategy: &Strategy, blockers: &Blockers, lock: &Lock, urge: Urge) -> Decision {
    if urge == Urge::Forced {
        return Decision::Reboot;
    }
    // Whether windows let it happen, and until when.
    let mut closes = None;
    if urge == Urge::None {
        if *strategy == Strategy::Manual {
            let reason = "The strategy is manual: the machine reboots when somebody asks for it.".into();
            return Decision::Never { reason };
        }
        if let Some(windows) = strategy.windows() {
            closes = windows.is_open(now);
            if closes.is_none() {
                return closed(now, windows);
            }
        }
    }
    match blockers {
        Blockers::None => {}
        Blockers::People(people) => return leave(people, closes),
        Blockers::Blocked { reason } => return Decision::Wait { until: None, reason: reason.clone() },
    }
    let Strategy::FleetLock { server, .. } = strategy else { return Decision::Reboot };
    match lock {
        Lock::Held => Decision::Reboot,
        Lock::Denied { again: Some(again), .. } if *again <= now => Decision::AskLock,
        Lock::Denied { again, reason } => {
            let reason = format!(
                "The lock server gave no lock to reboot in the group {} ({}).",
                server.group(),
                text::shown(reason)
            );
            Decision::Wait { until: *again, reason }
        }
        Lock::Open => Decision::AskLock,
    }
}

/// What to do about people who are logged in, when windows close at `closes`.
fn leave(people: &People, closes: Option<Timestamp>) -> Decision {
    let time = |at| text::time(at, &TimeZone::UTC);
    if let Some(closes) = closes.filter(|closes| *closes <= people.until) {
        let reason = format!(
            "{} The reboot window closes {}, before their time to leave is over.",
            people.reason,
            time(closes)
        );
        return Decision::Wait { until: Some(closes), reason };
    }
    let reason = format!("{} The machine waits for people until {}.", people.reason, time(people.until));
    if people.warn {
        Decision::Warn { until: people.until, reason }
    } else {
        Decision::Wait { until: Some(people.until), reason }
    }
}

fn closed(now: Timestamp, windows: &Windows) -> Decision {
    let next = windows.next_open(now);
    let reason = format!("No reboot window is open; the next one opens {}.", windows.show(next));
    Decision::Wait { until: Some(next), reason }
}

#[cfg(test)]
mod tests;
