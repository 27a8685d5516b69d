//! How a metadata service can fail, for a guest that has to cope.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};

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

/// A failure, and for how many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// The first so many requests; all of them when not given.
    pub requests: Option<usize>,
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, requests) = match text.split_once(':') {
            Some((kind, n)) => (kind, Some(n.parse().context("after the colon is a number of requests")?)),
            None => (text, None),
        };
        let kind = match kind {
            "refuse" => Kind::Refuse,
            "delay" => Kind::Delay,
            "error" => Kind::Error,
            "truncate" => Kind::Truncate,
            "garbage" => Kind::Garbage,
            _ => bail!(
                "a fault is refuse, delay, error, truncate or garbage, perhaps with :N for the first N requests"
            ),
        };
        Ok(Fault { kind, requests })
    }
}

/// A fault and how often it has happened.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    fault: Option<Fault>,
    seen: AtomicUsize,
}

impl Faults {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Faults { fault, ..Faults::default() }
    }

    /// What goes wrong with the next request.
    pub(crate) fn next(&self) -> Option<Kind> {
        let fault = self.fault?;
        let seen = self.seen.fetch_add(1, Ordering::SeqCst);
        fault.requests.is_none_or(|n| seen < n).then_some(fault.kind)
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
        let faults = Faults::new(Some("error:2".parse().unwrap()));
        assert_eq!([(); 3].map(|()| faults.next()), [Some(Kind::Error), Some(Kind::Error), None]);
        let faults = Faults::new(Some("garbage".parse().unwrap()));
        assert_eq!([(); 3].map(|()| faults.next()), [Some(Kind::Garbage); 3]);
        for bad in ["", "error:", "error:x", "errors"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
