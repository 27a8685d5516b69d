//! Times on the command line, and the one clock that commands read.

use anyhow::{Context as _, Result, ensure};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// The variable with which tests set the clock, in seconds since 1970. `SOURCE_DATE_EPOCH` is no clock: it is the age of
/// sources, and would make channels that have expired already.
const NOW: &str = "TWINHULL_NOW";

/// Now.
pub(super) fn now() -> Result<Timestamp> {
    match std::env::var(NOW) {
        Ok(text) => {
            let seconds = text.parse().with_context(|| format!("{NOW} is no number of seconds"))?;
            Ok(Timestamp::from_second(seconds)?)
        }
        Err(_) => Ok(Timestamp::now()),
    }
}

/// A time as `30d`, `2y` or `36h`.
pub(super) fn parse_span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|_| "write it as 36h, 30d or 2y".to_owned())?;
    if span.signum() != 1 {
        return Err("it must be longer than nothing".into());
    }
    Ok(span)
}

/// A moment as `2026-12-01T06:00Z`.
pub(super) fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write it as 2026-12-01T06:00Z".to_owned())
}

/// `span` behind `from`, both in seconds since 1970; months and years are those of the calendar in UTC.
pub(super) fn later(from: Timestamp, span: Span) -> Result<u64> {
    let end = from.to_zoned_datetime(TimeZone::UTC).checked_add(span).context("the time is too long")?;
    seconds(end.timestamp())
}

/// Seconds since 1970.
pub(super) fn seconds(time: Timestamp) -> Result<u64> {
    let seconds = time.as_second();
    ensure!(seconds >= 0, "the clock is before 1970; set it right");
    Ok(seconds.unsigned_abs())
}

/// A moment for people.
pub(super) fn shown(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map_or_else(|| seconds.to_string(), |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_they_look_like() {
        let from = Timestamp::from_second(1_700_000_000).unwrap();
        for (text, want) in
            [("30d", 1_702_592_000), ("36h", 1_700_129_600), ("1y", 1_731_622_400), ("2w", 1_701_209_600)]
        {
            assert_eq!(later(from, parse_span(text).unwrap()).unwrap(), want, "{text}");
        }
        for text in ["", "0d", "-1d", "30", "x", "1d ago"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert!(later(from, parse_span("9000y").unwrap()).is_err());
        assert_eq!(parse_timestamp("2026-12-01T06:00Z").unwrap().as_second(), 1_796_104_800);
        assert!(parse_timestamp("2026-12-01").is_err());
        assert_eq!(shown(0), "1970-01-01 00:00 UTC");
    }
}
