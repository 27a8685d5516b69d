//! Holds all downloads together to so many bytes a second, so that updates leave the line to what the machine is for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a silence before may be made up for.
const BURST: Duration = Duration::from_millis(500);

/// Bytes a second, shared by all connections.
#[derive(Debug)]
pub(super) struct Limit {
    rate: u64,
    /// When what was taken so far is paid for.
    paid: Mutex<Instant>,
}

impl Limit {
    pub(super) fn new(rate: u64) -> Self {
        Limit { rate: rate.max(1), paid: Mutex::new(Instant::now()) }
    }

    /// How long to wait after `bytes` came at `now`.
    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        // Nothing can panic while it is held.
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        *paid = (*paid).max(oldest) + cost;
        paid.saturating_duration_since(now)
    }

    /// Counts `bytes` that came, and waits as long as they should have taken.
    pub(super) fn spend(&self, bytes: u64) {
        std::thread::sleep(self.wait(bytes, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_the_rate() {
        let limit = Limit::new(1000);
        let start = Instant::now() + Duration::from_secs(10);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let ms = |bytes, now| limit.wait(bytes, at(now)).as_millis();
        // A long silence before is worth half a second.
        assert_eq!((ms(500, 0), ms(1000, 0), ms(1000, 0)), (0, 1000, 2000));
        assert_eq!((ms(100, 2000), ms(400, 2000)), (100, 500));
        assert_eq!((ms(1000, 9000), ms(0, 9000)), (500, 500));
    }
}
