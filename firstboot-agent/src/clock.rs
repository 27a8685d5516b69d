//! Time and chance, as arguments.
//!
//! CLOCK_BOOTTIME because a machine's real-time clock may be stepped by years while the agent waits, which
//! has stretched time-outs of other agents past an hour.

use std::time::Duration;

/// What tells the time.
pub trait Clock {
    /// Time since boot, suspend included.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The kernel's CLOCK_BOOTTIME.
#[derive(Debug, Clone, Copy, Default)]
pub struct Boottime;

impl Clock for Boottime {
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Random bytes from the kernel; waits until its pool is ready.
pub fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// How long to wait before attempt `attempt` (from 0): doubling from 250 ms to 4 s, and up to a quarter
/// more or less so that a fleet that starts together doesn't ask together.
pub fn backoff(attempt: u32, chance: u8) -> Duration {
    let base = 250u64 << attempt.min(4);
    Duration::from_millis(base * 3 / 4 + base / 2 * u64::from(chance) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_bounded() {
        for (attempt, chance, millis) in
            [(0, 0, 187), (0, 255, 312), (1, 0, 375), (4, 255, 5000), (99, 0, 3000)]
        {
            assert_eq!(backoff(attempt, chance), Duration::from_millis(millis));
        }
        let mut bytes = [0; 32];
        random(&mut bytes).unwrap();
        assert_ne!(bytes, [0; 32]);
        assert!(Boottime.now() > Duration::ZERO);
    }
}
