//! Version 1 of network-config (cards, bonds and VLANs), which Hetzner speaks as well, with what is seen in the wild: subnets without
//! a type, name servers beside interfaces, and `eth0:0` entries that belong to `eth0`.

use super::{
    Interface, Mac, Network, Route, address, default_route, domains, finish, is_default, links, mtu,
    name_servers, only_card,
};
use crate::yaml::Node;

/// Reads the list under `config`.
pub fn parse(config: &Node, cards: &[Mac], notes: &mut Vec<String>) -> Vec<Interface> {
    let mut found: Vec<(String, Interface)> = Vec::new();
    let mut servers = Vec::new();
    let mut search = Vec::new();
    let mut routes = Vec::new();
    let physical = config
        .items()
        .iter()
        .filter(|e| matches!(e.text_at("type"), Some("physical") | None))
        .filter(|e| !e.text_at("name").is_some_and(|n| n.contains(':')))
        .count();
    for entry in config.items() {
        match entry.text_at("type") {
            Some("physical") | None if !entry.entries().is_empty() => {
                let name = entry.text_at("name").unwrap_or_default();
                let base = name.split(':').next().unwrap_or_default().to_owned();
                let mac = match entry.text_at("mac_address").map(str::parse::<Mac>) {
                    Some(Ok(mac)) => Some(mac),
                    Some(Err(problem)) => {
                        notes.push(format!("{}: an interface is left out: {problem}", entry.place));
                        continue;
                    }
                    None => None,
                };
                // The same card again, by address or as an alias like eth0:0.
                let known = found.iter().position(|(n, i)| match mac {
                    Some(mac) => i.mac == mac,
                    None => !base.is_empty() && *n == base,
                });
                let at = match (known, mac) {
                    (Some(at), _) => at,
                    (None, Some(mac)) => {
                        found.push((base, Interface::new(mac)));
                        found.len() - 1
                    }
                    (None, None) => match only_card(physical, cards, &base, notes) {
                        Some(mac) => {
                            found.push((base, Interface::new(mac)));
                            found.len() - 1
                        }
                        None => continue,
                    },
                };
                let interface = &mut found[at].1;
                interface.mtu = mtu(entry.get("mtu")).or(interface.mtu);
                for part in entry.items_at("subnets") {
                    subnet(part, interface, notes);
                }
            }
            Some("nameserver") => {
                let target = entry.text_at("interface").map(str::to_owned);
                servers.push((target.clone(), name_servers(entry.items_at("address"), notes)));
                search.push((target, domains(entry.items_at("search"))));
            }
            Some("route") => routes.push(entry),
            // After the cards.
            Some("loopback" | "bond" | "vlan") | None => {}
            Some(other) => {
                notes.push(format!("{}: `type: {other}` is left out: it isn't supported", entry.place));
            }
        }
    }
    for kind in ["bond", "vlan"] {
        for entry in config.items().iter().filter(|e| e.text_at("type") == Some(kind)) {
            let name = entry.text_at("name").unwrap_or_default();
            let what = format!("{}: interface `{name}`", entry.place);
            let Some(mut interface) = upper(kind, entry, &found, &what, notes) else { continue };
            interface.mtu = mtu(entry.get("mtu"));
            for part in entry.items_at("subnets") {
                subnet(part, &mut interface, notes);
            }
            found.push((name.to_owned(), interface));
        }
    }
    let target = |found: &[(String, Interface)], name: &Option<String>| -> Vec<usize> {
        let named = found.iter().position(|(n, _)| Some(n) == name.as_ref());
        named.map_or_else(|| (0..found.len().min(1)).collect(), |at| vec![at])
    };
    for (name, list) in servers {
        target(&found, &name).into_iter().for_each(|at| found[at].1.dns.extend(&list));
    }
    for (name, list) in search {
        target(&found, &name).into_iter().for_each(|at| found[at].1.search.extend(list.clone()));
    }
    for entry in routes {
        let Some(route) = route(entry, notes) else { continue };
        // The card whose network has the gateway; the first when none does.
        let has = |i: &Interface| route.via.is_some_and(|via| i.addresses.iter().any(|a| a.contains(via)));
        let at = found.iter().position(|(_, i)| has(i)).unwrap_or(0);
        if let Some((_, interface)) = found.get_mut(at) {
            interface.routes.push(route);
        }
    }
    let mut interfaces: Vec<_> = found.into_iter().map(|(_, i)| i).collect();
    interfaces.iter_mut().for_each(finish);
    interfaces
}

