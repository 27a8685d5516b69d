//! Windows where clocks jump, at the ends of time, and with mistakes in them.

use super::*;

pub(super) fn zones() -> Zones {
    Zones::new("/usr/share/zoneinfo")
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn windows(zone: &str, list: &[(&[Day], &str, &str)]) -> Windows {
    let windows = list.iter().map(|(days, start, length)| WindowText {
        days: if days.is_empty() { Day::all() } else { days.to_vec() },
        start: (*start).into(),
        length: (*length).into(),
    });
    Windows::new(&WindowsText { time_zone: zone.into(), windows: windows.collect() }, &zones()).unwrap()
}

/// The opening that is the first at or after `from`, as text in UTC.
fn first(windows: &Windows, from: &str) -> (String, String) {
    let start = windows.next_open(at(from));
    (start.to_string(), windows.is_open(start).unwrap().to_string())
}

#[test]
fn windows_where_clocks_jump() {
    // Zone, days, start, length; looking from; opens, closes.
    type Row =
        (&'static str, &'static [Day], &'static str, &'static str, &'static str, &'static str, &'static str);
    let rows: &[Row] = &[
        // Winter and summer.
        (
            "Europe/Berlin",
            &[],
            "22:30",
            "2h",
            "2026-01-10T12:00Z",
            "2026-01-10T21:30:00Z",
            "2026-01-10T23:30:00Z",
        ),
        (
            "Europe/Berlin",
            &[],
            "22:30",
            "2h",
            "2026-07-10T12:00Z",
            "2026-07-10T20:30:00Z",
            "2026-07-10T22:30:00Z",
        ),
        // 02:30 doesn't exist and becomes 03:30 summer time.
        (
            "Europe/Berlin",
            &[],
            "02:30",
            "1h",
            "2026-03-28T23:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-29T02:30:00Z",
        ),
        // Two hours across the gap: closes when the clock shows 04:30.
        (
            "Europe/Berlin",
            &[],
            "01:30",
            "2h",
            "2026-03-28T23:00Z",
            "2026-03-29T00:30:00Z",
            "2026-03-29T02:30:00Z",
        ),
        // 02:30 exists twice: the first, in summer time.
        (
            "Europe/Berlin",
            &[],
            "02:30",
            "30m",
            "2026-10-24T23:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
        ),
        // And not again an hour later.
        (
            "Europe/Berlin",
            &[],
            "02:30",
            "30m",
            "2026-10-25T01:00Z",
            "2026-10-26T01:30:00Z",
            "2026-10-26T02:00:00Z",
        ),
        (
            "Europe/Berlin",
            &[],
            "01:30",
            "2h",
            "2026-10-24T23:00Z",
            "2026-10-24T23:30:00Z",
            "2026-10-25T01:30:00Z",
        ),
        (
            "America/New_York",
            &[Day::Sun],
            "02:00",
            "1h",
            "2026-03-07T00:00Z",
            "2026-03-08T07:00:00Z",
            "2026-03-08T08:00:00Z",
        ),
        (
            "America/New_York",
            &[Day::Sun],
            "01:30",
            "1h",
            "2026-10-31T12:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:30:00Z",
        ),
        // Half an hour: 02:00 becomes 02:30, and in April 02:00 becomes 01:30.
        (
            "Australia/Lord_Howe",
            &[],
            "02:15",
            "1h",
            "2026-10-03T12:00Z",
            "2026-10-03T15:45:00Z",
            "2026-10-03T16:45:00Z",
        ),
        (
            "Australia/Lord_Howe",
            &[],
            "01:45",
            "1h",
            "2026-04-04T12:00Z",
            "2026-04-04T14:45:00Z",
            "2026-04-04T15:45:00Z",
        ),
        // Midnight becomes 23:00 on Saturday: Sunday begins an hour later, once.
        (
            "America/Sao_Paulo",
            &[Day::Sun],
            "00:00",
            "15m",
            "2018-02-17T12:00Z",
            "2018-02-18T03:00:00Z",
            "2018-02-18T03:15:00Z",
        ),
        // There was no Friday 30 December 2011: the next one is a week later.
        (
            "Pacific/Apia",
            &[Day::Fri],
            "10:00",
            "1h",
            "2011-12-29T00:00Z",
            "2012-01-05T20:00:00Z",
            "2012-01-05T21:00:00Z",
        ),
        (
            "Pacific/Apia",
            &[],
            "23:00",
            "2h",
            "2011-12-30T09:00Z",
            "2011-12-30T09:00:00Z",
            "2011-12-30T11:00:00Z",
        ),
        // Across midnight and the end of the week.
        (
            "UTC",
            &[Day::Sun],
            "23:00",
            "3h",
            "2026-11-30T01:30Z",
            "2026-11-30T01:30:00Z",
            "2026-11-30T02:00:00Z",
        ),
        (
            "UTC",
            &[Day::Sun],
            "23:00",
            "3h",
            "2026-11-30T02:00Z",
            "2026-12-06T23:00:00Z",
            "2026-12-07T02:00:00Z",
        ),
        (
            "UTC",
            &[Day::Mon],
            "00:00",
            "24h",
            "2026-11-25T00:00Z",
            "2026-11-30T00:00:00Z",
            "2026-12-01T00:00:00Z",
        ),
    ];
    for row @ (zone, days, start, length, from, opens, closes) in rows {
        let from = from.replace('Z', ":00Z");
        let got = first(&windows(zone, &[(days, start, length)]), &from);
        assert_eq!(got, ((*opens).into(), (*closes).into()), "{row:?}");
    }
}

#[test]
fn windows_that_overlap_or_touch_are_one() {
    let both = windows(
        "UTC",
        &[(&[Day::Tue], "01:00", "1h"), (&[Day::Mon], "23:00", "2h"), (&[Day::Tue], "01:30", "1h")],
    );
    assert_eq!(both.is_open(at("2026-11-24T00:00:00Z")), Some(at("2026-11-24T02:30:00Z")));
    assert_eq!(both.is_open(at("2026-11-24T02:30:00Z")), None);
    assert_eq!(both.is_open(at("2026-11-23T22:59:59.999999999Z")), None);
    assert_eq!(both.next_open(at("2026-11-24T02:30:00Z")), at("2026-11-30T23:00:00Z"));
    let always = windows("Europe/Berlin", &[(&[], "00:00", "24h")]);
    let now = at("2026-11-24T02:30:00Z");
    assert!(
        always.is_open(now).unwrap()
            > now + 20.days().to_duration(jiff::SpanRelativeTo::days_are_24_hours()).unwrap()
    );
    assert_eq!(always.next_open(now), now);
}

#[test]
fn clocks_at_the_ends_of_time() {
    for zone in ["UTC", "America/New_York"] {
        let windows = windows(zone, &[(&[Day::Mon], "22:00", "24h")]);
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            windows.is_open(now);
            assert!(windows.next_open(now) >= now);
        }
    }
}

#[test]
fn mistakes_are_found_when_windows_are_read() {
    let read = |yaml: &str| -> Result<Windows, String> {
        let written: WindowsText = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
        Windows::new(&written, &zones()).map_err(|e| e.to_string())
    };
    assert!(read("windows: [{start: 22:30, length: 2h}]").is_ok());
    assert!(
        read("time-zone: Europe/Berlin\nwindows: [{days: [Mon, Sun], start: '22:30', length: 1h 30m}]")
            .is_ok()
    );
    for (yaml, want) in [
        ("windows: []", "1 to 64"),
        ("time-zone: Mars/Olympus\nwindows: [{start: '22:30', length: 2h}]", "Mars/Olympus"),
        ("windows: [{days: [], start: '22:30', length: 2h}]", "window 1: it has no days"),
        (
            "windows: [{start: '22:30', length: 2h}, {start: '24:00', length: 2h}]",
            "window 2: its start \"24:00\"",
        ),
        ("windows: [{start: '7:30', length: 2h}]", "no time of day"),
        ("windows: [{start: '07:30:00', length: 2h}]", "no time of day"),
        ("windows: [{start: '+7:30', length: 2h}]", "no time of day"),
        ("windows: [{start: '07:30', length: 25h}]", "between 15m and 24h"),
        ("windows: [{start: '07:30', length: 14m}]", "between 15m and 24h"),
        ("windows: [{start: '07:30', length: -2h}]", "between 15m and 24h"),
        ("windows: [{start: '07:30', length: 2 hours or so}]", "no length of time"),
        ("windows: [{start: '07:30', length: 7200}]", "no length of time"),
        ("windows: [{start: '07:30', length: 2h, until: x}]", "until"),
        ("windows: [{days: [Monday], start: '07:30', length: 2h}]", "Monday"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(want), "{yaml}: {error}");
    }
}
