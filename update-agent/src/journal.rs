//! Where messages go: to standard error for people, to the journal with fields for the service. What others wait for has
//! a message id that stays; docs/reference/update-agent.md lists them.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::JournalLog;

/// A version was installed; the machine boots it next.
pub const INSTALLED: &str = "5a6f6025786f4e04b3eb10f02a031e40";
/// The machine is rebooted for a version.
pub const REBOOTING: &str = "62b8e9f3e574411da727d8d270aa76e1";
/// A reboot can't take the faster way that it was to take.
pub const SLOWER: &str = "80befc5381264778b1fce887481d2fb9";
/// A version on trial is not healthy.
pub const UNHEALTHY: &str = "3266bf5af30b4e55b9073d3d5c6e1657";
/// The reboot waits for something.
pub const WAITING: &str = "61c5078485e74f209c7d2409fcbb03f7";
/// Looking for a newer version or installing it failed: a server that isn't there, or an attack that was refused.
pub const TROUBLE: &str = "35749bea1d874041a82645029b540c3b";
/// A version runs that did not before.
pub const RUNS: &str = "2b45ad114ee844b8b79b41a02a94ec87";
/// Somebody went back to the version before.
pub const ROLLED_BACK: &str = "6e94afaf3d8e444ba131436e811af5de";

/// Sends messages to the journal with their fields, or to standard error where that isn't the journal's.
/// With `console`, people see them there, too.
pub fn for_a_unit(console: bool) -> Result<()> {
    if !systemd_journal_logger::connected_to_journal() {
        to_stderr();
        return Ok(());
    }
    let journal = JournalLog::new().context("the journal can't be reached")?;
    let file = fs_err::OpenOptions::new().write(true).open("/dev/console");
    match file {
        Ok(file) if console => log::set_boxed_logger(Box::new(Console(journal, file)))?,
        _ => journal.install()?,
    }
    log::set_max_level(LevelFilter::Info);
    Ok(())
}

/// Sends messages to standard error, for everything else.
pub fn to_stderr() {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The journal, and the console.
struct Console(JournalLog, fs_err::File);

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.0.log(record);
        if Stderr.enabled(record.metadata()) {
            // Nobody has to be looking.
            let _ = writeln!(&self.1, "update-agent: {}\r", record.args());
        }
    }

    fn flush(&self) {}
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' own talk is for their developers.
        metadata.target().starts_with("update_agent")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Where it isn't read by people, systemd takes priorities from the beginning of the line.
        let priority = match record.level() {
            _ if std::io::stderr().is_terminal() => "",
            log::Level::Error => "<3>",
            log::Level::Warn => "<4>",
            _ => "<6>",
        };
        eprintln!("{priority}{}", record.args());
    }

    fn flush(&self) {}
}
