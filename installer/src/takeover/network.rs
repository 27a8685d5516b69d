//! How the machine is reached, by what iproute2 says: cards that have global addresses, and the routes that somebody gave them.
//!
//! What a card got by DHCP or from a router it will get again. The rest is written down.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An address as `ip -json -details addr` has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Address {
    local: Option<IpAddr>,
    prefixlen: u8,
    scope: String,
    dynamic: bool,
    temporary: bool,
    mngtmpaddr: bool,
    tentative: bool,
    dadfailed: bool,
    protocol: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct LinkInfo {
    info_kind: String,
}

/// A network interface, likewise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Link {
    ifname: String,
    link_type: String,
    address: String,
    permaddr: Option<String>,
    mtu: u32,
    linkinfo: LinkInfo,
    addr_info: Vec<Address>,
}

/// A route as `ip -json route` has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Route {
    dst: String,
    gateway: Option<IpAddr>,
    via: Option<Value>,
    dev: String,
    protocol: String,
    prefsrc: Option<IpAddr>,
    metric: Option<u32>,
    flags: Vec<String>,
    nexthops: Option<Value>,
}

/// A route that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    to: String,
    via: IpAddr,
    metric: Option<u32>,
    on_link: bool,
}

/// A card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interface {
    name: String,
    mac: String,
    dhcp4: bool,
    dhcp6: bool,
    router: bool,
    mtu: Option<u32>,
    addresses: Vec<String>,
    routes: Vec<Kept>,
    servers: Vec<IpAddr>,
    search: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) interfaces: Vec<Interface>,
    /// What isn't kept, as sentences.
    pub(super) left_out: Vec<String>,
    /// The interface that isn't kept though the default route is on it.
    pub(super) lost: Option<String>,
}

/// What the resolver asks: /etc/resolv.conf, and the file that systemd-resolved writes for others.
pub(super) fn name_servers(resolv: &str, resolved: &str) -> (Vec<IpAddr>, Vec<String>) {
    let servers = |text: &str| -> Vec<IpAddr> {
        let values = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        // A zone behind a link-local address means something on this machine only.
        let found = values.filter_map(|value| value.trim().parse::<IpAddr>().ok());
        found.filter(|server| !server.is_loopback() && !server.is_unspecified()).collect()
    };
    let text = if servers(resolv).is_empty() { resolved } else { resolv };
    let search = text.lines().rev().find_map(|line| line.trim().strip_prefix("search "));
    let search = search.unwrap_or_default().split_whitespace().filter(|domain| *domain != ".");
    (servers(text), search.map(str::to_owned).collect())
}

/// The cards and their routes. `addresses` is what `ip -json -details addr` printed, `routes` what `ip -json route` did for each
/// family. A table without routes may be no text at all.
pub(super) fn parse(
    addresses: &str,
    routes: &[&str],
    (servers, search): &(Vec<IpAddr>, Vec<String>),
) -> Result<Network, serde_json::Error> {
    let links: Vec<Link> = serde_json::from_str(addresses)?;
    let mut all: Vec<Route> = Vec::new();
    for text in routes.iter().filter(|text| !text.trim().is_empty()) {
        all.extend(serde_json::from_str::<Vec<Route>>(text)?);
    }
    let mut network = Network::default();
    for link in &links {
        let routes: Vec<&Route> = all.iter().filter(|route| route.dev == link.ifname).collect();
        let global: Vec<&Address> = link
            .addr_info
            .iter()
            .filter(|address| {
                address.scope == "global" && !address.temporary && !address.tentative && !address.dadfailed
            })
            .collect();
        if global.is_empty() || link.link_type == "loopback" {
            continue;
        }
        if link.link_type != "ether" || !link.linkinfo.info_kind.is_empty() {
            let kind =
                if link.linkinfo.info_kind.is_empty() { &link.link_type } else { &link.linkinfo.info_kind };
            let mut way = "";
            if routes.iter().any(|route| route.dst == "default") {
                way = ", which has the default route";
                network.lost.get_or_insert_with(|| link.ifname.clone());
            }
            network.left_out.push(format!("the interface {}{way}: it is no card but {kind}", link.ifname));
            continue;
        }
        network.interfaces.push(interface(link, &global, &routes, &mut network.left_out));
    }
    if all.iter().any(|route| route.nexthops.is_some()) {
        network.left_out.push("routes with several next hops".into());
    }
    // Those that DHCP or a router names come by themselves.
    if !network.interfaces.iter().any(|interface| interface.dhcp4 || interface.dhcp6) {
        for interface in &mut network.interfaces {
            if interface.routes.iter().any(|route| route.to.ends_with("/0")) {
                interface.servers.clone_from(servers);
                interface.search.clone_from(search);
            }
        }
    }
    Ok(network)
}

