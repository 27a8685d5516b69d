//! Phased rollout: an update reaches the machines one after the other over a span of time.
//!
//! The pointer to the newest version says when that begins and how long it takes. A machine's place in line follows
//! from its identity and the version: no server counts machines, and other machines go first each time.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{AppId, Error, Result};

/// Steps from the first place to the last: what fits into 53 bits.
const STEPS: u64 = 1 << 53;

/// What the pointer says of a rollout.
///
/// The document itself belongs to the release crate; these are its two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout {
    /// When it begins, in seconds since 1970.
    pub start: u64,
    /// How long until the last machine may update, in seconds; 0 is all at once.
    pub duration: u64,
}

/// A place in line, in steps of 2⁻⁵³: from 0, the first, up to 1, the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

/// Whether a machine may update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// Not before this time.
    WaitUntil(Timestamp),
}

impl Place {
    /// The place of a machine for a version, in [0, 1): the first 53 bits of a SHA-256.
    pub fn of(machine: &AppId, version: &str) -> Self {
        let digest =
            Sha256::new().chain_update(machine.as_str()).chain_update([0]).chain_update(version).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Place(u64::from_be_bytes(first) >> 11)
    }

    /// A place that somebody chose for a machine, the same for every version: 0 is among the first, 1 the last.
    ///
    /// # Errors
    /// [`Error::Wariness`] outside of 0 to 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn wary(wariness: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&wariness) {
            return Err(Error::Wariness { value: wariness });
        }
        Ok(Place((wariness * STEPS as f64) as u64))
    }
}

impl Rollout {
    /// Whether the machine at `place` may update at `now`. A clock before the start waits, also at place 0 and when
    /// all update at once. Times that no clock shows are [`Timestamp::MAX`].
    pub fn admits(&self, now: Timestamp, place: Place) -> Admission {
        let delay = (u128::from(self.duration) * u128::from(place.0)).div_ceil(u128::from(STEPS));
        let due = i64::try_from(u128::from(self.start).saturating_add(delay)).ok();
        let due = due.and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(Timestamp::MAX);
        if now >= due { Admission::Yes } else { Admission::WaitUntil(due) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MachineId;

    fn machine(n: u128) -> AppId {
        MachineId::parse(&format!("{n:032x}")).unwrap().app_specific()
    }

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    #[test]
    fn machines_are_admitted_in_line() {
        let wary = |w| Place::wary(w).unwrap();
        use Admission::{WaitUntil, Yes};
        for (now, start, duration, place, want) in [
            (1000, 1000, 0, wary(0.0), Yes),
            (1000, 1000, 0, wary(1.0), Yes),
            (999, 1000, 0, wary(0.0), WaitUntil(second(1000))),
            (0, 1000, 100, wary(0.0), WaitUntil(second(1000))),
            (1049, 1000, 100, wary(0.5), WaitUntil(second(1050))),
            (1050, 1000, 100, wary(0.5), Yes),
            (1099, 1000, 100, wary(1.0), WaitUntil(second(1100))),
            (1100, 1000, 100, wary(1.0), Yes),
            (1000, 1000, 1, wary(0.1), WaitUntil(second(1001))),
            (0, 0, 0, wary(1.0), Yes),
            (-1, 0, 0, wary(0.0), WaitUntil(second(0))),
            (1000, u64::MAX, u64::MAX, wary(1.0), WaitUntil(Timestamp::MAX)),
            (1000, u64::MAX, 0, wary(0.0), WaitUntil(Timestamp::MAX)),
            (1000, 0, u64::MAX, wary(1.0), WaitUntil(Timestamp::MAX)),
            (1000, 0, u64::MAX, wary(0.0), Yes),
        ] {
            assert_eq!(
                Rollout { start, duration }.admits(second(now), place),
                want,
                "{now} {start} {duration}"
            );
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Place::wary(bad).unwrap_err().to_string().contains("from 0"));
        }
    }

    #[test]
    fn places_are_spread_and_change_with_the_version() {
        let mut tenths = [0; 10];
        for n in 1..=2000 {
            let place = Place::of(&machine(n), "1.2.3");
            tenths[usize::try_from((u128::from(place.0) * 10) >> 53).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|n| (140..260).contains(n)), "{tenths:?}");
        assert_ne!(Place::of(&machine(1), "1.2.3"), Place::of(&machine(1), "1.2.4"));
        // printf 'ID\0001.2.3' | sha256sum; places must not move from one release of Twinhull to the next.
        assert_eq!(machine(1).as_str(), "d41801458f674163846469cffefcc74a");
        assert_eq!(Place::of(&machine(1), "1.2.3").0, 0x8c03_c24e_b1f2_6eb9 >> 11);
    }

    proptest! {
        #[test]
        fn never_overflows_and_waits_truly(start: u64, duration: u64, wariness in 0.0..=1.0, now in -1_000_000_000_000_i64..1_000_000_000_000) {
            let now = Timestamp::from_second(now.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second())).unwrap();
            let rollout = Rollout { start, duration };
            let place = Place::wary(wariness).unwrap();
            if let Admission::WaitUntil(due) = rollout.admits(now, place) {
                prop_assert!(due > now);
                prop_assert_eq!(rollout.admits(due, place), Admission::Yes);
            }
        }
    }
}
