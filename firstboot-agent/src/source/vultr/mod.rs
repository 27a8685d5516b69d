//! Vultr: one JSON document. The public card uses DHCP and router advertisements, further addresses and
//! private cards are in the document.

use crate::Result;
use crate::http::{DOCUMENT_LIMIT, Service};
use crate::json;
use crate::network::{self, Interface};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const PATH: &str = "/v1.json";

/// Largest packet in Vultr's private networks.
const PRIVATE_MTU: u32 = 1450;

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    service.add_header("Metadata-Token", "cloudinit");
    let bytes = service.required(PATH, DOCUMENT_LIMIT)?;
    parse(&bytes).map_err(|problem| service.wrong(PATH, problem))
}

/// Reads the document.
pub fn parse(bytes: &[u8]) -> Result<Found, String> {
    let node = json::parse(bytes, DOCUMENT_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let mut found = Found::default();
    let id = ["instance-v2-id", "instanceid"].iter().find_map(|k| node.text_at(k));
    found.take_instance_id(id, "instance-v2-id");
    found.take_hostname(node.text_at("hostname"));
    found.take_keys(node.get("public-keys"));
    found.user_data = match node.text_at("user-data") {
        Some(text) if !text.trim().is_empty() => UserDataState::Some(text.as_bytes().to_vec()),
        // An empty list when there is none.
        _ => UserDataState::None,
    };
    for (at, item) in node.items_at("interfaces").iter().enumerate() {
        found.network.extend(interface(at, item, &mut found.notes));
    }
    Ok(found)
}

fn interface(at: usize, item: &Node, notes: &mut Vec<String>) -> Option<Interface> {
    let what = format!("interfaces[{at}]");
    let mut interface = network::card(item.text_at("mac"), &what, notes)?;
    let none = Node::default();
    let (ipv4, ipv6) = (item.get("ipv4").unwrap_or(&none), item.get("ipv6").unwrap_or(&none));
    let filled = |node: &Node, key: &str| node.text_at(key).is_some_and(|t| !t.trim().is_empty());
    let public = item.text_at("network-type").map_or(at == 0, |t| t == "public");
    if public {
        interface.dhcp4 = filled(ipv4, "address") || !filled(ipv6, "address");
        interface.accept_ra = Some(filled(ipv6, "address") || filled(ipv6, "network"));
    } else {
        interface.accept_ra = Some(false);
        interface.mtu = Some(PRIVATE_MTU);
        interface.required = false;
        if filled(ipv4, "address") {
            let address = ipv4.text_at("address").unwrap_or_default();
            interface.add_address(address, ipv4.text_at("netmask"), &what, notes);
        }
    }
    for (family, mask) in [(ipv4, "netmask"), (ipv6, "prefix")] {
        for more in family.items_at("additional") {
            // An IPv6 network of one's own has only its prefix here.
            let Some(text) = ["address", "network"].iter().find_map(|k| more.text_at(k)) else { continue };
            let mask = more.text_at(mask).or_else(|| more.text_at("netmask"));
            interface.add_address(text, mask, &what, notes);
        }
    }
    Some(interface.finished())
}

#[cfg(test)]
mod tests;
