//! Where a machine can learn who it is. One folder a source, its tests beside it.
//!
//! A [`Source`] has fetched everything when it exists, so asking it can't fail halfway; it says only what
//! its platform has, and the trait's defaults say "nothing" for the rest.

pub mod hetzner;
pub mod nocloud;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::console::Console;
use crate::http::Http;
use crate::machine::{Hostname, Machine, SshKey};
use crate::network::{Interface, Mac};
use crate::{Error, Result};

/// User data as a source has it.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum UserDataState {
    /// There is none, and that's fine.
    #[default]
    None,
    /// Here it is, unread.
    Some(Vec<u8>),
    /// There may be some, but it couldn't be had.
    Failed(String),
}

impl std::fmt::Debug for UserDataState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UserDataState::None => f.write_str("None"),
            UserDataState::Some(bytes) => write!(f, "Some({} bytes)", bytes.len()),
            UserDataState::Failed(why) => write!(f, "Failed({why})"),
        }
    }
}

/// What a platform said about this machine.
pub trait Source {
    /// One word for console and state.
    fn name(&self) -> &'static str;

    /// URL or device, for the console.
    fn place(&self) -> String;

    /// Whether anybody who can put a medium into the machine can be this source.
    fn removable(&self) -> bool {
        false
    }

    /// The platform's name for this instance.
    fn instance_id(&self) -> Option<String> {
        None
    }

    /// Host name.
    fn hostname(&self) -> Option<Hostname> {
        None
    }

    /// Public keys for root.
    fn ssh_keys(&self) -> Vec<SshKey> {
        Vec::new()
    }

    /// Network interfaces.
    fn network(&self) -> Vec<Interface> {
        Vec::new()
    }

    /// User data.
    fn user_data(&self) -> UserDataState {
        UserDataState::None
    }

    /// What was tolerated or left out, one line each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// All of it as a machine.
    fn machine(&self) -> Machine {
        Machine {
            source: self.name().to_owned(),
            instance_id: self.instance_id(),
            hostname: self.hostname(),
            ssh_keys: self.ssh_keys(),
            network: self.network(),
        }
    }
}

/// The machine the agent runs on, as far as sources look at it.
pub struct Host<'a> {
    /// Root of /proc, /sys, /dev and /run.
    pub root: PathBuf,
    /// Time.
    pub clock: &'a dyn Clock,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Host<'_> {
    /// A path of the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The words of the kernel command line.
    pub fn command_line(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("/proc/cmdline")).unwrap_or_default();
        text.split_whitespace().map(|w| w.trim_matches('"').to_owned()).collect()
    }

    /// The value of the last `name=value` on the kernel command line.
    pub fn option(&self, name: &str) -> Option<String> {
        let words = self.command_line();
        words.iter().rev().find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }

    /// MAC addresses of Ethernet cards, virtual interfaces left out.
    pub fn cards(&self) -> Vec<Mac> {
        let Ok(entries) = fs_err::read_dir(self.path("/sys/class/net")) else { return Vec::new() };
        let read = |dir: &Path, file: &str| {
            fs_err::read_to_string(dir.join(file)).map(|t| t.trim().to_owned()).unwrap_or_default()
        };
        let mut cards: Vec<Mac> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| read(p, "type") == "1" && p.join("device").exists())
            .filter_map(|p| read(&p, "address").parse().ok())
            .collect();
        cards.sort();
        cards.dedup();
        cards
    }

    /// How long a source on the network may take: the command line says, or a minute for a machine that
    /// knows nothing yet and ten seconds for one that does.
    pub fn bound(&self, known: bool) -> Duration {
        let asked = self.option("twinhull.provision-timeout").and_then(|t| t.parse().ok());
        Duration::from_secs(asked.unwrap_or(if known { 10 } else { 60 }).clamp(1, 240))
    }
}

/// Asks the source that the generator found. `None`: this machine has none, which is fine.
pub fn look(host: &Host<'_>, known: bool, console: &mut Console<'_>) -> Result<Option<Box<dyn Source>>> {
    let file = host.path("/run/twinhull/source");
    let word = match fs_err::read_to_string(&file) {
        Ok(word) => word.trim().to_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            console.warn(
                "no source: twinhull-provision-generator left no /run/twinhull/source, so nothing is asked",
            );
            return Ok(None);
        }
        Err(e) => return Err(Error::file("the generator's answer", file)(e)),
    };
    match word.as_str() {
        "hetzner" => {
            let http = Http::new(host.clock, host.bound(known));
            let base = host.option("twinhull.metadata-url").unwrap_or_else(|| hetzner::BASE.to_owned());
            Ok(Some(Box::new(hetzner::Hetzner::fetch(&http, &base)?)))
        }
        "nocloud-net" => {
            let http = Http::new(host.clock, host.bound(known));
            Ok(Some(Box::new(nocloud::from_network(host, &http)?)))
        }
        "local" => Ok(nocloud::from_disk(host)?.map(|s| Box::new(s) as Box<dyn Source>)),
        "off" => Ok(None),
        other => {
            console.warn(format!("source `{other}` isn't known to this version, so nothing is asked"));
            Ok(None)
        }
    }
}
