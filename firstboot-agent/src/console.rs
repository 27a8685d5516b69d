//! One line for each step: where a person in front of a serial console sees it, and in the journal with fields.
//!
//! Lines that others may wait for have a message id that stays; docs/reference/first-boot-journal.md lists them.
//! User data and secrets never come here.

use std::io::Write;

use log::{Level, Record};

use crate::Error;
use crate::clock::Clock;
use crate::yaml::printable;

/// A source has said who this machine is.
pub const FOUND: &str = "591a43a269eb4ba2a8c559b074124f24";
/// No source is there to be asked.
pub const NO_SOURCE: &str = "0eaf06b7f3784e46b3ff8bf27c157fb5";
/// The source could not be asked, or its answer is of no use.
pub const UNREACHABLE: &str = "aa00d92021a047f6a16159658f324745";
/// The machine is what an earlier boot stored.
pub const STORED: &str = "2ee4205e1ae340f9ad80133093928db7";
/// Another instance than before: a copy of a machine becomes one of its own.
pub const NEW_MACHINE: &str = "5c0575616f5c405983fa1f486df2a1d5";
/// User data are in use.
pub const USER_DATA: &str = "ff92e66e6df742d1a7a2e4bde788e1ab";
/// User data aren't used, because something in them is wrong or refused.
pub const REFUSED: &str = "9d0a8b50160e4a78b087c39326af0f6a";
/// Somebody who wanted to know has been told that this machine is up.
pub const TOLD: &str = "e3be6bb9d45749668b2a96d79637191e";
/// Somebody who wanted to know couldn't be told.
pub const NOT_TOLD: &str = "b769084650894090b0af8649e6ea5c28";
/// The boot is held to be bad, because this machine has to be provisioned and isn't.
pub const NOT_PROVISIONED: &str = "ee0e9ef32e4f42ba95965e6f74f7ad39";

/// A field of a journal entry; names begin with `TWINHULL_`.
pub type Field = (&'static str, String);

/// Where lines go.
pub struct Console<'a> {
    out: &'a mut dyn Write,
    /// For the times on a screen.
    clock: Option<&'a dyn Clock>,
    /// What was tolerated, as far as it goes into the outcome of this boot.
    pub warnings: Vec<String>,
    /// What was asked for and is not so.
    pub failures: Vec<String>,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("failures", &self.failures.len()).finish_non_exhaustive()
    }
}

impl<'a> Console<'a> {
    /// A console that writes to `out`, as systemd takes lines from its services: with a priority in front.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Console { out, clock: None, warnings: Vec::new(), failures: Vec::new() }
    }

    /// The machine's console itself, where lines look as the journal's do.
    pub fn on_screen(out: &'a mut dyn Write, clock: &'a dyn Clock) -> Self {
        Console { clock: Some(clock), ..Console::new(out) }
    }

    /// Something was done.
    pub fn info(&mut self, line: impl AsRef<str>) {
        self.say(Level::Info, &[], line.as_ref());
    }

    /// Something was tolerated.
    pub fn warn(&mut self, line: impl AsRef<str>) {
        self.say(Level::Warn, &[], line.as_ref());
    }

    /// Something that was asked for is not so; strict mode will stop here.
    pub fn fail(&mut self, line: impl AsRef<str>) {
        self.say(Level::Error, &[], line.as_ref());
    }

    /// Something that others may wait for.
    pub fn event(&mut self, level: Level, id: &'static str, mut fields: Vec<Field>, line: impl AsRef<str>) {
        fields.insert(0, ("MESSAGE_ID", id.to_owned()));
        self.say(level, &fields, line.as_ref());
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    fn say(&mut self, level: Level, fields: &[Field], line: &str) {
        let line = line.lines().map(printable).collect::<Vec<_>>().join(" ");
        log::logger().log(
            &Record::builder()
                .level(level)
                .target(module_path!())
                .key_values(&fields)
                .args(format_args!("{line}"))
                .build(),
        );
        let priority = match level {
            Level::Error => "<3>",
            Level::Warn => "<4>",
            _ => "",
        };
        // A console that can't be written to must not keep a machine from booting.
        let _ = match self.clock.map(Clock::now) {
            Some(now) => write!(
                self.out,
                "[{:5}.{:06}] firstboot-agent: {line}\r\n",
                now.as_secs(),
                now.subsec_micros()
            ),
            None => writeln!(self.out, "{priority}{line}"),
        };
        let _ = self.out.flush();
        match level {
            Level::Error => self.failures.push(line),
            Level::Warn => self.warnings.push(line),
            _ => {}
        }
    }
}

/// The fields of an error: what was asked, and what came back.
pub fn fields(error: &Error) -> Vec<Field> {
    match error {
        Error::Http { url, came_back, .. } => {
            vec![("TWINHULL_PLACE", url.clone()), ("TWINHULL_CAME_BACK", came_back.clone())]
        }
        Error::Document { place, problem } => {
            vec![("TWINHULL_PLACE", place.clone()), ("TWINHULL_CAME_BACK", problem.clone())]
        }
        _ => Vec::new(),
    }
}

/// Sends what a [`Console`] says to the journal with its fields, too, if standard error is the journal's.
pub fn connect_to_journal() -> bool {
    let connected = systemd_journal_logger::connected_to_journal()
        && systemd_journal_logger::JournalLog::new().is_ok_and(|journal| journal.install().is_ok());
    if connected {
        log::set_max_level(log::LevelFilter::Info);
    }
    connected
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> std::time::Duration {
            std::time::Duration::from_millis(12_500)
        }
        fn sleep(&self, _: std::time::Duration) {}
    }

    #[test]
    fn lines_for_systemd_and_for_the_screen() {
        let mut out = Vec::new();
        let mut console = Console::new(&mut out);
        console.warn("a\nb\u{7}");
        console.fail("c");
        assert_eq!((console.warnings.len(), console.failures.clone()), (1, vec!["c".to_owned()]));
        Console::on_screen(&mut out, &Noon).event(Level::Error, REFUSED, vec![], "d");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("<4>a b") && !text.contains('\u{7}'), "{text:?}");
        assert!(text.ends_with("\n<3>c\n[   12.500000] firstboot-agent: d\r\n"), "{text:?}");
    }

    #[test]
    fn the_reference_has_every_message_id() {
        let page = include_str!("../../docs/reference/first-boot-journal.md");
        let ids = [
            FOUND,
            NO_SOURCE,
            UNREACHABLE,
            STORED,
            NEW_MACHINE,
            USER_DATA,
            REFUSED,
            TOLD,
            NOT_TOLD,
            NOT_PROVISIONED,
        ];
        for id in ids {
            assert!(page.contains(id), "{id} is missing");
        }
        assert_eq!(page.matches("| `").count(), ids.len() + 6, "ids, and fields");
    }
}
