//! Scaleway: a JSON document, and user data that only come to ports below 1024.
//!
//! The document doesn't say which card is the public one: it is the one that isn't in the list of private ones.

use crate::Result;
use crate::check_in::{Method, Report};
use crate::http::{Ask, METADATA_LIMIT, Service, USER_DATA_LIMIT};
use crate::json;
use crate::network::{self, Interface, Mac};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const PATH: &str = "/conf?format=json";

/// Asks the service.
pub fn fetch(host: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    let bytes = service.required(PATH, METADATA_LIMIT)?;
    let user_data = service.ask("/user_data/cloud-init", Ask { low_port: true, ..Ask::get(USER_DATA_LIMIT) });
    let mut found = parse(&bytes, &host.cards()).map_err(|problem| service.wrong(PATH, problem))?;
    found.user_data = UserDataState::of(user_data);
    found.report = Some(Report {
        whom: "Scaleway".into(),
        method: Method::Patch,
        url: service.url("/state"),
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: r#"{"state_detail":"booted"}"#.into(),
        of_user_data: false,
    });
    Ok(found)
}

/// Reads the document; `cards` are the machine's own.
pub fn parse(bytes: &[u8], cards: &[Mac]) -> Result<Found, String> {
    let node = json::parse(bytes, METADATA_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let mut found = Found::default();
    found.take_instance_id(node.text_at("id"), "id");
    found.take_hostname(node.text_at("hostname"));
    for key in node.items_at("ssh_public_keys") {
        found.take_keys(key.get("key"));
    }
    for tag in node.items_at("tags").iter().filter_map(Node::text) {
        // Tags have no spaces.
        if let Some(key) = tag.strip_prefix("AUTHORIZED_KEY=") {
            found.take_key_lines(&key.replace('_', " "));
        }
    }
    let mut private = Vec::new();
    for (at, item) in node.items_at("private_nics").iter().enumerate() {
        let what = format!("private_nics[{at}]");
        let Some(mut card) = network::card(item.text_at("mac_address"), &what, &mut found.notes) else {
            continue;
        };
        card.dhcp4 = true;
        card.required = false;
        private.push(card.finished());
    }
    let mut rest = cards.iter().filter(|mac| private.iter().all(|card| card.mac != **mac));
    match rest.next() {
        Some(mac) => found.network.push(public(&node, *mac, &mut found.notes)),
        None => found.notes.push("the public network is left out: no card is left for it".into()),
    }
    found.network.extend(private);
    Ok(found)
}

/// Addresses come by DHCP unless the document says otherwise.
fn public(node: &Node, mac: Mac, notes: &mut Vec<String>) -> Interface {
    let mut interface = Interface::new(mac);
    // A machine with a private address here has its public one translated, and must not take it.
    let translated = node.text_at("private_ip").is_some_and(|ip| !ip.is_empty());
    let listed = if translated { &[] } else { node.items_at("public_ips") };
    // Older documents have one of each family.
    let older: Vec<&Node> =
        ["ipv6"].iter().filter_map(|k| node.get(k)).filter(|_| listed.is_empty()).collect();
    interface.dhcp4 = listed.is_empty();
    for item in listed.iter().chain(older) {
        let Some(address) = item.text_at("address") else { continue };
        let ipv6 = address.contains(':');
        match item.text_at("provisioning_mode") {
            Some("slaac") => interface.accept_ra = Some(true),
            Some("dhcp") if ipv6 => {
                interface.dhcp6 = true;
                interface.accept_ra = Some(true);
            }
            Some("dhcp") => interface.dhcp4 = true,
            _ => {
                interface.add_address(address, item.text_at("netmask"), "public_ips", notes);
                if let Some(gateway) = item.text_at("gateway").filter(|g| !g.is_empty()) {
                    interface.add_gateway(gateway, "public_ips", notes);
                }
            }
        }
    }
    interface.finished()
}

#[cfg(test)]
mod tests;
