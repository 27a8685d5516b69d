//! Where a machine can learn who it is. One folder a source, its tests beside it.
//!
//! A source fetches everything first and then reads it into a [`Found`], so using that can't fail halfway. It
//! fills in only what its platform has; the rest is "nothing".

mod disk;
mod host;
mod platforms;

pub mod aws;
pub mod azure;
pub mod digitalocean;
pub mod gcp;
pub mod hetzner;
pub mod matchbox;
pub mod nocloud;
pub mod openstack;
pub mod oracle;
pub mod scaleway;
pub mod vmware;
pub mod vultr;

use std::path::Path;

use base64::Engine as _;

use crate::check_in::Report;
use crate::console::Console;
use crate::http::{Http, Service, USER_DATA_LIMIT};
use crate::machine::{self, Hostname, Machine, Part, SshKey};
use crate::network::Interface;
use crate::yaml::{self, Node};
use crate::{Error, Result};

pub use host::Host;
pub use platforms::{PLATFORMS, Platform};

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

impl UserDataState {
    /// What came of asking for it.
    pub fn of(got: Result<Option<Vec<u8>>>) -> Self {
        match got {
            Ok(None) => UserDataState::None,
            Ok(Some(bytes)) => UserDataState::Some(bytes),
            Err(error) => UserDataState::Failed(error.to_string()),
        }
    }

    /// User data that a platform hands out in base64, from `place`.
    pub fn of_base64(text: Option<&str>, place: &str) -> Self {
        let text: String = text.unwrap_or_default().split_whitespace().collect();
        if text.is_empty() {
            return UserDataState::None;
        }
        match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) if bytes.len() <= USER_DATA_LIMIT => UserDataState::Some(bytes),
            Ok(_) => UserDataState::Failed(format!("{place} has more than {USER_DATA_LIMIT} bytes")),
            Err(_) => UserDataState::Failed(format!("{place} should be base64, but isn't")),
        }
    }
}

/// What a platform said about this machine.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// One word for console and state.
    pub name: &'static str,
    /// URL or device, for the console.
    pub place: String,
    /// Whether anybody who can put a medium into the machine can be this source.
    pub removable: bool,
    /// The platform's name for this instance.
    pub instance_id: Option<String>,
    /// Host name.
    pub hostname: Option<Hostname>,
    /// Public keys for root.
    pub ssh_keys: Vec<SshKey>,
    /// Network interfaces.
    pub network: Vec<Interface>,
    /// User data.
    pub user_data: UserDataState,
    /// What was tolerated or left out, one line each.
    pub notes: Vec<String>,
    /// What there may be, but couldn't be had.
    pub missed: Vec<Part>,
    /// What the platform wants to hear once the machine is up.
    pub report: Option<Report>,
}

impl Found {
    /// All of it as a machine.
    pub fn machine(&self) -> Machine {
        Machine {
            source: self.name.to_owned(),
            instance_id: self.instance_id.clone(),
            hostname: self.hostname.clone(),
            ssh_keys: self.ssh_keys.clone(),
            network: self.network.clone(),
        }
    }

    /// Takes an instance id; `what` should have had one.
    fn take_instance_id(&mut self, id: Option<&str>, what: &str) {
        self.instance_id = id.map(str::trim).filter(|id| !id.is_empty()).map(yaml::printable);
        if self.instance_id.is_none() {
            self.notes
                .push(format!("{what} is missing, so a copy of this machine would take itself for this one"));
        }
    }

    /// Takes a host name, if it is one.
    fn take_hostname(&mut self, text: Option<&str>) {
        let Some(text) = text.filter(|t| !t.trim().is_empty()) else { return };
        match Hostname::new(text) {
            Ok(hostname) => self.hostname = Some(hostname),
            Err(problem) => self.notes.push(format!("the host name is left out: {problem}")),
        }
    }

    /// Takes SSH keys in any shape.
    fn take_keys(&mut self, node: Option<&Node>) {
        for key in machine::ssh_keys(node, &mut self.notes) {
            if !self.ssh_keys.contains(&key) {
                self.ssh_keys.push(key);
            }
        }
    }

    /// Takes SSH keys from lines of text.
    fn take_key_lines(&mut self, text: &str) {
        let value = yaml::Value::Text(text.to_owned());
        self.take_keys(Some(&Node { value, ..Node::default() }));
    }

    /// What an optional request for a `part` came to; trouble becomes a note about `what`.
    fn optional<T>(&mut self, got: Result<Option<T>>, part: Part, what: &str) -> Option<T> {
        got.unwrap_or_else(|error| {
            self.miss(part, format!("{what} left out: {error}"));
            None
        })
    }

    /// Notes why a part couldn't be had. A machine that had it keeps it.
    fn miss(&mut self, part: Part, note: String) {
        self.notes.push(note);
        self.missed.push(part);
    }
}

/// Asks the source that the generator found; `root` is the machine's. `None`: this machine has none, which is
/// fine.
pub fn look(host: &Host<'_>, root: &Path, known: bool, console: &mut Console<'_>) -> Result<Option<Found>> {
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
    if let Some(folder) = word.strip_prefix("file:") {
        return nocloud::from_folder(host, root, folder).map(Some);
    }
    let http = || Http::new(host.clock, host.bound(known));
    match word.as_str() {
        "nocloud-net" => nocloud::from_network(host, &http()).map(Some),
        "matchbox" => matchbox::fetch(host, &http()).map(Some),
        "credentials" => nocloud::from_credentials(host).map(Some),
        "local" => local(host),
        // Nothing in the hypervisor leaves the usual media.
        "vmware" => vmware::fetch(host)?.map_or_else(|| local(host), |found| Ok(Some(found))),
        "off" => Ok(None),
        word => {
            let Some(platform) = PLATFORMS.iter().find(|p| p.name == word) else {
                console.warn(format!("source `{word}` isn't known to this version, so nothing is asked"));
                return Ok(None);
            };
            let given = host.option("twinhull.metadata-url");
            let http = http();
            let mut service = match &given {
                Some(url) => Service::given_at(&http, url),
                None => Service::new(&http, platform.bases),
            };
            let mut found = (platform.fetch)(host, &mut service)?;
            found.name = platform.name;
            if found.place.is_empty() {
                found.place = service.place().to_owned();
            }
            Ok(Some(found))
        }
    }
}

/// A medium in a machine that is on no cloud.
fn local(host: &Host<'_>) -> Result<Option<Found>> {
    let settling = disk::Settling::new(host);
    if let Some(device) = settling.find(host, disk::CIDATA) {
        return nocloud::from_disk(host, &device).map(Some);
    }
    match settling.find(host, disk::CONFIG_2) {
        Some(device) => {
            let found = openstack::from_disk(host, &device)?;
            Ok(Some(Found { name: "config-drive", removable: true, ..found }))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
