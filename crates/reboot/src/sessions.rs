//! What blocks a reboot on the machine itself: inhibitors, and people who are logged in.
//!
//! Somebody else asks logind; here is what its answers mean. Whatever isn't understood blocks: an error of whoever
//! asked, an inhibitor of an unknown mode, a session of an unknown class.
//!
//! - An inhibitor of `shutdown` blocks until it is gone, unless its mode is `delay`: logind waits for those by
//!   itself, when the reboot is on its way.
//! - People block for [`GRACE`] after they were warned, and not longer: a forgotten session must not keep a
//!   machine from its updates. Root counts like everybody, and ssh like the console: whoever repairs a machine
//!   is root over ssh. Idle sessions count too, as the hint says little about what runs in them. Who needs
//!   longer takes an inhibitor, and the warning says how.
//! - Logging in after the warning doesn't start another grace period.
//! - Sessions of logind that are no people (`greeter`, `lock-screen`, `background`, `manager`, `none`) don't block.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::text;

/// How long people have between the warning and the reboot.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// How long after its grace period a warning still counts. When the reboot didn't happen by then (the window closed,
/// the lock was taken), people are warned again.
const WARNED: SignedDuration = SignedDuration::from_hours(1);

/// The most names in a sentence.
const NAMES: usize = 5;

/// An inhibitor, as `ListInhibitors` of logind has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Inhibitor {
    /// What is inhibited: words with colons between them, such as `shutdown:sleep`.
    pub what: String,
    /// Who does it, for people.
    pub who: String,
    /// Why, for people.
    pub why: String,
    /// `block`, `block-weak` or `delay`.
    pub mode: String,
}

/// A session of logind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// Name of the user.
    pub user: String,
    /// Class of the session, `user` for people.
    pub class: String,
    /// Terminal, if it has one.
    pub tty: Option<String>,
    /// Whether it came over the network.
    pub remote: bool,
    /// Whether logind takes it for idle.
    pub idle: bool,
}

/// What stands in the way of a reboot on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blockers {
    /// Nothing.
    None,
    /// People, who get time to leave.
    People(People),
    /// Something that ends at a time nobody knows.
    Blocked {
        /// What it is, a sentence.
        reason: String,
    },
}

/// People who are logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// When their time is over.
    pub until: Timestamp,
    /// Who they are, a sentence.
    pub reason: String,
    /// Whether they don't know yet; [`Decision::Warn`](crate::Decision::Warn) says when they should.
    pub warn: bool,
}

impl People {
    /// What to broadcast to all terminals before a reboot into `version`.
    pub fn warning(&self, version: &str) -> String {
        format!(
            "This machine reboots into its update {} at {} or soon after.\n\
             Save your work and log out. To keep it from rebooting while a command runs:\n\
             systemd-inhibit --what=shutdown --why=REASON COMMAND",
            text::shown(version),
            text::time(self.until, &jiff::tz::TimeZone::UTC)
        )
    }
}

/// What blocks a reboot at `now`.
///
/// `inhibitors` and `sessions` are what was collected, or a sentence about why it could not be. `warned` is when
/// people were warned of this update, if they were.
pub fn blockers(
    now: Timestamp,
    inhibitors: Result<&[Inhibitor], &str>,
    sessions: Result<&[Session], &str>,
    warned: Option<Timestamp>,
) -> Blockers {
    let unknown = |what: &str, error: &str| Blockers::Blocked {
        reason: format!("It can't be told {what} ({}), so the machine doesn't reboot.", text::shown(error)),
    };
    let inhibitors = match inhibitors {
        Ok(inhibitors) => inhibitors,
        Err(error) => return unknown("what inhibits a reboot", error),
    };
    let sessions = match sessions {
        Ok(sessions) => sessions,
        Err(error) => return unknown("who is logged in", error),
    };
    let blocking: Vec<String> = inhibitors.iter().filter(|i| i.blocks()).map(Inhibitor::describe).collect();
    if !blocking.is_empty() {
        return Blockers::Blocked { reason: format!("A reboot is inhibited by {}.", list(&blocking)) };
    }
    let people: Vec<String> = sessions.iter().filter(|s| s.is_person()).map(Session::describe).collect();
    if people.is_empty() {
        return Blockers::None;
    }
    // A warning of the future was before the clock was set back: how long ago, nobody knows. Another one is due, as
    // waiting for its end could take years.
    let warned = warned.filter(|at| *at <= now && now.duration_since(*at) < GRACE + WARNED);
    let until = warned.unwrap_or(now).saturating_add(GRACE).unwrap_or(Timestamp::MAX);
    if warned.is_some() && now >= until {
        return Blockers::None;
    }
    let reason = format!("Logged in: {}.", list(&people));
    Blockers::People(People { until, reason, warn: warned.is_none() })
}

impl Inhibitor {
    fn blocks(&self) -> bool {
        self.mode != "delay" && self.what.split(':').any(|w| w == "shutdown")
    }

