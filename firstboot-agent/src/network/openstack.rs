//! OpenStack's network_data.json: links (cards, bonds, VLANs), networks on them, and services.
//!
//! Links and networks refer to each other by ids. A network whose link isn't known is left out; so is a
//! link of a kind that can't be made. Every kind with a MAC address that isn't a bond or VLAN is a card here:
//! what the host has behind it (`ovs`, `tap`, `vhostuser`, ...) doesn't show in the guest.

use super::{Interface, Network, Route, address, card, finish, is_default, links, mtu};
use crate::yaml::Node;

/// Reads the document.
pub fn parse(node: &Node, notes: &mut Vec<String>) -> Vec<Interface> {
    let links = node.items_at("links");
    let mut found: Vec<(String, Interface)> = Vec::new();
    // Cards before bonds before VLANs: those refer to the ones before.
    for rank in 0..3 {
        for link in links {
            let kind = link.text_at("type").unwrap_or("phy");
            let id = link.text_at("id").unwrap_or_default();
            let what = format!("network_data: link `{id}`");
            let text = |key: &str| link.text_at(key);
            let interface = match (kind, rank) {
                ("bond", 1) => {
                    let members = link.items_at("bond_links").iter().filter_map(Node::text).collect();
                    let wanted = links::WantedBond {
                        members,
                        mac: text("ethernet_mac_address"),
                        mode: text("bond_mode"),
                        miimon: text("bond_miimon"),
                        policy: text("bond_xmit_hash_policy"),
                    };
                    links::bond(&wanted, &found, &what, notes)
                }
                ("vlan", 2) => {
                    let wanted = links::WantedVlan {
                        id: text("vlan_id"),
                        on: text("vlan_link"),
                        mac: text("vlan_mac_address").or(text("ethernet_mac_address")),
                    };
                    links::vlan(&wanted, &found, &what, notes)
                }
                ("bond" | "vlan", _) => None,
                (_, 0) => card(text("ethernet_mac_address"), &what, notes),
                _ => None,
            };
            if let Some(mut interface) = interface {
                interface.mtu = mtu(link.get("mtu"));
                found.push((id.to_owned(), interface));
            }
        }
    }
    for network in node.items_at("networks") {
        let link = network.text_at("link").unwrap_or_default();
        match found.iter_mut().find(|(id, _)| id == link) {
            Some((_, interface)) => add(network, interface, notes),
            None => notes
                .push(format!("network_data: a network on link `{link}` is left out: there is no such link")),
        }
    }
    let servers = dns(node.items_at("services"), notes);
    let has_network =
        |i: &Interface| i.dhcp4 || i.dhcp6 || !i.addresses.is_empty() || i.accept_ra == Some(true);
    // They count for the machine; networkd asks the servers of any interface that is up.
    let first = found.iter().position(|(_, i)| has_network(i)).unwrap_or(0);
    if let Some((_, interface)) = found.get_mut(first) {
        interface.dns.extend(servers);
    }
    let mut interfaces: Vec<Interface> = found.into_iter().map(|(_, i)| i).collect();
    for interface in &mut interfaces {
        // Nothing to wait for on a card that only carries others, or that no network is on.
        interface.required = has_network(interface);
        finish(interface);
    }
    interfaces
}

fn add(network: &Node, interface: &mut Interface, notes: &mut Vec<String>) {
    let kind = network.text_at("type").unwrap_or_default();
    match kind {
        "ipv4_dhcp" | "dhcp4" => interface.dhcp4 = true,
        "ipv6_slaac" | "ipv6_dhcpv6-stateless" => interface.accept_ra = Some(true),
        "ipv6_dhcp" | "ipv6_dhcpv6-stateful" | "dhcp6" => {
            interface.dhcp6 = true;
            interface.accept_ra = Some(true);
        }
        "ipv4" | "ipv6" | "static" => {
            let what = "network_data";
            match network.text_at("ip_address") {
                Some(text) => interface.add_address(text, network.text_at("netmask"), what, notes),
                None => notes.push(format!("{what}: a network of type `{kind}` has no address")),
            }
            if let Some(gateway) = network.text_at("gateway") {
                interface.add_gateway(gateway, what, notes);
            }
        }
        _ => {
            let id = network.text_at("id").unwrap_or_default();
            notes.push(format!("network_data: network `{id}` is left out: its type isn't known"));
            return;
        }
    }
    interface.routes.extend(network.items_at("routes").iter().filter_map(|r| route(r, notes)));
    interface.dns.extend(dns(network.items_at("services"), notes));
    interface.dns.extend(super::name_servers(network.items_at("dns_nameservers"), notes));
}

fn route(node: &Node, notes: &mut Vec<String>) -> Option<Route> {
    let text = node.text_at("network")?;
    let via = node.text_at("gateway").and_then(address);
    let to = match Network::new(text, node.text_at("netmask")) {
        _ if is_default(text) => None,
        Ok(network) if network.bits == 0 => None,
        Ok(network) => Some(network),
        Err(problem) => {
            notes.push(format!("network_data: a route is left out: {problem}"));
            return None;
        }
    };
    if via.is_none() && to.is_none() {
        notes.push("network_data: a default route without a gateway is left out".into());
        return None;
    }
    Some(Route { to, via, metric: None, on_link: false })
}

fn dns(services: &[Node], notes: &mut Vec<String>) -> Vec<std::net::IpAddr> {
    let addresses =
        services.iter().filter(|s| s.text_at("type") == Some("dns")).filter_map(|s| s.get("address"));
    addresses.flat_map(|a| super::name_servers(a.items(), notes)).collect()
}
