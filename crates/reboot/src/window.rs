//! Reboot windows: hours of the week in which a machine may reboot.
//!
//! A window opens at a time of a clock on the wall and stays open for a length of time that passes. What clocks on
//! walls do twice a year:
//!
//! - a start that a clock skips moves forward by what it skips: 02:30 opens at 03:30 when 02:00 becomes 03:00.
//!   A start that would move to another day (Samoa had no 30 December 2011) stays closed that day: nobody
//!   agreed to the other one;
//! - a start that a clock shows twice opens once, the first time;
//! - a window of two hours is open for two hours, whatever the clock shows at its end.
//!
//! Windows may overlap, cross midnight and the end of the week. They mean nothing to a machine whose clock
//! is wrong: the caller waits until the clock is set.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::{Error, Result, Zones, text};

/// The most windows there can be.
const MAX_WINDOWS: usize = 64;

/// The shortest window: people get ten minutes to leave, and the agent doesn't look every second.
const SHORTEST: SignedDuration = SignedDuration::from_mins(15);

/// The longest window; every day 24 hours is always.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Days to look back: the longest window, and a clock that skipped a day.
const BEHIND: i32 = 3;

/// Days to look ahead: a weekly window that is skipped comes a week later.
const AHEAD: i32 = 22;

/// Windows as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WindowsText {
    /// IANA name of the time zone of all windows.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The windows.
    pub windows: Vec<WindowText>,
}

fn utc() -> String {
    "UTC".into()
}

/// A window as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WindowText {
    /// Days on which it opens.
    #[serde(default = "Day::all")]
    pub days: Vec<Day>,
    /// When it opens, `HH:MM`.
    pub start: String,
    /// How long it stays open, such as `2h`, `90m` or `1h 30m`; 15 minutes to 24 hours.
    pub length: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn all() -> Vec<Day> {
        vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun]
    }

    fn weekday(self) -> Weekday {
        match self {
            Day::Mon => Weekday::Monday,
            Day::Tue => Weekday::Tuesday,
            Day::Wed => Weekday::Wednesday,
            Day::Thu => Weekday::Thursday,
            Day::Fri => Weekday::Friday,
            Day::Sat => Weekday::Saturday,
            Day::Sun => Weekday::Sunday,
        }
    }
}

/// Windows that were checked: there is at least one, and each opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    zone: TimeZone,
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq)]
struct Window {
    days: Vec<Weekday>,
    start: Time,
    length: SignedDuration,
}

/// A time in which windows are open without a break.
#[derive(Debug, Clone, Copy)]
struct Opening {
    start: Timestamp,
    end: Timestamp,
}

impl Windows {
    /// Checks windows and finds their zone.
    ///
    /// # Errors
    /// [`Error::Zone`] when the zone isn't there; [`Error::Window`] and [`Error::WindowCount`] when a window can't be
    /// read or none would ever open.
    pub fn new(written: &WindowsText, zones: &Zones) -> Result<Self> {
        let count = written.windows.len();
        if !(1..=MAX_WINDOWS).contains(&count) {
            return Err(Error::WindowCount { count, limit: MAX_WINDOWS });
        }
        let zone = zones.get(&written.time_zone)?;
        let windows =
            written.windows.iter().enumerate().map(|(n, window)| {
                Window::new(window).map_err(|reason| Error::Window { number: n + 1, reason })
            });
        Ok(Windows { zone, windows: windows.collect::<Result<_>>()? })
    }

    /// Until when windows are open at `now`, if they are. The end itself is outside. Looks about three weeks ahead:
    /// windows without an end are open until then.
    pub fn is_open(&self, now: Timestamp) -> Option<Timestamp> {
        self.openings(now).into_iter().find(|o| o.start <= now && now < o.end).map(|o| o.end)
    }

    /// When windows are open next: `now` if they are, otherwise the next start. [`Timestamp::MAX`] is only for a
    /// clock at the end of time.
    pub fn next_open(&self, now: Timestamp) -> Timestamp {
        let next = self.openings(now).into_iter().find(|o| now < o.end);
        next.map_or(Timestamp::MAX, |o| o.start.max(now))
    }

    /// A time in the zone of the windows, for people.
    pub fn show(&self, at: Timestamp) -> String {
        text::time(at, &self.zone)
    }

    /// The openings around `now` in order, those that touch joined.
    fn openings(&self, now: Timestamp) -> Vec<Opening> {
        let today = self.zone.to_datetime(now).date();
        let days = (-BEHIND..=AHEAD).filter_map(|n| today.checked_add(n.days()).ok());
        let mut all: Vec<Opening> =
            days.flat_map(|day| self.windows.iter().filter_map(move |w| self.opening(w, day))).collect();
        all.sort_by_key(|o| (o.start, o.end));
        let mut joined: Vec<Opening> = Vec::new();
        for next in all {
            match joined.last_mut() {
                Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
                _ => joined.push(next),
            }
        }
        joined
    }

    fn opening(&self, window: &Window, day: jiff::civil::Date) -> Option<Opening> {
        if !window.days.contains(&day.weekday()) {
            return None;
        }
        let start = self.zone.to_ambiguous_timestamp(day.to_datetime(window.start)).compatible().ok()?;
        let end = start.checked_add(window.length).unwrap_or(Timestamp::MAX);
        (self.zone.to_datetime(start).date() == day).then_some(Opening { start, end })
    }
}

impl Window {
    fn new(written: &WindowText) -> Result<Self, String> {
        if written.days.is_empty() {
            return Err("it has no days and would never open; name some, or leave `days` out for all".into());
        }
        let start = clock(&written.start)
            .ok_or_else(|| format!("its start {:?} is no time of day; write it as 22:30", written.start))?;
        let length: SignedDuration = written.length.trim().parse().map_err(|_| {
            format!("its length {:?} is no length of time; write it as 2h or 1h 30m", written.length)
        })?;
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(format!("its length {:?} is not between 15m and 24h", written.length));
        }
        let days = written.days.iter().map(|day| day.weekday()).collect();
        Ok(Window { days, start, length })
    }
}

/// `HH:MM`, nothing else.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        two.then(|| digits.parse().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