    fn describe(&self) -> String {
        format!("{} ({})", text::shown(&self.who), text::shown(&self.why))
    }
}

impl Session {
    fn is_person(&self) -> bool {
        const OTHERS: &[&str] =
            &["greeter", "lock-screen", "background", "background-light", "manager", "manager-early", "none"];
        !OTHERS.contains(&self.class.as_str())
    }

    fn describe(&self) -> String {
        let place = match (&self.tty, self.remote) {
            (Some(tty), true) => format!(" over the network on {}", text::shown(tty)),
            (Some(tty), false) => format!(" on {}", text::shown(tty)),
            (None, true) => " over the network".into(),
            (None, false) => String::new(),
        };
        format!("{}{place}{}", text::shown(&self.user), if self.idle { ", idle" } else { "" })
    }
}

fn list(items: &[String]) -> String {
    let more = items.len().saturating_sub(NAMES);
    let shown = items[..items.len() - more].join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
    }

    fn inhibitor(what: &str, mode: &str) -> Inhibitor {
        Inhibitor {
            what: what.into(),
            who: "backup".into(),
            why: "it \u{1b}[31mruns".into(),
            mode: mode.into(),
        }
    }

    fn session(user: &str, class: &str) -> Session {
        Session {
            user: user.into(),
            class: class.into(),
            tty: Some("pts/0".into()),
            remote: true,
            idle: false,
        }
    }

    #[test]
    fn inhibitors_block_unless_they_only_delay() {
        for (what, mode, blocks) in [
            ("shutdown", "block", true),
            ("idle:shutdown:sleep", "block", true),
            ("shutdown", "block-weak", true),
            ("shutdown", "something new", true),
            ("shutdown", "delay", false),
            ("sleep", "block", false),
            ("handle-reboot-key", "block", false),
            ("", "block", false),
        ] {
            let got = blockers(at(0), Ok(&[inhibitor(what, mode)]), Ok(&[]), None);
            if blocks {
                let reason = "A reboot is inhibited by backup (it \u{fffd}[31mruns).".into();
                assert_eq!(got, Blockers::Blocked { reason }, "{what} {mode}");
            } else {
                assert_eq!(got, Blockers::None, "{what} {mode}");
            }
        }
    }

    #[test]
    fn who_is_people() {
        for (class, person) in [
            ("user", true),
            ("user-early", true),
            ("user-light", true),
            ("something new", true),
            ("", true),
            ("greeter", false),
            ("lock-screen", false),
            ("background", false),
            ("manager", false),
        ] {
            let got = blockers(at(0), Ok(&[]), Ok(&[session("root", class)]), None);
            assert_eq!(matches!(got, Blockers::People(_)), person, "{class}");
        }
    }

    #[test]
    fn people_have_time_once() {
        // Minutes of now and of the warning; until, and whether to warn.
        for (now, warned, want) in [
            (0, None, Some((10, true))),
            (0, Some(0), Some((10, false))),
            (9, Some(0), Some((10, false))),
            (10, Some(0), None),
            (69, Some(0), None),
            (70, Some(0), Some((80, true))),
            (0, Some(1), Some((10, true))),
            (0, Some(1000), Some((10, true))),
        ] {
            let got = blockers(at(now), Ok(&[]), Ok(&[session("ann", "user")]), warned.map(at));
            let want = want.map_or(Blockers::None, |(until, warn)| {
                let reason = "Logged in: ann over the network on pts/0.".into();
                Blockers::People(People { until: at(until), reason, warn })
            });
            assert_eq!(got, want, "{now} {warned:?}");
        }
        let Blockers::People(people) = blockers(Timestamp::MAX, Ok(&[]), Ok(&[session("ann", "user")]), None)
        else {
            panic!()
        };
        assert_eq!(people.until, Timestamp::MAX);
    }

    #[test]
    fn what_is_not_known_blocks() {
        for (inhibitors, sessions) in
            [(Err("no bus"), Ok(&[][..])), (Ok(&[][..]), Err("no bus")), (Err("no bus"), Err("x"))]
        {
            let Blockers::Blocked { reason } = blockers(at(100), inhibitors, sessions, Some(at(0))) else {
                panic!("must fail closed");
            };
            assert!(reason.contains("(no bus), so the machine doesn't reboot"), "{reason}");
        }
    }

    #[test]
    fn warnings_say_when_and_what_to_do() {
        let many: Vec<Session> = (0..7).map(|n| session(&format!("u{n}"), "user")).collect();
        let Blockers::People(people) = blockers(at(0), Ok(&[]), Ok(&many), None) else { panic!() };
        assert!(people.reason.ends_with("u4 over the network on pts/0; and 2 more."), "{}", people.reason);
        let text = people.warning("1.2\u{7}");
        assert!(
            text.starts_with("This machine reboots into its update 1.2\u{fffd} at Fri 2027-01-15 08:10 UTC"),
            "{text}"
        );
        assert!(text.contains("systemd-inhibit --what=shutdown"), "{text}");
    }
}
