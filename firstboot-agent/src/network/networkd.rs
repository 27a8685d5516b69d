//! Interfaces as .network and .netdev files.

use std::fmt::Write;
use std::net::IpAddr;

use super::{Interface, Kind, Parent};

const HEAD: &str = "# Made by firstboot-agent from what the platform says; replaced on every boot.\n";

/// File names and contents, below /etc/systemd/network. They sort before the image's own.
pub fn units(interfaces: &[Interface]) -> Vec<(String, String)> {
    let mut units = Vec::new();
    for (n, interface) in interfaces.iter().enumerate() {
        if let Some(text) = netdev(interface) {
            units.push((format!("10-twinhull-{n}.netdev"), text));
        }
        if let Some(text) = inner(interface) {
            // `-` sorts before `.`, and the first file that matches a card is the one that counts.
            units.push((format!("10-twinhull-{n}-inner.network"), text));
        }
        units.push((format!("10-twinhull-{n}.network"), network(interface, interfaces)));
    }
    units
}

/// The .network file of an interface that has nothing to do with others.
pub fn unit(interface: &Interface) -> String {
    network(interface, &[])
}

/// Lines of a unit. Writing to a String can't fail.
struct Lines(String);

impl Lines {
    fn section(&mut self, name: &str) {
        let before = if self.0.len() > HEAD.len() { "\n" } else { "" };
        let _ = writeln!(self.0, "{before}[{name}]");
    }

    fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key}={value}");
    }

    fn set_some(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// The .netdev file of what isn't a card.
fn netdev(interface: &Interface) -> Option<String> {
    let mut out = Lines(HEAD.to_owned());
    out.section("NetDev");
    out.set("Name", interface.kind.name()?);
    match &interface.kind {
        Kind::Card => return None,
        Kind::Bond(bond) => {
            out.set("Kind", "bond");
            out.set("MACAddress", interface.mac);
            out.section("Bond");
            out.set("Mode", &bond.mode);
            out.set_some("MIIMonitorSec", bond.miimon.map(|m| format!("{m}ms")));
            out.set_some("TransmitHashPolicy", bond.policy.as_ref());
        }
        Kind::Vlan(vlan) => {
            out.set("Kind", "vlan");
            out.set("MACAddress", interface.mac);
            out.section("VLAN");
            out.set("Id", vlan.id);
        }
    }
    Some(out.0)
}

/// The .network file that keeps everybody's hands off the insides of a card.
fn inner(interface: &Interface) -> Option<String> {
    if interface.inner_drivers.is_empty() {
        return None;
    }
    let mut out = Lines(HEAD.to_owned());
    out.section("Match");
    out.set("MACAddress", interface.mac);
    out.set("Driver", interface.inner_drivers.join(" "));
    out.section("Link");
    out.set("Unmanaged", "yes");
    out.set("RequiredForOnline", "no");
    Some(out.0)
}

/// The .network file of an interface among others.
fn network(interface: &Interface, all: &[Interface]) -> String {
    let bond = all.iter().find_map(|other| match &other.kind {
        Kind::Bond(bond) if interface.kind.is_card() && bond.members.contains(&interface.mac) => Some(bond),
        _ => None,
    });
    let mut out = Lines(HEAD.to_owned());
    out.section("Match");
    match interface.kind.name() {
        Some(name) => out.set("Name", name),
        None => {
            // A bond gives its members its own address, so a networkd that starts again knows them by the one they came
            // with. Only a card whose driver makes its address up has none of those, and no platform knows that address.
            let key = if bond.is_some() { "PermanentMACAddress" } else { "MACAddress" };
            out.set(key, interface.mac);
            // A bridge or VLAN on top of the card may have its MAC address, and isn't meant.
            out.set("Kind", "!*");
        }
    }
    // A member of a bond has no life of its own.
    let required = interface.required && bond.is_none();
    if interface.mtu.is_some() || !required {
        out.section("Link");
        out.set_some("MTUBytes", interface.mtu);
        if !required {
            out.set("RequiredForOnline", "no");
        }
    }
    out.section("Network");
    if let Some(bond) = bond {
        out.set("Bond", &bond.name);
        return out.0;
    }
    out.set(
        "DHCP",
        match (interface.dhcp4, interface.dhcp6) {
            (true, true) => "yes",
            (true, false) => "ipv4",
            (false, true) => "ipv6",
            (false, false) => "no",
        },
    );
    out.set_some("IPv6AcceptRA", interface.accept_ra.map(yes));
    for address in &interface.addresses {
        out.set("Address", address);
    }
    for server in &interface.dns {
        out.set("DNS", server);
    }
    if !interface.search.is_empty() {
        out.set("Domains", interface.search.join(" "));
    }
    for other in all {
        if let Kind::Vlan(vlan) = &other.kind
            && match &vlan.on {
                Parent::Card(mac) => interface.kind.is_card() && *mac == interface.mac,
                Parent::Bond(name) => interface.kind.name() == Some(name),
            }
        {
            out.set("VLAN", &vlan.name);
        }
    }
    routes(interface, &mut out);
    let table = interface.own_table;
    if interface.dhcp4 && (interface.mtu.is_some() || interface.metric.is_some()) {
        out.section("DHCPv4");
        if interface.mtu.is_some() {
            out.set("UseMTU", "no");
        }
        out.set_some("RouteMetric", interface.metric);
    }
    if interface.accept_ra == Some(true) && (interface.metric.is_some() || table.is_some()) {
        out.section("IPv6AcceptRA");
        out.set_some("RouteMetric", interface.metric);
        if table.is_some() && !interface.dhcp6 {
            out.set("DHCPv6Client", "no");
        }
        out.set_some("RouteTable", table);
    }
    out.0
}

/// Routes, and the rules that lead to the table they are in.
fn routes(interface: &Interface, out: &mut Lines) {
    let table = interface.own_table;
    for route in &interface.routes {
        out.section("Route");
        out.set_some("Destination", route.to);
        if let Some(via) = route.via {
            out.set("Gateway", via);
            if route.on_link {
                out.set("GatewayOnLink", "yes");
            }
        }
        out.set_some("Metric", route.metric);
        out.set_some("Table", table);
    }
    let Some(table) = table else { return };
    let mut networks = Vec::new();
    for address in &interface.addresses {
        out.section("RoutingPolicyRule");
        out.set("From", address.address);
        out.set("Table", table);
        let network = address.prefix();
        let host = if address.address.is_ipv4() { 32 } else { 128 };
        if network.bits < host && !networks.contains(&network) {
            networks.push(network);
        }
    }
    for network in networks {
        out.section("Route");
        out.set("Destination", network);
        if matches!(network.address, IpAddr::V4(_)) {
            out.set("Scope", "link");
        }
        out.set("Table", table);
    }
}