fn interface(link: &Link, global: &[&Address], routes: &[&Route], left_out: &mut Vec<String>) -> Interface {
    let from_dhcp = |route: &&&Route| route.protocol == "dhcp";
    let from_router = |protocol: &str| matches!(protocol, "ra" | "kernel_ra");
    let leased: Vec<IpAddr> = routes.iter().filter(from_dhcp).filter_map(|route| route.prefsrc).collect();
    let has_lease =
        |address: &Address| address.dynamic || address.local.is_some_and(|ip| leased.contains(&ip));
    let by_router = |address: &Address| {
        address.dynamic && (address.mngtmpaddr || from_router(&address.protocol) || address.prefixlen < 128)
    };
    let (v4, v6): (Vec<&Address>, Vec<&Address>) =
        global.iter().partition(|address| address.local.is_some_and(|ip| ip.is_ipv4()));
    let mut found = Interface {
        name: link.ifname.clone(),
        mac: link.permaddr.as_ref().unwrap_or(&link.address).to_lowercase(),
        dhcp4: v4.iter().any(|address| has_lease(address)),
        dhcp6: v6.iter().any(|address| has_lease(address) && !by_router(address)),
        router: v6.iter().any(|address| by_router(address))
            || routes.iter().any(|route| from_router(&route.protocol)),
        mtu: (link.mtu != 1500 && link.mtu != 0).then_some(link.mtu),
        ..Interface::default()
    };
    let fixed: Vec<(IpAddr, u8)> = global
        .iter()
        .filter(|address| !has_lease(address))
        .filter_map(|address| Some((address.local?, address.prefixlen)))
        .collect();
    found.addresses = fixed.iter().map(|(ip, length)| format!("{ip}/{length}")).collect();
    for route in routes {
        if matches!(route.protocol.as_str(), "kernel" | "dhcp") || from_router(&route.protocol) {
            continue;
        }
        if route.via.is_some() {
            left_out.push(format!(
                "the route to {} on {}: its gateway is of another family",
                route.dst, link.ifname
            ));
            continue;
        }
        let Some(via) = route.gateway else { continue };
        let is_default = route.dst == "default";
        let again = if via.is_ipv4() { found.dhcp4 } else { found.router || found.dhcp6 };
        // DHCP clients other than systemd's don't say that a route is theirs.
        if again && (is_default || route.protocol != "static") {
            continue;
        }
        let to = match (is_default, via.is_ipv4()) {
            (true, true) => "0.0.0.0/0".to_owned(),
            (true, false) => "::/0".to_owned(),
            (false, v4) if !route.dst.contains('/') => format!("{}/{}", route.dst, if v4 { 32 } else { 128 }),
            (false, _) => route.dst.clone(),
        };
        let near = fixed.iter().any(|(ip, length)| same_net(*ip, via, *length));
        let link_local = matches!(via, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let on_link = route.flags.iter().any(|flag| flag == "onlink") || !near && !link_local && !again;
        found.routes.push(Kept { to, via, metric: route.metric.filter(|metric| *metric != 0), on_link });
    }
    found
}

/// Whether two addresses have the first `length` bits in common.
fn same_net(a: IpAddr, b: IpAddr, length: u8) -> bool {
    let length = u32::from(length);
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
            a.to_bits() & mask == b.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            a.to_bits() & mask == b.to_bits() & mask
        }
        _ => false,
    }
}

