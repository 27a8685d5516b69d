//! The command line. Exit codes: 0 done, 1 failed, 2 the file or the arguments are wrong.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use crate::clock::Boottime;
use crate::console::Console;
use crate::http::METADATA_LIMIT;
use crate::network::networkd;
use crate::source::{Found, Host, azure, digitalocean, gcp, hetzner, oracle, vultr};
use crate::store::Store;
use crate::{initrd, json, network, userdata, yaml};

/// Provisions a machine from what its cloud says about it.
#[derive(Debug, Parser)]
#[command(name = "firstboot-agent", version)]
struct Cli {
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
    /// Say what this machine was told at its last successful fetch.
    Status {
        /// Print machine.json as it is.
        #[arg(long)]
        json: bool,
        /// The machine's root.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Check user data in Twinhull's own format; exit with 2 when there is something wrong.
    Validate {
        /// The file.
        file: PathBuf,
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
            let mut console = Console::new(out);
            if let Err(error) = initrd::run(&root, &host, now, &mut console) {
                console.fail(error.to_string());
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Status { json, root } => status(&root, json, out)?,
        Command::Validate { file } => {
            let bytes = fs_err::read(&file)?;
            match userdata::parse(&bytes) {
                Ok(None) => writeln!(out, "{}: empty; that counts as no user data", file.display())?,
                Ok(Some(data)) => writeln!(out, "{}: good: {}", file.display(), data.summary())?,
                Err(problems) => {
                    for problem in problems {
                        writeln!(out, "{}:{problem}", file.display())?;
                    }
                    return Ok(ExitCode::from(2));
                }
            }
        }
        Command::Network { file, source } => return show_network(&file, source, out),
    }
    Ok(ExitCode::SUCCESS)
}

fn status(root: &Path, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let stored = Store::new(root).load().context("the state of this machine is for root to read")?;
    let Some(stored) = stored else {
        let text = if json { "null" } else { "Nothing is stored: no metadata source has been found so far." };
        writeln!(out, "{text}")?;
        return Ok(());
    };
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&stored.state)?)?;
        return Ok(());
    }
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
    let size = stored.user_data.as_ref().map_or("none".into(), |d| format!("{} bytes", d.len()));
    writeln!(out, "user data:  {size}")?;
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