/// A bond or VLAN.
fn upper(
    kind: &str,
    entry: &Node,
    found: &[(String, Interface)],
    what: &str,
    notes: &mut Vec<String>,
) -> Option<Interface> {
    let text = |key: &str| entry.text_at(key);
    if kind == "vlan" {
        let wanted =
            links::WantedVlan { id: text("vlan_id"), on: text("vlan_link"), mac: text("mac_address") };
        return links::vlan(&wanted, found, what, notes);
    }
    let parameter = |key: &str| entry.get("params").and_then(|p| p.text_at(key));
    let wanted = links::WantedBond {
        members: entry.items_at("bond_interfaces").iter().filter_map(Node::text).collect(),
        mac: text("mac_address"),
        mode: parameter("bond-mode"),
        miimon: parameter("bond-miimon"),
        policy: parameter("bond-xmit-hash-policy"),
    };
    links::bond(&wanted, found, what, notes)
}

fn subnet(node: &Node, interface: &mut Interface, notes: &mut Vec<String>) {
    let flag = |key: &str| node.flag_at(key).unwrap_or(false);
    match node.text_at("type") {
        Some("dhcp") => {
            interface.dhcp4 |= flag("ipv4") || !flag("ipv6");
            interface.dhcp6 |= flag("ipv6");
        }
        Some("dhcp4") => interface.dhcp4 = true,
        Some("dhcp6" | "ipv6_dhcpv6-stateful") => interface.dhcp6 = true,
        Some("ipv6_slaac" | "ipv6_dhcpv6-stateless") => interface.accept_ra = Some(true),
        Some("manual") => {}
        Some("static" | "static6") => {
            if node.get("address").is_none() {
                notes.push(format!("{}: a static subnet without an address is left out", node.place));
            }
        }
        // Seen at Hetzner: the type is missing, the rest says what is meant.
        None if node.get("address").is_some() => {}
        None => interface.dhcp4 |= flag("ipv4"),
        Some(other) => {
            notes.push(format!("{}: a subnet of `type: {other}` is left out", node.place));
            return;
        }
    }
    if let Some(text) = node.text_at("address") {
        match Network::new(text.split('%').next().unwrap_or(text), node.text_at("netmask")) {
            Ok(network) => interface.addresses.push(network),
            Err(problem) => notes.push(format!("{}: an address is left out: {problem}", node.place)),
        }
    }
    for item in node.items_at("gateway") {
        match item.text().and_then(address) {
            Some(via) => interface.routes.push(default_route(via)),
            None => notes.push(format!("{}: a gateway is left out: not an IP address", item.place)),
        }
    }
    interface.routes.extend(node.items_at("routes").iter().filter_map(|r| route(r, notes)));
    interface.dns.extend(name_servers(node.items_at("dns_nameservers"), notes));
    interface.search.extend(domains(node.items_at("dns_search")));
}

fn route(node: &Node, notes: &mut Vec<String>) -> Option<Route> {
    let text = ["destination", "network", "to"].iter().find_map(|k| node.text_at(k))?;
    let to = match Network::new(text, node.text_at("netmask").or_else(|| node.text_at("prefix"))) {
        _ if is_default(text) => None,
        Ok(network) if network.bits == 0 => None,
        Ok(network) => Some(network),
        Err(problem) => {
            notes.push(format!("{}: a route is left out: {problem}", node.place));
            return None;
        }
    };
    let via = ["gateway", "via"].iter().find_map(|k| node.text_at(k)).and_then(address);
    if to.is_none() && via.is_none() {
        notes.push(format!("{}: a default route without a gateway is left out", node.place));
        return None;
    }
    let metric = node.text_at("metric").and_then(|m| m.parse().ok());
    Some(Route { to, via, metric, on_link: false })
}
