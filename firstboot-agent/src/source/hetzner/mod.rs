//! Hetzner Cloud: YAML from a link-local address.

use crate::Result;
use crate::http::{METADATA_LIMIT, Service};
use crate::machine::Part;
use crate::network::{self, Interface, Mac};
use crate::source::{Found, Host};
use crate::yaml::{self, Value};

/// Largest packet in Hetzner's private networks.
const PRIVATE_MTU: u32 = 1450;

const METADATA: &str = "/hetzner/v1/metadata";

/// Asks the service. Metadata is required; user data and private networks are not.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    let metadata = service.required(METADATA, METADATA_LIMIT)?;
    let user_data = service.user_data("/hetzner/v1/userdata");
    let private = service.get(&format!("{METADATA}/private-networks"), METADATA_LIMIT);
    let mut found = parse(&metadata, private.as_ref().ok().and_then(Option::as_deref))
        .map_err(|problem| service.wrong(METADATA, problem))?;
    found.optional(private, Part::Network, "private networks are");
    found.user_data = user_data;
    Ok(found)
}

/// Reads the documents.
pub fn parse(metadata: &[u8], private: Option<&[u8]>) -> Result<Found, String> {
    let node = yaml::parse(metadata, METADATA_LIMIT).map_err(|p| p.to_string())?;
    if !matches!(node.value, Value::Map(_)) {
        return Err(format!("the metadata should be a mapping, but it is {}", node.value.kind()));
    }
    let mut found = Found::default();
    found.take_instance_id(node.text_at("instance-id"), "instance-id");
    found.take_hostname(node.text_at("hostname"));
    found.take_keys(node.get("public-keys"));
    if let Some(config) = node.get("network-config") {
        found.network = network::parse(config, &[], &mut found.notes);
    }
    for interface in &mut found.network {
        // There is no DHCPv6, and router advertisements don't say what the metadata says.
        interface.dhcp6 = false;
        interface.accept_ra = Some(false);
    }
    if let Some(private) = private {
        private_networks(private, &mut found.network, &mut found.notes);
    }
    Ok(found)
}

/// Cards in private networks get their address by DHCP; they come and go while the machine runs.
fn private_networks(bytes: &[u8], network: &mut Vec<Interface>, notes: &mut Vec<String>) {
    let node = match yaml::parse(bytes, METADATA_LIMIT) {
        Ok(node) => node,
        Err(problem) => {
            notes.push(format!("private networks are left out: {problem}"));
            return;
        }
    };
    for item in node.items() {
        let Some(Ok(mac)) = item.text_at("mac_address").map(str::parse::<Mac>) else {
            notes.push(format!("{}: a private network without a MAC address is left out", item.place));
            continue;
        };
        if network.iter().all(|i| i.mac != mac) {
            let mut interface = Interface::new(mac);
            interface.dhcp4 = true;
            interface.accept_ra = Some(false);
            interface.mtu = Some(PRIVATE_MTU);
            interface.required = false;
            network.push(interface);
        }
    }
}

#[cfg(test)]
mod tests;
