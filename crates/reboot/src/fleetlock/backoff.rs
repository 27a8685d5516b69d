//! Pauses between requests: growing, bounded, and different on every machine.

use std::time::Duration;

/// Before the second request.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause, before its random part is taken off. A slot may become free any minute, and a fleet of
/// thousands still asks only a few times a second.
const LONGEST: Duration = Duration::from_secs(300);

/// An iterator without an end: doubling from 5 seconds to 5 minutes, each shortened by a random part of up to a half,
/// so that a fleet that was told of an update together doesn't ask together.
///
/// Waiting is the caller's part, and so is randomness: a function of any 64 bits.
#[derive(Debug, Clone)]
pub struct Backoff<R> {
    next: Duration,
    random: R,
}

impl<R: FnMut() -> u64> Backoff<R> {
    /// Pauses from the shortest on.
    pub fn new(random: R) -> Self {
        Backoff { next: FIRST, random }
    }
}

impl<R: FnMut() -> u64> Iterator for Backoff<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        let half = full.as_millis() as u64 / 2;
        Some(full - Duration::from_millis((self.random)() % (half + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let seconds =
            |random: u64| Backoff::new(move || random).take(9).map(|d| d.as_secs_f64()).collect::<Vec<_>>();
        assert_eq!(seconds(0), [5., 10., 20., 40., 80., 160., 300., 300., 300.]);
        assert_eq!(seconds(2500)[0], 2.5);
        let mut state = 1_u64;
        let random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 11
        };
        let all: Vec<Duration> = Backoff::new(random).take(1000).collect();
        assert!(all[6..].iter().all(|d| (150..=300).contains(&d.as_secs())));
        let short = all[6..].iter().filter(|d| d.as_secs() < 225).count();
        assert!((400..600).contains(&short), "{short}");
    }
}
