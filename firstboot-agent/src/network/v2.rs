//! Version 2 of network-config (what netplan reads): its ethernets, bonds and VLANs.

use super::{
    Interface, Mac, Network, Route, address, default_route, domains, finish, is_default, links, mtu,
    name_servers, only_card,
};
use crate::yaml::{Node, Value};

const KNOWN: &[&str] = &[
    "match",
    "set-name",
    "addresses",
    "dhcp4",
    "dhcp6",
    "gateway4",
    "gateway6",
    "routes",
    "nameservers",
    "mtu",
    "accept-ra",
    "optional",
    "renderer",
    "wakeonlan",
    "critical",
];

/// Reads the mapping that has `ethernets`.
pub fn parse(node: &Node, cards: &[Mac], notes: &mut Vec<String>) -> Vec<Interface> {
    for kind in ["bridges", "wifis", "tunnels", "vrfs"] {
        if node.get(kind).is_some_and(|n| !n.entries().is_empty()) {
            notes.push(format!("network-config: `{kind}` are left out: they aren't supported"));
        }
    }
    // Bonds before VLANs, which may be on them.
    let mut found: Vec<(String, Interface)> = Vec::new();
    for (section, more) in [
        ("ethernets", &[][..]),
        ("bonds", &["interfaces", "parameters", "macaddress"]),
        ("vlans", &["id", "link", "macaddress"]),
    ] {
        let entries = node.get(section).map_or(&[][..], Node::entries);
        for (name, entry) in entries {
            let name = name.text().unwrap_or_default();
            let what = format!("{}: interface `{name}`", entry.place);
            let interface = match section {
                "bonds" => bond(entry, &found, &what, notes),
                "vlans" => {
                    let text = |key: &str| entry.text_at(key);
                    let wanted =
                        links::WantedVlan { id: text("id"), on: text("link"), mac: text("macaddress") };
                    links::vlan(&wanted, &found, &what, notes)
                }
                _ => ethernet(entry, name, entries.len(), cards, notes),
            };
            let Some(mut interface) = interface else { continue };
            for (key, _) in entry.entries() {
                match key.text() {
                    Some(key) if KNOWN.contains(&key) || more.contains(&key) => {}
                    key => notes.push(format!("{}: `{}` is ignored", entry.place, key.unwrap_or("?"))),
                }
            }
            settings(entry, &mut interface, notes);
            finish(&mut interface);
            found.push((name.to_owned(), interface));
        }
    }
    found.into_iter().map(|(_, interface)| interface).collect()
}

fn ethernet(
    entry: &Node,
    name: &str,
    entries: usize,
    cards: &[Mac],
    notes: &mut Vec<String>,
) -> Option<Interface> {
    let mac = match entry.get("match").and_then(|m| m.text_at("macaddress")).map(str::parse::<Mac>) {
        Some(Ok(mac)) => Some(mac),
        Some(Err(problem)) => {
            notes.push(format!("{}: interface `{name}` is left out: {problem}", entry.place));
            None
        }
        None => only_card(entries, cards, name, notes),
    };
    mac.map(Interface::new)
}

fn bond(
    entry: &Node,
    found: &[(String, Interface)],
    what: &str,
    notes: &mut Vec<String>,
) -> Option<Interface> {
    let parameter = |key: &str| entry.get("parameters").and_then(|p| p.text_at(key));
    let wanted = links::WantedBond {
        members: entry.items_at("interfaces").iter().filter_map(Node::text).collect(),
        mac: entry.text_at("macaddress"),
        mode: parameter("mode"),
        miimon: parameter("mii-monitor-interval"),
        policy: parameter("transmit-hash-policy"),
    };
    links::bond(&wanted, found, what, notes)
}

/// What cards, bonds and VLANs have in common.
fn settings(entry: &Node, interface: &mut Interface, notes: &mut Vec<String>) {
    interface.dhcp4 = entry.flag_at("dhcp4").unwrap_or(false);
    interface.dhcp6 = entry.flag_at("dhcp6").unwrap_or(false);
    interface.accept_ra = entry.flag_at("accept-ra");
    interface.required = !entry.flag_at("optional").unwrap_or(false);
    interface.mtu = mtu(entry.get("mtu"));
    for item in entry.items_at("addresses") {
        // `- 10.0.0.2/24` or `- 10.0.0.2/24: {label: ...}`
        let text = match &item.value {
            Value::Map(inner) => inner.first().and_then(|(key, _)| key.text()),
            _ => item.text(),
        };
        match Network::new(text.unwrap_or_default(), None) {
            Ok(network) => interface.addresses.push(network),
            Err(problem) => notes.push(format!("{}: an address is left out: {problem}", item.place)),
        }
    }
    for key in ["gateway4", "gateway6"] {
        let Some(node) = entry.get(key) else { continue };
        match node.text().and_then(address) {
            Some(via) => interface.routes.push(default_route(via)),
            None => notes.push(format!("{}: `{key}` is left out: not an IP address", node.place)),
        }
    }
    for item in entry.items_at("routes") {
        interface.routes.extend(route(item, notes));
    }
    if let Some(servers) = entry.get("nameservers") {
        interface.dns = name_servers(servers.items_at("addresses"), notes);
        interface.search = domains(servers.items_at("search"));
    }
}

fn route(node: &Node, notes: &mut Vec<String>) -> Option<Route> {
    let text = node.text_at("to")?;
    let to = match text.parse::<Network>() {
        _ if is_default(text) => None,
        Ok(network) => Some(network),
        Err(problem) => {
            notes.push(format!("{}: a route is left out: {problem}", node.place));
            return None;
        }
    };
    let via = node.text_at("via").and_then(address);
    if via.is_none() && to.is_none() {
        notes.push(format!("{}: a default route without `via` is left out", node.place));
        return None;
    }
    let metric = node.text_at("metric").and_then(|m| m.parse().ok());
    Some(Route { to, via, metric, on_link: node.flag_at("on-link").unwrap_or(false) })
}
