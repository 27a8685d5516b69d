//! OpenStack and clouds made with it: the same JSON documents on a disk labelled config-2 (the config drive)
//! and over HTTP.
//!
//! A machine that its firmware says is OpenStack's looks for the disk first: it needs no network, and some
//! clouds have nothing else.

use crate::http::{METADATA_LIMIT, Service};
use crate::json;
use crate::machine::Part;
use crate::network;
use crate::source::disk::{CONFIG_2, Opened, Settling};
use crate::source::{Found, Host};
use crate::{Error, Result};

const META_DATA: &str = "openstack/latest/meta_data.json";
const NETWORK_DATA: &str = "openstack/latest/network_data.json";
const USER_DATA: &str = "openstack/latest/user_data";

/// Looks for the disk, else asks the service.
pub fn fetch(host: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    if let Some(device) = Settling::new(host).find(host, CONFIG_2) {
        return from_disk(host, &device);
    }
    let meta_data = service.required(&format!("/{META_DATA}"), METADATA_LIMIT)?;
    let network_data = service.get(&format!("/{NETWORK_DATA}"), METADATA_LIMIT);
    let user_data = service.user_data(&format!("/{USER_DATA}"));
    let mut found = parse(&meta_data).map_err(|problem| service.wrong(&format!("/{META_DATA}"), problem))?;
    if let Some(bytes) = found.optional(network_data, Part::Network, "the network is") {
        take_network(&bytes, &mut found);
    }
    found.user_data = user_data;
    Ok(found)
}

/// Reads a config drive.
pub fn from_disk(host: &Host<'_>, device: &std::path::Path) -> Result<Found> {
    let disk = Opened::new(host, device)?;
    let wrong = |problem: String| Error::Document { place: format!("{}{META_DATA}", disk.place), problem };
    let meta_data = disk
        .metadata(META_DATA)?
        .ok_or_else(|| wrong("there is no such file, and every config drive has it".into()))?;
    let mut found = parse(&meta_data).map_err(wrong)?;
    let network_data = disk.metadata(NETWORK_DATA);
    if let Some(bytes) = found.optional(network_data, Part::Network, "the network is") {
        take_network(&bytes, &mut found);
    }
    found.user_data = disk.user_data(USER_DATA);
    found.place.clone_from(&disk.place);
    Ok(found)
}

/// Reads meta_data.json.
pub fn parse(meta_data: &[u8]) -> Result<Found, String> {
    let node = json::parse(meta_data, METADATA_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let mut found = Found::default();
    found.take_instance_id(node.text_at("uuid"), "uuid");
    found.take_hostname(node.text_at("hostname").or(node.text_at("name")));
    found.take_keys(node.get("public_keys"));
    // `keys` has the same ones again, certificates of Windows among them.
    for key in node.items_at("keys").iter().filter(|k| k.text_at("type") == Some("ssh")) {
        found.take_keys(key.get("data"));
    }
    Ok(found)
}

/// Reads network_data.json.
pub fn take_network(bytes: &[u8], found: &mut Found) {
    match json::parse(bytes, METADATA_LIMIT) {
        Ok(node) => found.network = network::openstack::parse(&node, &mut found.notes),
        Err(problem) => found.miss(Part::Network, format!("network_data.json is left out: {problem}")),
    }
}

#[cfg(test)]
mod tests;
