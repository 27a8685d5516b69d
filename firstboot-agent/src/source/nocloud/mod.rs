//! NoCloud: files on a disk labelled cidata, or the same files over HTTP.

mod disk;

use crate::http::{Http, METADATA_LIMIT, USER_DATA_LIMIT};
use crate::machine::{self, Hostname, SshKey};
use crate::network::{self, Interface, Mac};
use crate::source::{Host, Source, UserDataState};
use crate::yaml::{self, Value};
use crate::{Error, Result};

pub use disk::from_disk;

/// The files of a seed, as fetched.
#[derive(Clone, Default)]
pub struct Seed {
    /// Where they came from.
    pub place: String,
    /// Whether that is a medium anybody can put in.
    pub removable: bool,
    /// `meta-data`.
    pub meta_data: Vec<u8>,
    /// `network-config`.
    pub network_config: Option<Vec<u8>>,
    /// `user-data`.
    pub user_data: UserDataState,
    /// Whether there is `vendor-data`.
    pub vendor_data: bool,
    /// Instance id given beside the files.
    pub instance_id: Option<String>,
    /// Host name given beside the files.
    pub hostname: Option<String>,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What a seed says.
#[derive(Debug, Clone)]
pub struct NoCloud {
    place: String,
    removable: bool,
    instance_id: String,
    hostname: Option<Hostname>,
    ssh_keys: Vec<SshKey>,
    network: Vec<Interface>,
    user_data: UserDataState,
    notes: Vec<String>,
}

impl NoCloud {
    /// Reads a seed; `cards` are the machine's own, for a network-config that names none.
    pub fn parse(seed: Seed, cards: &[Mac]) -> Result<Self> {
        let wrong =
            |file: &str, problem: String| Error::Document { place: format!("{}{file}", seed.place), problem };
        let node =
            yaml::parse(&seed.meta_data, METADATA_LIMIT).map_err(|p| wrong("meta-data", p.to_string()))?;
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            return Err(wrong(
                "meta-data",
                format!("it should be a mapping, but it is {}", node.value.kind()),
            ));
        }
        let mut notes = Vec::new();
        let instance_id = ["instance-id", "instance_id"].iter().find_map(|k| node.text_at(k));
        let instance_id =
            instance_id.or(seed.instance_id.as_deref()).map(str::trim).filter(|t| !t.is_empty());
        let instance_id = instance_id
            .ok_or_else(|| wrong("meta-data", "`instance-id` is missing; give every machine one".into()))
            .map(yaml::printable)?;
        let hostname = ["local-hostname", "hostname"].iter().find_map(|k| node.text_at(k));
        let hostname = hostname.or(seed.hostname.as_deref()).and_then(|text| {
            let checked = Hostname::new(text);
            checked.map_err(|problem| notes.push(format!("the host name is left out: {problem}"))).ok()
        });
        let keys = ["public-keys", "public_keys"].iter().find_map(|k| node.get(k));
        let ssh_keys = machine::ssh_keys(keys, &mut notes);
        let network = match seed.network_config.as_deref().map(|bytes| yaml::parse(bytes, METADATA_LIMIT)) {
            None => Vec::new(),
            Some(Ok(config)) => network::parse(&config, cards, &mut notes),
            Some(Err(problem)) => {
                notes.push(format!("network-config is left out: {problem}"));
                Vec::new()
            }
        };
        if node.get("network-interfaces").is_some() {
            notes.push("meta-data: `network-interfaces` is ignored; use network-config".into());
        }
        if seed.vendor_data {
            notes.push("vendor-data is ignored".into());
        }
        Ok(NoCloud {
            instance_id,
            hostname,
            ssh_keys,
            network,
            notes,
            place: seed.place,
            removable: seed.removable,
            user_data: seed.user_data,
        })
    }
}

/// What `ds=nocloud;...` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeedUrl {
    /// Where the files are; ends so that a file's name can follow.
    pub url: String,
    instance_id: Option<String>,
    hostname: Option<String>,
}

/// Reads `ds=nocloud;s=URL;i=ID;h=NAME`, as the firmware or the command line gives it.
pub fn seed_url(text: &str) -> Option<Result<SeedUrl>> {
    let mut parts = text.trim().split(';');
    if !matches!(parts.next(), Some("ds=nocloud" | "ds=nocloud-net")) {
        return None;
    }
    let mut seed = SeedUrl::default();
    for part in parts {
        match part.split_once('=') {
            Some(("s" | "seedfrom", url)) => seed.url = url.to_owned(),
            Some(("i" | "instance-id", id)) => seed.instance_id = Some(id.to_owned()),
            Some(("h" | "local-hostname", name)) => seed.hostname = Some(name.to_owned()),
            _ => {}
        }
    }
    if seed.url.is_empty() {
        return None;
    }
    if !seed.url.starts_with("http://") {
        return Some(Err(Error::Address {
            what: "NoCloud seed",
            value: yaml::printable(&seed.url),
            problem: "it must begin with http://, because there is no TLS in the initrd",
        }));
    }
    if !seed.url.ends_with(['/', '=']) {
        seed.url.push('/');
    }
    Some(Ok(seed))
}

/// A seed over HTTP, its URL from the command line or else from the firmware's serial number.
pub fn from_network(host: &Host<'_>, http: &Http<'_>) -> Result<NoCloud> {
    let serial = fs_err::read_to_string(host.path("/sys/class/dmi/id/product_serial")).unwrap_or_default();
    let words = host.command_line();
    let found = words.iter().map(String::as_str).chain([serial.as_str()]).find_map(seed_url);
    let given = found.unwrap_or_else(|| {
        Err(Error::Address {
            what: "NoCloud seed",
            value: String::new(),
            problem: "neither command line nor firmware serial number has `ds=nocloud;s=http://.../`",
        })
    })?;
    let url = &given.url;
    let meta_data = http.required(&format!("{url}meta-data"), METADATA_LIMIT)?;
    let network_config = http.get(&format!("{url}network-config"), METADATA_LIMIT)?;
    let user_data = match http.get(&format!("{url}user-data"), USER_DATA_LIMIT) {
        Ok(None) => UserDataState::None,
        Ok(Some(bytes)) => UserDataState::Some(bytes),
        Err(error) => UserDataState::Failed(error.to_string()),
    };
    let seed = Seed {
        meta_data,
        network_config,
        user_data,
        place: given.url,
        instance_id: given.instance_id,
        hostname: given.hostname,
        ..Seed::default()
    };
    NoCloud::parse(seed, &host.cards())
}

impl Source for NoCloud {
    fn name(&self) -> &'static str {
        "nocloud"
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn removable(&self) -> bool {
        self.removable
    }

    fn instance_id(&self) -> Option<String> {
        Some(self.instance_id.clone())
    }

    fn hostname(&self) -> Option<Hostname> {
        self.hostname.clone()
    }

    fn ssh_keys(&self) -> Vec<SshKey> {
        self.ssh_keys.clone()
    }

    fn network(&self) -> Vec<Interface> {
        self.network.clone()
    }

    fn user_data(&self) -> UserDataState {
        self.user_data.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests;
