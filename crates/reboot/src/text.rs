//! Text for people: times in a zone, and words of others that can't talk to a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The most characters that are quoted of what others say.
const LIMIT: usize = 200;

/// Text of others on one line: shortened, and without what controls terminals or turns the direction of text.
pub(crate) fn shown(text: &str) -> String {
    let mut chars = text.trim().chars().map(|c| match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    let mut short: String = chars.by_ref().take(LIMIT).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// A time as people read it, such as `Sun 2026-03-29 22:30 CEST`.
pub(crate) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_harmless() {
        for (text, want) in [
            ("plain", "plain"),
            (" a\nb\t", "a b"),
            ("a\u{2028}b\u{61c}", "a b\u{fffd}"),
            ("\u{1b}[2Jx", "\u{fffd}[2Jx"),
            ("\u{9b}x\u{202e}y", "\u{fffd}x\u{fffd}y"),
        ] {
            assert_eq!(shown(text), want);
        }
        assert_eq!(shown(&"ä".repeat(300)).chars().count(), LIMIT + 1);
    }

    #[test]
    fn times_name_their_zone() {
        assert_eq!(time("2026-03-29T20:30:59Z".parse().unwrap(), &TimeZone::UTC), "Sun 2026-03-29 20:30 UTC");
    }
}
