//! Every strategy in every situation.

use super::*;
use crate::{People, Zones};

fn at(text: &str) -> Timestamp {
    format!("2026-11-25T{text}:00Z").parse().unwrap()
}

fn read(yaml: &str) -> Result<Strategy, String> {
    let written: StrategyText = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
    Strategy::new(&written, &Zones::new("/usr/share/zoneinfo")).map_err(|e| e.to_string())
}

const WINDOWS: &str = "windows: {time-zone: Europe/Berlin, windows: [{start: '22:30', length: 2h}]}";
const LOCK: &str = "fleet-lock: {server: {url: 'http://lock/base', group: web}}";
const BOTH: &str = "fleet-lock: {server: {url: 'http://lock/base', group: web}, within: {windows: [{start: '22:00', length: 2h}]}}";

#[test]
fn decisions() {
    let people = |until: &str, warn: bool| {
        Blockers::People(People { until: at(until), reason: "Logged in: ann.".into(), warn })
    };
    let (fresh, late, people) = (people("22:40", true), people("23:30", true), people("22:40", false));
    let inhibited = Blockers::Blocked { reason: "A reboot is inhibited by x (y).".into() };
    let none = Blockers::None;
    let denied = |again: Option<&str>| Lock::Denied { again: again.map(at), reason: "all\nslots".into() };
    let wait =
        |until: Option<&str>, reason: &str| Decision::Wait { until: until.map(at), reason: reason.into() };
    let closed =
        wait(Some("21:30"), "No reboot window is open; the next one opens Wed 2026-11-25 22:30 CET.");
    let closed_utc =
        wait(Some("22:00"), "No reboot window is open; the next one opens Wed 2026-11-25 22:00 UTC.");
    let for_people =
        wait(Some("22:40"), "Logged in: ann. The machine waits for people until Wed 2026-11-25 22:40 UTC.");
    let Decision::Wait { reason, .. } = &for_people else { panic!() };
    let warn = Decision::Warn { until: at("22:40"), reason: reason.clone() };
    let too_late = wait(
        Some("23:30"),
        "Logged in: ann. The reboot window closes Wed 2026-11-25 23:30 UTC, before their time to leave is over.",
    );
    let for_inhibitor = wait(None, "A reboot is inhibited by x (y).");
    let full = "The lock server gave no lock to reboot in the group web (all slots).";
    let never = Decision::Never {
        reason: "The strategy is manual: the machine reboots when somebody asks for it.".into(),
    };
    use Decision::{AskLock, Reboot};
    use Urge::{Asked, Forced};
    let no = Urge::None;
    for (strategy, now, blockers, lock, urge, want) in [
        ("immediate", "12:00", &none, &Lock::Open, no, &Reboot),
        ("immediate", "12:00", &people, &Lock::Open, no, &for_people),
        ("immediate", "12:00", &fresh, &Lock::Open, no, &warn),
        ("manual", "12:00", &fresh, &Lock::Open, no, &never),
        ("manual", "12:00", &fresh, &Lock::Open, Asked, &warn),
        (WINDOWS, "12:00", &fresh, &Lock::Open, no, &closed),
        (WINDOWS, "22:30", &fresh, &Lock::Open, no, &warn),
        (WINDOWS, "23:20", &late, &Lock::Open, no, &too_late),
        (WINDOWS, "23:20", &late, &Lock::Open, Forced, &Reboot),
        (LOCK, "12:00", &fresh, &Lock::Held, no, &warn),
        ("immediate", "12:00", &inhibited, &Lock::Open, Asked, &for_inhibitor),
        ("immediate", "12:00", &inhibited, &Lock::Open, Forced, &Reboot),
        ("manual", "12:00", &none, &Lock::Open, no, &never),
        ("manual", "12:00", &none, &Lock::Open, Asked, &Reboot),
        ("manual", "12:00", &people, &Lock::Open, Asked, &for_people),
        ("manual", "12:00", &people, &Lock::Open, Forced, &Reboot),
        (WINDOWS, "12:00", &none, &Lock::Open, no, &closed),
        (WINDOWS, "12:00", &inhibited, &Lock::Open, no, &closed),
        (WINDOWS, "12:00", &none, &Lock::Open, Asked, &Reboot),
        (WINDOWS, "21:29", &none, &Lock::Open, no, &closed),
        (WINDOWS, "21:30", &none, &Lock::Open, no, &Reboot),
        (WINDOWS, "22:00", &people, &Lock::Open, no, &for_people),
        (WINDOWS, "22:00", &inhibited, &Lock::Open, no, &for_inhibitor),
        (LOCK, "12:00", &none, &Lock::Open, no, &AskLock),
        (LOCK, "12:00", &none, &Lock::Held, no, &Reboot),
        (LOCK, "12:00", &none, &denied(Some("12:05")), no, &wait(Some("12:05"), full)),
        (LOCK, "12:05", &none, &denied(Some("12:05")), no, &AskLock),
        (LOCK, "12:00", &none, &denied(None), no, &wait(None, full)),
        (LOCK, "12:00", &none, &Lock::Open, Asked, &AskLock),
        (LOCK, "12:00", &none, &denied(None), Forced, &Reboot),
        (LOCK, "12:00", &people, &Lock::Open, no, &for_people),
        (LOCK, "12:00", &inhibited, &Lock::Held, no, &for_inhibitor),
        (BOTH, "12:00", &none, &Lock::Open, no, &closed_utc),
        (BOTH, "12:00", &none, &Lock::Held, no, &closed_utc),
        (BOTH, "12:00", &none, &Lock::Open, Asked, &AskLock),
        (BOTH, "23:00", &none, &Lock::Open, no, &AskLock),
        (BOTH, "23:00", &none, &Lock::Held, no, &Reboot),
        (BOTH, "23:00", &people, &Lock::Held, no, &for_people),
    ] {
        let got = decide(at(now), &read(strategy).unwrap(), blockers, lock, urge);
        assert_eq!(&got, want, "{strategy} at {now}, {blockers:?}, {lock:?}, {urge:?}");
        let sentence = got.to_string();
        assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{sentence}");
    }
}

#[test]
fn mistakes_are_found_when_strategies_are_read() {
    for (yaml, want) in [
        ("sometimes", "sometimes"),
        ("windows: {windows: []}", "1 to 64"),
        ("windows: {time-zone: X/Y, windows: [{start: '22:30', length: 2h}]}", "X/Y"),
        ("fleet-lock: {server: {url: 'lock'}}", "lock server"),
        ("fleet-lock: {server: {url: 'http://lock', group: 'a b'}}", "group"),
        ("fleet-lock: {server: {url: 'http://lock'}, windows: {}}", "windows"),
        ("fleet-lock: {}", "server"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(want), "{yaml}: {error}");
    }
    let Ok(Strategy::FleetLock { server, within: None }) = read("fleet-lock: {server: {url: 'http://lock'}}")
    else {
        panic!();
    };
    assert_eq!((server.group(), server.base().as_str()), ("default", "http://lock/"));
}

#[test]
fn decisions_for_tools() {
    let json = |d: &Decision| serde_json::to_string(d).unwrap();
    assert_eq!(json(&Decision::AskLock), r#"{"decision":"ask-lock"}"#);
    let wait = Decision::Wait { until: Some(at("12:00")), reason: "x".into() };
    assert_eq!(json(&wait), r#"{"decision":"wait","until":"2026-11-25T12:00:00Z","reason":"x"}"#);
}
