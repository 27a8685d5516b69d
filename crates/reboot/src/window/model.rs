//! Windows against a model that looks at every minute of a clock on the wall.

use proptest::prelude::*;

use super::tests::{at, zones};
use super::*;

/// Whether windows are open, found by watching the clock on the wall minute by minute.
fn model(windows: &Windows, from: Timestamp, minutes: usize) -> Vec<bool> {
    let mut open = vec![false; minutes];
    let mut seen = std::collections::HashSet::new();
    let mut last = windows.zone.to_datetime(from - SignedDuration::from_mins(1));
    for n in 0..minutes {
        let minute = SignedDuration::from_mins(1);
        let wall = windows.zone.to_datetime(from + minute * i32::try_from(n).unwrap());
        // What the clock shows now, and after a gap everything that it skipped. Where it was set back, it never showed
        // what came next: that comes later.
        let mut due = (last + minute).min(wall);
        while seen.insert(due) {
            let skipped = due < wall;
            for w in
                windows.windows.iter().filter(|w| w.days.contains(&due.weekday()) && w.start == due.time())
            {
                let late = due.duration_since(last + minute).as_mins();
                let moved = wall + minute * i32::try_from(late).unwrap();
                if skipped && moved.date() != due.date() {
                    continue;
                }
                let begin = n + if skipped { usize::try_from(late).unwrap() } else { 0 };
                let end = begin + usize::try_from(w.length.as_mins()).unwrap();
                (begin..end.min(minutes)).for_each(|n| open[n] = true);
            }
            if due >= wall {
                break;
            }
            due += minute;
        }
        last = wall;
    }
    open
}

const JUMPS: &[(&str, &str)] = &[
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("UTC", "2026-11-29T00:00:00Z"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn as_a_clock_on_the_wall_shows(
        jump in 0..JUMPS.len(),
        near in -400_i64..400,
        list in prop::collection::vec((1_u8..128, -240_i64..240, 15_i64..=1440), 1..4),
    ) {
        let (zone, jump) = JUMPS[jump];
        let jump = at(jump);
        let zone_of = zones().get(zone).unwrap();
        // Starts near what the clock shows at the jump, where they are interesting.
        let written = list.iter().map(|(days, start, length)| WindowText {
            days: Day::all().into_iter().enumerate().filter(|(n, _)| days & (1 << n) != 0).map(|(_, d)| d).collect(),
            start: zone_of.to_datetime(jump + SignedDuration::from_mins(*start)).strftime("%H:%M").to_string(),
            length: format!("{length}m"),
        });
        let windows = Windows::new(&WindowsText { time_zone: zone.into(), windows: written.collect() }, &zones()).unwrap();
        let (lead, minutes) = (5 * 1440_usize, 8 * 1440_usize);
        let from = jump + SignedDuration::from_mins(near) - SignedDuration::from_hours(6 * 24);
        let open = model(&windows, from, minutes);
        let mut next = None;
        for n in (lead..minutes).rev().step_by(3) {
            let now = from + SignedDuration::from_mins(i64::try_from(n).unwrap());
            let until = windows.is_open(now);
            prop_assert_eq!(until.is_some(), open[n], "{} in {}", now, zone);
            if let Some(until) = until {
                next = Some(now);
                let last = usize::try_from((until - SignedDuration::from_mins(1)).duration_since(from).as_mins()).unwrap();
                prop_assert!(open[n..=last.min(minutes - 1)].iter().all(|o| *o), "{} in {}", now, zone);
                prop_assert!(open.get(last + 1) != Some(&true), "{} in {}", now, zone);
            } else if let Some(next) = next {
                let start = windows.next_open(now);
                prop_assert!(now < start && start <= next, "{} in {}", now, zone);
                let n = usize::try_from(start.duration_since(from).as_mins()).unwrap();
                prop_assert!(open[n] && !open[n - 1], "{} in {}", now, zone);
            }
        }
    }
}
