//! How a metadata service can fail, for a guest that has to cope.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail};

use crate::moment::parse_duration;

/// Longer than the agent waits for one request.
pub(crate) const DELAY: Duration = Duration::from_secs(8);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Connections are closed without a word.
    Refuse,
    /// Answers come after eight seconds.
    Delay,
    /// The status is 500.
    Error,
    /// Answers break off in the middle.
    Truncate,
    /// Bodies are bytes without a meaning.
    Garbage,
}

/// A failure, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// With which requests.
    pub span: Span,
}

/// The requests that something goes wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Span {
    /// All of them.
    Always,
    /// The first so many.
    Requests(usize),
    /// Those that come within this time after the first.
    Time(Duration),
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, span) = match text.split_once(':') {
            Some((kind, time)) if time.ends_with(['s', 'm', 'h']) => {
                (kind, Span::Time(parse_duration(time).map_err(Error::msg)?))
            }
            Some((kind, n)) => (
                kind,
                Span::Requests(
                    n.parse().context("after the colon is a number of requests, or a time such as 60s")?,
                ),
            ),
            None => (text, Span::Always),
        };
        let kind = match kind {
            "refuse" => Kind::Refuse,
            "delay" => Kind::Delay,
            "error" => Kind::Error,
            "truncate" => Kind::Truncate,
            "garbage" => Kind::Garbage,
            _ => bail!(
                "a fault is refuse, delay, error, truncate or garbage, perhaps with :N for the first N requests or \
                 :TIME for the time after the first one"
            ),
        };
        Ok(Fault { kind, span })
    }
}

/// A fault, and the requests so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    fault: Option<Fault>,
    /// How many there were, and when the first one came.
    seen: Mutex<(usize, Option<Instant>)>,
}

impl Faults {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Faults { fault, ..Faults::default() }
    }

    /// What goes wrong with the request that came at `now`.
    pub(crate) fn next(&self, now: Instant) -> Option<Kind> {
        let fault = self.fault?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *seen.1.get_or_insert(now);
        let before = seen.0;
        seen.0 += 1;
        let wrong = match fault.span {
            Span::Always => true,
            Span::Requests(n) => before < n,
            Span::Time(time) => now.saturating_duration_since(first) < time,
        };
        wrong.then_some(fault.kind)
    }
}

/// Bytes that are no text, no JSON and no YAML.
pub(crate) fn garbage() -> Vec<u8> {
    (0..400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_for_all_requests_or_the_first() {
        let now = Instant::now();
        // Requests in the seconds 5, 34 and 35.
        for (text, wrong) in [
            ("garbage", [true; 3]),
            ("error:2", [true, true, false]),
            ("refuse:30s", [true, true, false]),
            ("refuse:1m", [true; 3]),
        ] {
            let faults = Faults::new(Some(text.parse().unwrap()));
            let got = [5, 34, 35].map(|s| faults.next(now + Duration::from_secs(s)).is_some());
            assert_eq!(got, wrong, "{text}");
        }
        for bad in ["", "error:", "error:x", "error:xs", "errors"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
