//! NoCloud: files on a disk labelled cidata, the same files over HTTP, in a folder of the machine's own, or as
//! credentials that its firmware or hypervisor hands to systemd.

use std::path::Path;

use crate::http::{Http, METADATA_LIMIT, USER_DATA_LIMIT};
use crate::network::{self, Mac};
use crate::source::disk::Opened;
use crate::source::{Found, Host, UserDataState};
use crate::yaml::{self, Value};
use crate::{Error, Result};

/// Where systemd keeps credentials from outside.
const CREDENTIALS: &str = "/run/credentials/@system";

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
    /// Instance id given beside the files, for when they have none.
    pub instance_id: Option<String>,
    /// Host name given beside the files, likewise.
    pub hostname: Option<String>,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Reads a seed; `cards` are the machine's own, for a network-config that names none.
pub fn parse(seed: Seed, cards: &[Mac]) -> Result<Found> {
    let wrong =
        |file: &str, problem: String| Error::Document { place: format!("{}{file}", seed.place), problem };
    let node = yaml::parse(&seed.meta_data, METADATA_LIMIT).map_err(|p| wrong("meta-data", p.to_string()))?;
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        return Err(wrong("meta-data", format!("it should be a mapping, but it is {}", node.value.kind())));
    }
    let mut found = Found { name: "nocloud", removable: seed.removable, ..Found::default() };
    let id = ["instance-id", "instance_id"].iter().find_map(|k| node.text_at(k));
    let id = id.or(seed.instance_id.as_deref()).map(str::trim).filter(|t| !t.is_empty());
    let id =
        id.ok_or_else(|| wrong("meta-data", "`instance-id` is missing; give every machine one".into()))?;
    found.take_instance_id(Some(id), "instance-id");
    let hostname = ["local-hostname", "hostname"].iter().find_map(|k| node.text_at(k));
    found.take_hostname(hostname.or(seed.hostname.as_deref()));
    found.take_keys(["public-keys", "public_keys"].iter().find_map(|k| node.get(k)));
    match seed.network_config.as_deref().map(|bytes| yaml::parse(bytes, METADATA_LIMIT)) {
        None => {}
        Some(Ok(config)) => found.network = network::parse(&config, cards, &mut found.notes),
        Some(Err(problem)) => found.notes.push(format!("network-config is left out: {problem}")),
    }
    if node.get("network-interfaces").is_some() {
        found.notes.push("meta-data: `network-interfaces` is ignored; use network-config".into());
    }
    if seed.vendor_data {
        found.notes.push("vendor-data is ignored".into());
    }
    found.place = seed.place;
    found.user_data = seed.user_data;
    Ok(found)
}

/// Reads a disk that is labelled as a seed.
pub fn from_disk(host: &Host<'_>, device: &Path) -> Result<Found> {
    let seed = read(&Opened::new(host, device)?, true)?;
    parse(Seed { removable: true, ..seed }, &host.cards())
}

/// Reads a folder of the machine whose root is `root`. Nobody but the machine's owner can have put it there,
/// so it may lack an instance id.
pub fn from_folder(host: &Host<'_>, root: &Path, folder: &str) -> Result<Found> {
    let wrong =
        |problem| Error::Address { what: "twinhull.source=file:", value: yaml::printable(folder), problem };
    if !folder.starts_with('/') || folder.split('/').any(|part| part == "..") {
        return Err(wrong("it must be an absolute path on this machine, without `..`"));
    }
    let at = root.join(folder.trim_start_matches('/'));
    if !at.is_dir() {
        return Err(wrong(
            "there is no such folder; it has to be below /usr or /var, as nothing else is there yet",
        ));
    }
    let seed = Seed { instance_id: Some(own_id(host)), ..read(&Opened::folder(&at), false)? };
    Ok(Found { name: "file", ..parse(seed, &host.cards())? })
}

/// Reads the credentials `twinhull.user-data`, `twinhull.meta-data` and `twinhull.network-config`, which came by
/// SMBIOS or fw_cfg; systemd has put them into files.
pub fn from_credentials(host: &Host<'_>) -> Result<Found> {
    let folder = Opened::folder(&host.path(CREDENTIALS));
    let seed = Seed {
        place: "the credentials twinhull.".into(),
        meta_data: folder.metadata("twinhull.meta-data")?.unwrap_or_default(),
        network_config: folder.metadata("twinhull.network-config")?,
        user_data: folder.user_data("twinhull.user-data"),
        instance_id: Some(own_id(host)),
        ..Seed::default()
    };
    let found = parse(seed, &host.cards())?;
    Ok(Found { name: "credentials", place: CREDENTIALS.into(), ..found })
}

/// The instance id of a machine that was given none.
fn own_id(host: &Host<'_>) -> String {
    host.uuid().unwrap_or_else(|| "unnamed".into())
}

/// The files of a seed in a folder.
fn read(folder: &Opened, strict: bool) -> Result<Seed> {
    let meta_data = folder.metadata("meta-data")?;
    if strict && meta_data.is_none() {
        return Err(Error::Document {
            place: folder.place.clone(),
            problem: "there is no file meta-data; a NoCloud seed has one with an instance-id".into(),
        });
    }
    Ok(Seed {
        place: folder.place.clone(),
        meta_data: meta_data.unwrap_or_default(),
        network_config: folder.metadata("network-config")?,
        user_data: folder.user_data("user-data"),
        vendor_data: folder.folder.join("vendor-data").exists(),
        ..Seed::default()
    })
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
pub fn from_network(host: &Host<'_>, http: &Http<'_>) -> Result<Found> {
    let serial = host.dmi("product_serial");
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
    let user_data = UserDataState::of(http.get(&format!("{url}user-data"), USER_DATA_LIMIT));
    let seed = Seed {
        meta_data,
        network_config,
        user_data,
        place: given.url,
        instance_id: given.instance_id,
        hostname: given.hostname,
        ..Seed::default()
    };
    parse(seed, &host.cards())
}

#[cfg(test)]
mod tests;
