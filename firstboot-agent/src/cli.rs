//! The command line. Exit codes: 0 done, 1 failed, 2 the file or the arguments are wrong.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use log::Level;

use crate::clock::Boottime;
use crate::console::{self, Console};
use crate::http::{METADATA_LIMIT, USER_DATA_LIMIT};
use crate::network::networkd;
use crate::outcome::{Basis, Outcome};
use crate::source::{Found, Host, azure, digitalocean, gcp, hetzner, oracle, vultr};
use crate::store::Store;
use crate::{check_in, initrd, json, network, userdata, yaml};

const STATUS_EXAMPLES: &str = "Examples:
  firstboot-agent status
  firstboot-agent status --json | jq -r '.boot.failures[]'";

const VALIDATE_EXAMPLES: &str = "Examples:
  firstboot-agent validate user-data
  butane --strict web.bu | firstboot-agent validate -";

const EXPLAIN_EXAMPLES: &str = "Examples:
  firstboot-agent explain cloud-config.yaml
  base64 -d user-data.b64 | firstboot-agent explain -
  firstboot-agent explain web.ign --json | jq '.parts[].refused'";

/// Provisions a machine from what its cloud says about it.
#[derive(Debug, Parser)]
#[command(name = "firstboot-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find out who this machine is and prepare its root; twinhull-firstboot.service runs this.
    Initrd {
        /// The machine's root.
        #[arg(long, default_value = "/sysroot")]
        root: PathBuf,
        /// Root of /proc, /sys, /dev and /run.
        #[arg(long, default_value = "/", hide = true)]
        host: PathBuf,
    },
    /// Say what became of provisioning on this boot, and what this machine was told at its last successful fetch.
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// Print JSON: `boot` is this boot's outcome, `machine` what is stored; each may be null.
        #[arg(long)]
        json: bool,
        /// The machine's root.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Tell whoever wants to know that this machine is up; twinhull-check-in.service runs this.
    CheckIn,
    /// Fail unless this boot is provisioned; twinhull-provisioned.service runs this.
    Provisioned,
    /// Check user data in any format; exit with 2 when something is wrong or refused.
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Say what user data would do: how they were recognised, what becomes of each thing, what is refused and why.
    ///
    /// Contents, keys and hashes are never shown. Exits with 2 when anything is refused.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the networkd units that come of a platform's description.
    Network {
        /// The document.
        file: PathBuf,
        /// Whose document it is.
        #[arg(long, value_enum)]
        source: Platform,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Platform {
    /// The document at /metadata/instance.
    Azure,
    /// The document at /metadata/v1.json.
    Digitalocean,
    /// The list at /computeMetadata/v1/instance/network-interfaces/?recursive=true.
    Gcp,
    /// The document at /hetzner/v1/metadata.
    Hetzner,
    /// A network-config.
    Nocloud,
    /// A network_data.json.
    Openstack,
    /// The list at /opc/v2/vnics/.
    Oracle,
    /// The document at /v1.json.
    Vultr,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut out = std::io::stdout();
    match run(Cli::parse(), &mut out) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("firstboot-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Initrd { root, host } => {
            let clock = Boottime;
            let host = Host { root: host, clock: &clock };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
            return Ok(exit(on_console(out, |console| initrd::run(&root, &host, now, console).is_ok())));
        }
        Command::Status { json, root } => status(&root, json, out)?,
        Command::CheckIn => {
            return Ok(exit(on_console(out, |console| {
                check_in::send(
                    &Host::here(&Boottime),
                    &Store::new(Path::new("/")),
                    check_in::PATIENCE,
                    console,
                )
                .unwrap_or_else(|error| {
                    console.fail(error.to_string());
                    false
                })
            })));
        }
        Command::Provisioned => {
            return Ok(exit(on_console(out, |console| provisioned(&Host::here(&Boottime), console))));
        }
        Command::Validate { file } => {
            let (bytes, name) = read(&file)?;
            match userdata::parse(&bytes) {
                Ok(None) => writeln!(out, "{name}: empty; that counts as no user data")?,
                Ok(Some(data)) => writeln!(out, "{name}: good: {}", data.summary())?,
                Err(problems) => {
                    for problem in problems {
                        writeln!(out, "{name}:{problem}")?;
                    }
                    return Ok(ExitCode::from(2));
                }
            }
        }
        Command::Explain { file, json } => {
            let reading = userdata::read(&read(&file)?.0);
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&userdata::explain::as_json(&reading))?)?;
            } else {
                userdata::explain::text(&reading, out)?;
            }
            if !reading.all_problems().is_empty() {
                return Ok(ExitCode::from(2));
            }
        }
        Command::Network { file, source } => return show_network(&file, source, out),
    }
    Ok(ExitCode::SUCCESS)
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs something that people in front of the machine see: a unit's lines go to journal and screen by themselves.
fn on_console(out: &mut dyn Write, run: impl FnOnce(&mut Console<'_>) -> bool) -> bool {
    if !console::connect_to_journal() {
        return run(&mut Console::new(out));
    }
    match fs_err::OpenOptions::new().write(true).open("/dev/console") {
        Ok(mut screen) => run(&mut Console::on_screen(&mut screen, &Boottime)),
        Err(_) => run(&mut Console::on_screen(&mut std::io::sink(), &Boottime)),
    }
}

/// Whether this boot is provisioned, if it has to be: of several words on the command line the last one counts.
fn provisioned(host: &Host<'_>, console: &mut Console<'_>) -> bool {
    if !matches!(host.option("twinhull.provision").as_deref(), Some("required" | "strict")) {
        return true;
    }
    let missing = match Outcome::load(host) {
        Ok(Some(outcome)) => outcome.missing(),
        Ok(None) => Some("the first-boot agent left no outcome".into()),
        Err(error) => Some(error.to_string()),
    };
    let Some(missing) = missing else { return true };
    console.event(
        Level::Error,
        console::NOT_PROVISIONED,
        vec![],
        format!(
            "this boot doesn't count as good, since this machine has to be provisioned and isn't: {missing}"
        ),
    );
    false
}

/// A file, or standard input, and what to call it.
fn read(file: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    if file != Path::new("-") {
        return Ok((fs_err::read(file)?, file.display().to_string()));
    }
    let mut bytes = Vec::new();
    // One byte more than there can be is enough to see that it is too much.
    std::io::stdin()
        .lock()
        .take(USER_DATA_LIMIT as u64 + 1)
        .read_to_end(&mut bytes)
        .context("standard input")?;
    Ok((bytes, "standard input".into()))
}

fn status(root: &Path, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let outcome = Outcome::load(&Host { root: root.to_owned(), clock: &Boottime });
    let outcome = outcome.context("what became of provisioning is for root to read")?;
    let stored = Store::new(root).load().context("the state of this machine is for root to read")?;
    if json {
        let state = stored.as_ref().map(|stored| &stored.state);
        let both = serde_json::json!({ "boot": outcome, "machine": state });
        writeln!(out, "{}", serde_json::to_string_pretty(&both)?)?;
        return Ok(());
    }
    if let Some(outcome) = &outcome {
        let source = outcome.source.as_deref().unwrap_or("-");
        let basis = match outcome.basis {
            Basis::Image => "the image's own settings: no source has ever been heard".into(),
            Basis::Stored => format!("what an earlier boot stored, from {source}"),
            Basis::Source => format!("{source}, at {}", outcome.place.as_deref().unwrap_or("-")),
        };
        writeln!(out, "this boot:  {basis}")?;
        for (what, lines) in [("failed:     ", &outcome.failures), ("warning:    ", &outcome.warnings)] {
            for line in lines {
                writeln!(out, "{what}{line}")?;
            }
        }
    }
    let Some(stored) = stored else {
        writeln!(out, "Nothing is stored: no metadata source has been found so far.")?;
        return Ok(());
    };
    let machine = &stored.state.machine;
    writeln!(out, "source:     {}", machine.source)?;
    writeln!(out, "instance:   {}", machine.instance_id.as_deref().unwrap_or("-"))?;
    writeln!(out, "host name:  {}", machine.hostname.as_ref().map_or("-", |h| h.as_str()))?;
    writeln!(out, "keys:       {}", machine.ssh_keys.len())?;
    for interface in &machine.network {
        let addresses: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
        let dhcp = if interface.dhcp4 || interface.dhcp6 { "DHCP " } else { "" };
        let name = interface.kind.name().map_or_else(String::new, |name| format!(" ({name})"));
        writeln!(out, "interface:  {}{name} {dhcp}{}", interface.mac, addresses.join(" "))?;
    }
    let user_data = stored.user_data.as_ref().map_or("none".into(), |bytes| match userdata::parse(bytes) {
        Ok(Some(data)) => format!("{} bytes, {}", bytes.len(), data.summary()),
        Ok(None) => "none".into(),
        Err(_) => format!("{} bytes, which can't be used", bytes.len()),
    });
    writeln!(out, "user data:  {user_data}")?;
    Ok(())
}

fn show_network(file: &Path, source: Platform, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let bytes = fs_err::read(file)?;
    let wrong = |problem: String| anyhow::anyhow!("{}: {problem}", file.display());
    let document = || json::parse(&bytes, METADATA_LIMIT).map_err(|p| wrong(p.to_string()));
    let mut notes = Vec::new();
    let whole = match source {
        Platform::Azure => azure::parse(&bytes),
        Platform::Digitalocean => digitalocean::parse(&bytes),
        Platform::Hetzner => hetzner::parse(&bytes, None),
        Platform::Vultr => vultr::parse(&bytes),
        Platform::Gcp => Ok(Found { network: gcp::interfaces(&document()?, &mut notes), ..Found::default() }),
        Platform::Oracle => Ok(Found { network: oracle::interfaces(&bytes, &mut notes), ..Found::default() }),
        Platform::Openstack => {
            Ok(Found { network: network::openstack::parse(&document()?, &mut notes), ..Found::default() })
        }
        Platform::Nocloud => yaml::parse(&bytes, METADATA_LIMIT)
            .map(|node| Found { network: network::parse(&node, &[], &mut notes), ..Found::default() })
            .map_err(|problem| problem.to_string()),
    };
    let Found { network: interfaces, notes: more, .. } = whole.map_err(wrong)?;
    notes.extend(more);
    for note in notes {
        eprintln!("{note}");
    }
    for (name, unit) in networkd::units(&interfaces) {
        writeln!(out, "# {name}\n{unit}")?;
    }
    Ok(ExitCode::SUCCESS)
}
