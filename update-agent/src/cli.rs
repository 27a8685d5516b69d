//! The command line. Exit codes: 0 done, 1 failed, 2 wrong arguments; `check` ends with 3 when there is something newer.
//!
//! While the service runs, it does what is asked, so that nothing is done twice at a time; without it, this process
//! does.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde_json::json;
use twinhull_sysutil::command::Cmd;
use twinhull_sysutil::size;

use crate::client::Client;
use crate::engine::{How, Outcome};
use crate::memory::{self, What};
use crate::ops::{Ops, Places};
use crate::restart::Through;
use crate::status::{self, Status};
use crate::{journal, next_root, service};

/// Exit code of `check` for a newer version.
const NEWER: u8 = 3;

/// Moves a machine to signed new versions of its image.
#[derive(Debug, Parser)]
#[command(
    name = "update-agent",
    version,
    after_help = "Exit codes: 0 done, 1 failure, 2 wrong arguments; check: 3 there is something newer.\n\n\
                  Examples:\n  \
                  update-agent status --why\n  \
                  update-agent check\n  \
                  update-agent apply --now --reboot\n  \
                  update-agent hold 1.4.0"
)]
pub struct Cli {
    #[command(flatten)]
    places: Places,
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show slots, boot entries, the last check, and what the service is doing
    Status {
        /// Also why nothing happens
        #[arg(long)]
        why: bool,
    },
    /// Look for a newer version, without changing anything
    Check,
    /// Fetch a newer version into the other slot, and make nothing boot it
    Fetch {
        /// Before it is this machine's turn in a rollout
        #[arg(long)]
        now: bool,
    },
    /// Install a newer version into the other slot; the machine boots it next
    #[command(visible_alias = "update")]
    Apply {
        /// Before it is this machine's turn in a rollout
        #[arg(long)]
        now: bool,
        /// Then reboot as `update-agent reboot` does
        #[arg(long)]
        reboot: bool,
    },
    /// Reboot into what is installed: now instead of in the next window, once nobody is logged in, no program inhibits it
    /// and the lock server agrees
    Reboot {
        /// Whoever is logged in, whatever inhibits it, whatever a lock server says
        #[arg(long)]
        force: bool,
        /// What it goes through [default: what the image says]
        #[arg(long, value_enum, value_name = "WAY")]
        through: Option<Through>,
    },
    /// Go back to the version in the other slot with the next reboot, and never install the running one again
    Rollback {
        /// Reboot at once
        #[arg(long)]
        reboot: bool,
    },
    /// Don't install a version, or any
    Hold {
        /// The version; all without one
        version: Option<String>,
    },
    /// Undo `hold`; a version that was given up gets new tries
    Release {
        /// The version; what was held without one
        version: Option<String>,
    },
    /// Show what happened
    History,
    /// Look for newer versions and install them until somebody ends it; twinhull-update.service runs this
    #[command(hide = true)]
    Service {
        /// Where metrics go
        #[arg(long, value_name = "DIR", env = "RUNTIME_DIRECTORY")]
        runtime: Option<PathBuf>,
    },
    /// Make the root of a version for a soft-reboot, or take it away; twinhull-next-root@.service runs this
    #[command(hide = true)]
    NextRoot {
        /// The version's boot entry; without one, there is to be no such root
        entry: Option<String>,
    },
    /// Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs
    /// this
    #[command(hide = true)]
    BootFailed,
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = match cli.command {
        Command::Service { .. } => journal::for_a_unit(false),
        Command::BootFailed => journal::for_a_unit(true),
        _ => {
            journal::to_stderr();
            Ok(())
        }
    };
    log.and_then(|()| run(&cli)).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let ops = Ops::new(cli.places.clone())?;
    let service = || Client::find(&cli.places);
    match &cli.command {
        Command::Status { why } => {
            let live = service().and_then(|client| client.live().ok());
            let status = Status::read(&ops, live)?;
            cli.print(&status, || status.text(*why))?;
        }
        Command::Check => {
            let seen = match service() {
                Some(client) => client.check()?,
                None => ops.check()?,
            };
            cli.print(&seen, || match &seen.newer {
                Some(newer) => format!("{newer} is newer than {}, which runs", seen.running),
                None => format!("{} runs, nothing is newer", seen.running),
            })?;
            return Ok(seen.newer.map_or(ExitCode::SUCCESS, |_| ExitCode::from(NEWER)));
        }
        Command::Fetch { now } => {
            cli.update(&ops, service(), How { now: *now, finish: false })?;
        }
        Command::Apply { now, reboot } => {
            let client = service();
            let outcome = cli.update(&ops, client, How { now: *now, finish: true })?;
            if *reboot && matches!(outcome, Outcome::Staged { .. }) {
                cli.reboot(&ops, false, None)?;
            }
        }
        Command::Reboot { force, through } => cli.reboot(&ops, *force, *through)?,
        Command::Rollback { reboot } => {
            let answer = match service() {
                Some(client) => client.roll_back()?,
                None => json!({ "next": ops.roll_back()? }),
            };
            let next = answer["next"].as_str().unwrap_or_default();
            cli.print(&answer, || format!("the machine boots {next} next"))?;
            if *reboot {
                Cmd::new("systemctl").arg("reboot").output()?;
            }
        }
        Command::Hold { version } => {
            let version = version.as_deref();
            match service() {
                Some(client) => drop(client.hold(version)?),
                None => ops.hold(version)?,
            }
            cli.print(&json!({ "held": version }), || {
                format!("{} is not installed until it is released", version.unwrap_or("any version"))
            })?;
        }
        Command::Release { version } => {
            let version = version.as_deref();
            match service() {
                Some(client) => drop(client.release(version)?),
                None => ops.release(version)?,
            }
            cli.print(&json!({ "released": version }), || match version {
                Some(version) => format!("{version} may be installed"),
                None => "updates go on".into(),
            })?;
        }
        Command::History => {
            let events = memory::events(&cli.places.state);
            let lines = || events.iter().map(line).collect::<Vec<_>>().join("\n");
            cli.print(&events, lines)?;
        }
        Command::Service { runtime } => {
            service::run(ops, runtime.as_deref())?;
        }
        Command::NextRoot { entry: Some(entry) } => next_root::prepare(&ops, entry)?,
        Command::NextRoot { entry: None } => next_root::forget()?,
        Command::BootFailed => {
            if ops.boot_failed()? {
                Cmd::new("systemctl").arg("reboot").output()?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Cli {
    fn print(&self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        if !text.is_empty() {
            writeln!(std::io::stdout(), "{text}").context("standard output is closed")?;
        }
        Ok(())
    }

    fn update(&self, ops: &Ops, client: Option<Client>, how: How) -> Result<Outcome> {
        let mut shown = Progress::default();
        let mut show = |bytes, total| shown.show(bytes, total);
        let outcome = match client {
            Some(client) => client.update(how, &mut show)?,
            None => ops.update(how, &mut show)?,
        };
        let running = &ops.machine.version;
        self.print(&outcome, || match &outcome {
            Outcome::UpToDate { version } => format!("{version} runs, nothing is newer"),
            Outcome::Waiting { version, until } => {
                let until = status::time(*until);
                format!("{version} is newer; this machine's turn is at {until} (--now doesn't wait)")
            }
            Outcome::Staged { version, fetched } => {
                say_fetched(*fetched);
                format!("{version} is installed; the machine boots it next")
            }
            Outcome::Fetched { version, fetched } => {
                say_fetched(*fetched);
                format!("{version} is here; {running} boots until `update-agent apply`")
            }
            Outcome::Held { version } => {
                format!("{version} is newer and on hold (`update-agent release` undoes that)")
            }
            Outcome::Failed { version } => {
                format!("{version} was tried and did not come up; it is not tried again")
            }
        })?;
        Ok(outcome)
    }

    fn reboot(&self, ops: &Ops, force: bool, through: Option<Through>) -> Result<()> {
        let client = Client::find(&self.places).context(
            "the service does not run, which knows when a reboot is allowed; start it with \
             `systemctl start twinhull-update`, or reboot with `systemctl reboot`",
        )?;
        client.reboot(force, through)?;
        // It decides right after its answer.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let status = Status::read(ops, client.live().ok())?;
        let why = status.service.as_ref().map(|live| live.why.clone()).unwrap_or_default();
        self.print(&status.service, || why)
    }
}

fn line(event: &memory::Event) -> String {
    let at = status::time(i64::try_from(event.at).unwrap_or(i64::MAX));
    let version = if event.version == "*" { "any version" } else { &event.version };
    let what = match event.what {
        What::Runs => "runs for the first time",
        What::Installed => "was installed",
        What::Rebooted => "is what the machine was rebooted for",
        What::Failed => "did not come up healthy",
        What::RolledBack => "was left for the version before",
        What::Held => "was put on hold",
        What::Released => "was released",
    };
    format!("{at}  {version} {what}")
}

fn say_fetched(bytes: u64) {
    if bytes > 0 {
        eprintln!("{} were fetched, the rest was here", size::human(bytes));
    }
}

/// A line that counts on a terminal, one line a tenth elsewhere.
#[derive(Debug, Default)]
struct Progress {
    tenths: u64,
}

impl Progress {
    fn show(&mut self, bytes: u64, total: u64) {
        let tenths = bytes.saturating_mul(10) / total.max(1);
        if std::io::stderr().is_terminal() {
            let end = if bytes == total { "\n" } else { "" };
            eprint!("\r{} of {}   {end}", size::human(bytes), size::human(total));
            let _ = std::io::stderr().flush();
        } else if tenths > self.tenths {
            eprintln!("{} of {}", size::human(bytes), size::human(total));
        }
        self.tenths = tenths;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise nobody would ask the service.
    #[test]
    fn places_are_the_usual_ones_unless_somebody_says_otherwise() {
        let cli = Cli::parse_from(["update-agent", "status"]);
        assert_eq!(cli.places, Places::default());
        let cli = Cli::parse_from(["update-agent", "--disk", "x", "status"]);
        assert_ne!(cli.places, Places::default());
    }
}
