//! DigitalOcean: one JSON document from a link-local address, and no DHCP: all addresses are in it.

use crate::Result;
use crate::http::{DOCUMENT_LIMIT, Service};
use crate::json;
use crate::network::{self, Interface};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const PATH: &str = "/metadata/v1.json";

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    let bytes = service.required(PATH, DOCUMENT_LIMIT)?;
    parse(&bytes).map_err(|problem| service.wrong(PATH, problem))
}

/// Reads the document.
pub fn parse(bytes: &[u8]) -> Result<Found, String> {
    let node = json::parse(bytes, DOCUMENT_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let mut found = Found::default();
    found.take_instance_id(node.text_at("droplet_id"), "droplet_id");
    found.take_hostname(node.text_at("hostname"));
    found.take_keys(node.get("public_keys"));
    found.user_data = match node.text_at("user_data") {
        Some(text) if !text.is_empty() => UserDataState::Some(text.as_bytes().to_vec()),
        _ => UserDataState::None,
    };
    let dns = node.get("dns").map_or(&[][..], |d| d.items_at("nameservers"));
    let dns = network::name_servers(dns, &mut found.notes);
    let none = Node::default();
    let interfaces = node.get("interfaces").unwrap_or(&none);
    for kind in ["public", "private"] {
        for item in interfaces.items_at(kind) {
            let Some(mut interface) = interface(kind, item, &mut found.notes) else { continue };
            // A machine without a public card asks over its private one.
            if kind == "public" || found.network.is_empty() {
                interface.dns.clone_from(&dns);
            }
            found.network.push(interface.finished());
        }
    }
    Ok(found)
}

fn interface(kind: &str, item: &Node, notes: &mut Vec<String>) -> Option<Interface> {
    let what = format!("a {kind} interface");
    let mut interface = network::card(item.text_at("mac"), &what, notes)?;
    interface.accept_ra = Some(false);
    // The anchor address is where traffic to a reserved address arrives.
    for (family, mask, gateway) in [
        ("ipv4", "netmask", kind == "public"),
        ("ipv6", "cidr", kind == "public"),
        ("anchor_ipv4", "netmask", false),
    ] {
        let Some(family) = item.get(family) else { continue };
        let Some(address) = family.text_at("ip_address") else { continue };
        interface.add_address(address, family.text_at(mask), &what, notes);
        if let Some(text) = family.text_at("gateway").filter(|_| gateway) {
            interface.add_gateway(text, &what, notes);
        }
    }
    interface.required = kind == "public";
    Some(interface)
}

#[cfg(test)]
mod tests;
