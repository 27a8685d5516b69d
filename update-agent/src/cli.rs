//! The command line. Exit codes: 0 done, 1 failed, 2 wrong arguments; `check` ends with 3 when there is something newer.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use twinhull_slots::{Assessment, BootFile, Disk, EspDir, Slots, boot_files};
use twinhull_sysutil::command::Cmd;
use twinhull_sysutil::{digest, size};

use crate::config::{self, Config, Reboot};
use crate::engine::{Agent, Outcome};
use crate::http::{Folders, Patience};
use crate::machine::Machine;
use crate::memory::{self, Failure, Memory};

/// Exit code of `check` for a newer version.
const NEWER: u8 = 3;

/// Moves a machine to signed new versions of its image.
#[derive(Debug, Parser)]
#[command(
    name = "update-agent",
    version,
    after_help = "Exit codes: 0 done, 1 failure, 2 wrong arguments; check: 3 there is something newer.\n\n\
                  Examples:\n  \
                  update-agent check\n  \
                  update-agent update --reboot\n  \
                  update-agent status --json"
)]
pub struct Cli {
    /// What to follow
    #[arg(long, value_name = "FILE", global = true, default_value = config::PATH)]
    config: PathBuf,
    /// What is remembered
    #[arg(long, value_name = "DIR", global = true, default_value = memory::DIR)]
    state: PathBuf,
    /// The disk with the slots [default: the one the running slot is on]
    #[arg(long, value_name = "DISK", global = true)]
    disk: Option<PathBuf>,
    /// Where the ESP is mounted
    #[arg(long, value_name = "DIR", global = true, default_value = "/efi")]
    esp: PathBuf,
    /// The machine's root, for tests
    #[arg(long, value_name = "DIR", global = true, default_value = "/", hide = true)]
    root: PathBuf,
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for a newer version, without changing anything
    Check,
    /// Write a newer version into the other slot; the machine boots it next
    Update {
        /// Before it is this machine's turn in a rollout
        #[arg(long)]
        now: bool,
        /// Then reboot as the image says: at once unless somebody is logged in or a program inhibits it, or not at all
        #[arg(long)]
        reboot: bool,
    },
    /// Show slots, boot entries and the last check
    Status,
    /// Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs
    /// this
    #[command(hide = true)]
    BootFailed,
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let machine = Machine::read(&cli.root)?;
    match cli.command {
        Command::Check => check(cli, &machine),
        Command::Update { now, reboot } => {
            let outcome = update(cli, &machine, now)?;
            if let Outcome::Staged { version, .. } = &outcome
                && reboot
            {
                self::reboot(cli, &machine, version)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Status => status(cli, &machine),
        Command::BootFailed => boot_failed(cli, &machine),
    }
}

/// Runs `work` with an agent.
fn with_agent<T>(cli: &Cli, machine: &Machine, work: impl FnOnce(&mut Agent<'_>) -> Result<T>) -> Result<T> {
    let config = Config::read(&cli.config)?;
    let memory = Memory::open(&cli.state)?;
    let folders = Folders::new(&config.urls, &machine.image, Patience::default())?;
    work(&mut Agent { machine, config: &config, memory: &memory, folders, now: Timestamp::now() })
}

fn check(cli: &Cli, machine: &Machine) -> Result<ExitCode> {
    let checked = with_agent(cli, machine, |agent| agent.check())?;
    let newer = checked.offer.map(|release| release.version);
    if cli.json {
        let report = json!({"running": machine.version, "newest": checked.channel.newest, "newer": newer});
        println!("{report:#}");
    } else {
        match &newer {
            Some(newer) => println!("{newer} is newer than {}, which runs", machine.version),
            None => println!("{} runs, nothing is newer", machine.version),
        }
    }
    Ok(newer.map_or(ExitCode::SUCCESS, |_| ExitCode::from(NEWER)))
}

fn disk(cli: &Cli, machine: &Machine) -> Result<Disk> {
    let path = match &cli.disk {
        Some(path) => path.clone(),
        None => machine.disk(&cli.root)?,
    };
    Disk::open(&path).with_context(|| format!("the disk {} can't be opened", path.display()))
}

fn esp(path: &Path) -> Result<EspDir> {
    EspDir::open(path).with_context(|| format!("the ESP at {} can't be used", path.display()))
}

fn update(cli: &Cli, machine: &Machine, now: bool) -> Result<Outcome> {
    let (disk, esp) = (disk(cli, machine)?, esp(&cli.esp)?);
    let mut shown = Progress::default();
    let outcome = with_agent(cli, machine, |agent| {
        agent.update(&disk, &esp, now, &mut |bytes, total| shown.show(bytes, total))
    })?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
        return Ok(outcome);
    }
    match &outcome {
        Outcome::UpToDate { version } => println!("{version} runs, nothing is newer"),
        Outcome::Waiting { version, until } => {
            let until = Timestamp::from_second(*until)?;
            println!("{version} is newer; this machine's turn is at {until} (--now doesn't wait)");
        }
        Outcome::Staged { version, fetched } => {
            if *fetched > 0 {
                eprintln!("{} were fetched, the rest was here", size::human(*fetched));
            }
            println!("{version} is installed; the machine boots it next");
        }
        Outcome::Failed { version } => {
            println!("{version} was tried and did not come up; it is not tried again")
        }
    }
    Ok(outcome)
}

/// Reboots if the image says so and nothing speaks against it. logind knows who is logged in and what inhibits.
fn reboot(cli: &Cli, machine: &Machine, version: &str) -> Result<()> {
    if Config::read(&cli.config)?.reboot == Reboot::Manual {
        eprintln!("<5>this image reboots when somebody does it: systemctl reboot");
        return Ok(());
    }
    let entries = boot_files(&esp(&cli.esp)?, &machine.image)?;
    let entry = entries.iter().find(|entry| entry.name.version == version);
    let entry = entry.with_context(|| format!("{version} has no boot file any more"))?;
    if Memory::rebooted_for(&cli.state, &entry.file)? {
        eprintln!(
            "<4>the machine was rebooted for {} already, and started something else: is another entry the default? \
             `bootctl list` shows it; reboot by hand",
            entry.file
        );
        return Ok(());
    }
    let systemctl = Cmd::new("systemctl").args(["reboot", "--check-inhibitors=yes", "--no-wall"]);
    if let Err(error) = systemctl.output() {
        eprintln!("<5>the reboot has to wait: {error}");
        Memory::forget_reboot(&cli.state)?;
    }
    Ok(())
}

/// After a boot that is not healthy: writes down why, and lets boot counting go on with the next try or the version
/// before. Without one, a machine that is up is better than one that reboots.
fn boot_failed(cli: &Cli, machine: &Machine) -> Result<ExitCode> {
    let reason =
        failed_units().unwrap_or_else(|error| format!("its failed units can't be listed: {error:#}"));
    eprintln!("{} {} is not healthy, {reason}", machine.image, machine.version);
    let at = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let failure = Failure { version: machine.version.clone(), at, reason };
    if let Err(error) = memory::add_failure(&cli.state, failure) {
        // A version that fills the disk is one to go back from, too.
        eprintln!("<4>the reason can't be kept: {error:#}");
    }
    let entries = boot_files(&esp(&cli.esp)?, &machine.image)?;
    let good = |entry: &&BootFile| {
        entry.name.version != machine.version && entry.name.assessment() == Assessment::Blessed
    };
    let Some(other) = entries.iter().find(good) else {
        eprintln!("there is no version to go back to, so it stays up");
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("rebooting; {} is there when the tries are used up", other.name.version);
    Cmd::new("systemctl").arg("reboot").output()?;
    Ok(ExitCode::SUCCESS)
}

fn failed_units() -> Result<String> {
    let list = Cmd::new("systemctl").args(["list-units", "--failed", "--plain", "--no-legend"]).output()?;
    let list = String::from_utf8_lossy(&list);
    // The check itself is what brought us here.
    let units = list.lines().filter_map(|line| line.split_whitespace().next());
    let units: Vec<&str> = units.filter(|unit| !unit.starts_with("systemd-boot-check-no-")).collect();
    Ok(format!("failed units: {}", if units.is_empty() { "-".into() } else { units.join(", ") }))
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

fn status(cli: &Cli, machine: &Machine) -> Result<ExitCode> {
    let slots = Slots::read(&disk(cli, machine)?, machine.arch, &machine.image)?;
    let entries = boot_files(&esp(&cli.esp)?, &machine.image)?;
    let running = slots.running(&machine.root_hash)?.data.number;
    let entry = |version: &str| entries.iter().find(|entry| entry.name.version == version);
    let failures = memory::failures(&cli.state);
    let reason = |version: &str| {
        let last = failures.iter().rev().find(|failure| failure.version == version);
        last.map_or("it did not come up", |failure| failure.reason.as_str())
    };
    let rows: Vec<_> = slots
        .iter()
        .zip('A'..)
        .map(|(slot, name)| {
            let version = slot.version();
            let assessment = match version.and_then(entry).map(|entry| entry.name.assessment()) {
                Some(Assessment::Blessed) => "blessed",
                Some(Assessment::Trying { .. }) => "to be tried",
                Some(Assessment::Failed { .. }) => "failed",
                None => "no boot entry",
            };
            json!({
                "slot": name.to_string(),
                "version": version,
                "state": version.map(|_| assessment),
                "reason": version.filter(|_| assessment == "failed").map(reason),
                "running": slot.data.number == running,
            })
        })
        .collect();
    let last = Memory::last_check(&cli.state);
    if cli.json {
        let report = json!({
            "image": machine.image,
            "version": machine.version,
            "root_hash": digest::hex(&machine.root_hash),
            "slots": rows,
            "last_check": last,
        });
        println!("{report:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} {}", machine.image, machine.version);
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let running = if row["running"] == true { "  running" } else { "" };
        let reason = row["reason"].as_str().map(|reason| format!("  ({reason})")).unwrap_or_default();
        println!("  slot {}  {:<20} {}{running}{reason}", text("slot"), text("version"), text("state"));
    }
    match last {
        None => println!("  never looked for a newer version"),
        Some(last) => {
            let at = i64::try_from(last.at).ok().and_then(|s| Timestamp::from_second(s).ok());
            let at = at.map_or("-".into(), |at| at.to_string());
            let found = last.problem.or(last.newest).unwrap_or_default();
            println!("  last check {at}: {found}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
