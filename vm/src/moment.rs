//! Moments of a guest's life at which something is done to it: so long after its start, or when its serial console
//! shows a text.

use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;

use crate::streams::printable;

/// The longest line of the console that is looked at.
const LINE_MAX: usize = 16 << 10;

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// So long after the guest was started.
    After(Duration),
    /// When a line of the serial console has this text in it, colours and cursor movements aside.
    Text(String),
}

impl FromStr for Moment {
    type Err = String;

    /// What reads as a time is one, anything else a text.
    fn from_str(text: &str) -> Result<Self, String> {
        match parse_duration(text) {
            Ok(time) => Ok(Moment::After(time)),
            Err(_) if text.trim().is_empty() || text.chars().any(char::is_control) => {
                Err("give a time such as 90, 90s, 1.5s, 5m or 1h, or a text that stands in one line of the serial console".into())
            }
            Err(_) => Ok(Moment::Text(text.to_owned())),
        }
    }
}

/// Reads `90`, `90s`, `1.5s`, `5m`, `1h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; write it as 90, 90s, 1.5s, 5m or 1h");
    let (number, unit) = match text.chars().last() {
        Some('s') => (&text[..text.len() - 1], 1),
        Some('m') => (&text[..text.len() - 1], 60),
        Some('h') => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    // Down to milliseconds.
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(part) || !(1..=3).contains(&part.len()) {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    let millis = whole.checked_mul(1000).and_then(|millis| millis.checked_add(part)?.checked_mul(unit));
    let good = 1..=10 * 365 * 86_400_000;
    Ok(Duration::from_millis(millis.filter(|millis| good.contains(millis)).ok_or_else(wrong)?))
}

/// The serial console as it grows, line by line.
#[derive(Debug)]
pub(crate) struct Console {
    log: fs_err::File,
    line: Vec<u8>,
}

impl Console {
    /// Reads the log at `path` from its beginning.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Console { log: fs_err::File::open(path)?, line: Vec::new() })
    }

    /// What is new, as lines without decoration; the last one may still grow, and comes again when it does.
    pub(crate) fn news(&mut self) -> Result<Vec<String>> {
        let (mut lines, mut buffer) = (Vec::new(), [0; 16 << 10]);
        loop {
            let got = self.log.read(&mut buffer)?;
            if got == 0 {
                return Ok(lines);
            }
            for piece in buffer[..got].split_inclusive(|&byte| byte == b'\n') {
                self.line.extend_from_slice(piece);
                lines.push(printable(&String::from_utf8_lossy(&self.line)));
                if piece.ends_with(b"\n") || self.line.len() > LINE_MAX {
                    self.line.clear();
                }
            }
        }
    }
}

/// Whether moments have come.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    moment: Option<&'a Moment>,
}

impl<'a> Watch<'a> {
    /// Looks out for `moment`.
    pub(crate) fn on(moment: Option<&'a Moment>) -> Self {
        Watch { moment }
    }

    /// True at most once: at the first call at or behind the moment.
    pub(crate) fn has_come(&mut self, elapsed: Duration, news: &[String]) -> bool {
        let come = match self.moment {
            None => false,
            Some(Moment::After(time)) => elapsed >= *time,
            Some(Moment::Text(text)) => news.iter().any(|line| line.contains(text.as_str())),
        };
        if come {
            self.moment = None;
        }
        come
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_text() {
        assert_eq!("5m".parse(), Ok(Moment::After(Duration::from_secs(300))));
        assert_eq!("hello login:".parse(), Ok(Moment::Text("hello login:".into())));
        for bad in ["", " ", "a\nb"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_has_a_unit_and_a_point() {
        for (text, millis) in [
            ("90", Some(90_000)),
            ("1.3s", Some(1300)),
            ("0.025", Some(25)),
            ("1.5m", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("0.0", None),
            ("0", None),
            ("1.", None),
            (".5", None),
            ("1.2345s", None),
            ("1.+5s", None),
            ("5d", None),
            ("999999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_text_is_found_once_whatever_its_colours_and_pieces_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial");
        let mut log = fs_err::File::create(&path).unwrap();
        let mut console = Console::open(&path).unwrap();
        let moment = Moment::Text("Reached target boot".into());
        let mut watch = Watch::on(Some(&moment));
        let mut seen = Vec::new();
        for piece in ["[  OK  ] Rea", "ched target \x1b[0;1;39mbo", "ot\x1b[0m.\r\n", "Reached target boot\n"]
        {
            std::io::Write::write_all(&mut log, piece.as_bytes()).unwrap();
            seen.push(watch.has_come(Duration::ZERO, &console.news().unwrap()));
        }
        assert_eq!(seen, [false, false, true, false]);
    }

    #[test]
    fn a_time_comes_once() {
        let moment = Moment::After(Duration::from_secs(2));
        let mut watch = Watch::on(Some(&moment));
        let seen = [1, 2, 3].map(|second| watch.has_come(Duration::from_secs(second), &[]));
        assert_eq!(seen, [false, true, false]);
    }
}