impl std::fmt::Display for Interface {
    /// One line for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dynamic = [(self.dhcp4, "DHCP"), (self.dhcp6, "DHCPv6"), (self.router, "router advertisements")];
        let mut parts: Vec<String> =
            dynamic.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()).collect();
        parts.extend(self.addresses.iter().cloned());
        parts.extend(
            self.routes.iter().filter(|r| r.to.ends_with("/0")).map(|r| format!("gateway {}", r.via)),
        );
        write!(f, "{} ({}): {}", self.name, self.mac, parts.join(", "))
    }
}

impl Network {
    /// A network-config of version 2, which is what netplan reads.
    pub(super) fn config(&self) -> Value {
        let mut cards = Map::new();
        for interface in &self.interfaces {
            let mut card = Map::new();
            let mut put = |key: &str, value: Value| card.insert(key.into(), value);
            put("match", json!({ "macaddress": interface.mac }));
            put("dhcp4", interface.dhcp4.into());
            if interface.dhcp6 {
                put("dhcp6", true.into());
            }
            if interface.router {
                put("accept-ra", true.into());
            }
            if let Some(mtu) = interface.mtu {
                put("mtu", mtu.into());
            }
            if !interface.addresses.is_empty() {
                put("addresses", interface.addresses.clone().into());
            }
            if !interface.routes.is_empty() {
                put("routes", interface.routes.iter().map(Kept::config).collect());
            }
            let mut servers = Map::new();
            if !interface.servers.is_empty() {
                servers.insert("addresses".into(), interface.servers.iter().map(IpAddr::to_string).collect());
                if !interface.search.is_empty() {
                    servers.insert("search".into(), interface.search.clone().into());
                }
                put("nameservers", servers.into());
            }
            cards.insert(interface.name.clone(), card.into());
        }
        json!({ "version": 2, "ethernets": cards })
    }
}

impl Kept {
    fn config(&self) -> Value {
        let mut route = Map::new();
        route.insert("to".into(), self.to.clone().into());
        route.insert("via".into(), self.via.to_string().into());
        if let Some(metric) = self.metric {
            route.insert("metric".into(), metric.into());
        }
        if self.on_link {
            route.insert("on-link".into(), true.into());
        }
        route.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LO: &str = r#"{"ifname":"lo","link_type":"loopback","address":"00:00:00:00:00:00","mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host"}]}"#;

    fn config(addresses: &str, routes: &[&str]) -> (Value, Vec<String>) {
        let resolver =
            name_servers("nameserver 185.12.64.1\nnameserver fe80::1%eth0\nsearch example.org\n", "");
        let network = parse(&format!("[{LO},{addresses}]"), routes, &resolver).unwrap();
        (network.config()["ethernets"].clone(), network.left_out)
    }

    #[test]
    fn what_came_by_dhcp_comes_again() {
        let card = r#"{"ifname":"ens3","link_type":"ether","address":"52:54:00:12:34:56","mtu":1500,"linkinfo":{},"addr_info":[
            {"family":"inet","local":"10.0.2.15","prefixlen":24,"scope":"global","dynamic":true,"protocol":"dhcp"},
            {"family":"inet6","local":"fec0::5054:ff:fe12:3456","prefixlen":64,"scope":"global","dynamic":true,"mngtmpaddr":true},
            {"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}"#;
        let v4 = r#"[{"dst":"default","gateway":"10.0.2.2","dev":"ens3","protocol":"dhcp","prefsrc":"10.0.2.15","metric":1024,"flags":[]},
            {"dst":"10.0.2.0/24","dev":"ens3","protocol":"kernel","scope":"link","prefsrc":"10.0.2.15","flags":[]}]"#;
        let v6 = r#"[{"dst":"default","gateway":"fe80::2","dev":"ens3","protocol":"ra","metric":1024,"flags":[]}]"#;
        let want =
            json!({"ens3": {"match": {"macaddress": "52:54:00:12:34:56"}, "dhcp4": true, "accept-ra": true}});
        assert_eq!(config(card, &[v4, v6]), (want.clone(), vec![]));
        // ifupdown's client doesn't say whose the route is; networkd's lease may be for ever.
        let other = v4.replace("dhcp", "boot");
        assert_eq!(config(card, &[&other, v6]).0, want);
        let forever = card.replacen(r#""dynamic":true,"protocol":"dhcp""#, r#""dynamic":false"#, 1);
        assert_eq!(config(&forever, &[v4, v6]).0, want);
        // Somebody's own route stays.
        let own = v4.replacen(
            '[',
            r#"[{"dst":"192.0.2.0/24","gateway":"10.0.2.9","dev":"ens3","protocol":"static","flags":[]},"#,
            1,
        );
        let routes = config(card, &[&own, "\n"]).0["ens3"]["routes"].clone();
        assert_eq!(routes, json!([{"to": "192.0.2.0/24", "via": "10.0.2.9"}]));
    }

    #[test]
    fn what_is_fixed_is_written_down() {
        let card = r#"{"ifname":"eth0","link_type":"ether","address":"96:00:00:AA:bb:cc","mtu":1450,"addr_info":[
            {"local":"198.51.100.7","prefixlen":32,"scope":"global"},
            {"local":"2001:db8::1","prefixlen":64,"scope":"global"},
            {"local":"2001:db8::dead","prefixlen":64,"scope":"global","dynamic":true,"temporary":true}]}"#;
        let v4 = r#"[{"dst":"default","gateway":"172.31.1.1","dev":"eth0","flags":["onlink"]},
            {"dst":"172.31.1.1","dev":"eth0","scope":"link","flags":[]},
            {"dst":"203.0.113.9","gateway":"172.31.1.1","dev":"eth0","metric":50,"flags":[]}]"#;
        let v6 = r#"[{"dst":"default","gateway":"fe80::1","dev":"eth0","metric":1024,"flags":[]}]"#;
        let want = json!({"eth0": {
            "match": {"macaddress": "96:00:00:aa:bb:cc"}, "dhcp4": false, "mtu": 1450,
            "addresses": ["198.51.100.7/32", "2001:db8::1/64"],
            "routes": [
                {"to": "0.0.0.0/0", "via": "172.31.1.1", "on-link": true},
                {"to": "203.0.113.9/32", "via": "172.31.1.1", "metric": 50, "on-link": true},
                {"to": "::/0", "via": "fe80::1", "metric": 1024}],
            "nameservers": {"addresses": ["185.12.64.1"], "search": ["example.org"]}}});
        assert_eq!(config(card, &[v4, v6]), (want, vec![]));
    }

    #[test]
    fn what_is_no_card_is_left_out() {
        let others = r#"{"ifname":"docker0","link_type":"ether","linkinfo":{"info_kind":"bridge"},"addr_info":[{"local":"172.17.0.1","prefixlen":16,"scope":"global"}]},
            {"ifname":"bond0","link_type":"ether","linkinfo":{"info_kind":"bond"},"addr_info":[{"local":"192.0.2.1","prefixlen":24,"scope":"global"}]},
            {"ifname":"eth1","link_type":"ether","addr_info":[]},
            {}"#;
        let v4 = r#"[{"dst":"default","gateway":"192.0.2.2","dev":"bond0","flags":[]}, {"dst":"192.0.2.0/24","nexthops":[]}]"#;
        let lost = parse(&format!("[{LO},{others}]"), &[v4], &(vec![], vec![])).unwrap().lost;
        assert_eq!(lost.as_deref(), Some("bond0"));
        let (config, left_out) = config(others, &[v4]);
        assert_eq!(config, json!({}));
        assert_eq!(left_out.len(), 3, "{left_out:?}");
        assert!(left_out[0].ends_with("docker0: it is no card but bridge"), "{left_out:?}");
        assert!(left_out[1].contains("bond0, which has the default route"), "{left_out:?}");
    }

    #[test]
    fn resolvers() {
        let stub = "nameserver 127.0.0.53\nsearch a.example\n";
        let real = "# x\nnameserver 192.0.2.53\nsearch .\n";
        assert_eq!(name_servers(stub, real), (vec!["192.0.2.53".parse().unwrap()], vec![]));
        assert_eq!(name_servers("nameserver 9.9.9.9\nsearch a b", real).1, ["a", "b"]);
        assert_eq!(name_servers("", ""), (vec![], vec![]));
        assert!(
            parse("x", &[], &(vec![], vec![])).is_err() && parse("[]", &["x"], &(vec![], vec![])).is_err()
        );
    }
}
