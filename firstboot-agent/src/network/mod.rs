//! Network interfaces as platforms describe them, and what systemd-networkd makes of them.

pub mod networkd;
pub mod v1;
pub mod v2;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::yaml::Node;

/// An interface, known by its MAC address alone: names in documents are another system's guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Which card.
    pub mac: Mac,
    /// Ask for an IPv4 address.
    pub dhcp4: bool,
    /// Ask for an IPv6 address.
    pub dhcp6: bool,
    /// Whether to heed router advertisements; networkd decides when nothing is said.
    pub accept_ra: Option<bool>,
    /// Fixed addresses.
    pub addresses: Vec<Network>,
    /// Fixed routes; the default gateway is one without a destination.
    pub routes: Vec<Route>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Largest packet.
    pub mtu: Option<u32>,
    /// Whether the machine counts as online only with it.
    pub required: bool,
}

impl Interface {
    /// An interface about which nothing is known yet.
    pub fn new(mac: Mac) -> Self {
        Interface {
            mac,
            dhcp4: false,
            dhcp6: false,
            accept_ra: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            dns: Vec::new(),
            search: Vec::new(),
            mtu: None,
            required: true,
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to; `None` is everywhere.
    pub to: Option<Network>,
    /// Over whom.
    pub via: Option<IpAddr>,
    /// Priority.
    pub metric: Option<u32>,
    /// The gateway is reachable although no address's network has it.
    pub on_link: bool,
}

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a MAC address looks like 96:00:00:08:19:da".to_owned();
        let mut bytes = [0; 6];
        let mut parts = text.trim().split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Mac(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// Bits of its prefix.
    pub bits: u8,
}

impl Network {
    /// An address whose prefix is in it after a slash, in a mask beside it, or the whole.
    pub fn new(address: &str, mask: Option<&str>) -> Result<Self, String> {
        let (address, slash) = match address.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (address.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| "this isn't an IP address".to_owned())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = slash.or(mask).map_or(Ok(most), |text| bits(text.trim(), address))?;
        if bits > most {
            return Err(format!("a prefix has {most} bits at most here"));
        }
        Ok(Network { address, bits })
    }

    /// Whether an address is in this network.
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn bits(text: &str, address: IpAddr) -> Result<u8, String> {
    let bad = || "this isn't a netmask".to_owned();
    if let Ok(bits) = text.parse() {
        return Ok(bits);
    }
    let (ones, whole) = match text.parse().map_err(|_| bad())? {
        IpAddr::V4(mask) if address.is_ipv4() => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
        IpAddr::V6(mask) if address.is_ipv6() => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
        _ => return Err(bad()),
    };
    if ones == whole { u8::try_from(ones).map_err(|_| bad()) } else { Err(bad()) }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Network::new(text, None)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

/// A network description: a `network-config` document of either version, with or without the key `network`
/// around it. What can't be done becomes a note, never an error: a machine without its third route is
/// better than one without a network.
pub fn parse(node: &Node, cards: &[Mac], notes: &mut Vec<String>) -> Vec<Interface> {
    let node = node.get("network").unwrap_or(node);
    match (node.text_at("version"), node.get("config"), node.get("ethernets")) {
        (Some("2"), _, _) | (None, None, Some(_)) => v2::parse(node, cards, notes),
        (Some("1") | None, Some(config), _) if config.text() == Some("disabled") => Vec::new(),
        (Some("1") | None, Some(config), _) => v1::parse(config, cards, notes),
        (Some("1"), None, _) => Vec::new(),
        (Some(_), _, _) => {
            notes.push(format!("{}: network-config has a version other than 1 and 2", node.place));
            Vec::new()
        }
        _ => {
            if node.value != crate::yaml::Value::Null {
                notes.push(format!("{}: network-config has neither `config` nor `ethernets`", node.place));
            }
            Vec::new()
        }
    }
}

/// The card of an entry that names none: the only one of the document goes to the only one of the machine.
fn only_card(entries: usize, cards: &[Mac], name: &str, notes: &mut Vec<String>) -> Option<Mac> {
    match cards {
        [mac] if entries == 1 => {
            notes
                .push(format!("interface `{name}` has no MAC address; it is this machine's only one, {mac}"));
            Some(*mac)
        }
        _ => {
            notes.push(format!(
                "interface `{name}` is left out: it has no MAC address, and names aren't used to find cards"
            ));
            None
        }
    }
}

/// An address, without the interface that some write after `%`.
fn address(text: &str) -> Option<IpAddr> {
    text.trim().split('%').next()?.parse().ok()
}

fn name_servers(items: &[Node], notes: &mut Vec<String>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for item in items {
        for word in item.text().unwrap_or_default().split([' ', ',']).filter(|w| !w.is_empty()) {
            match address(word) {
                Some(address) => found.push(address),
                None => notes.push(format!("{}: a name server is left out: not an IP address", item.place)),
            }
        }
    }
    found
}

fn domains(items: &[Node]) -> Vec<String> {
    let words = items.iter().filter_map(Node::text).flat_map(|t| t.split([' ', ',']));
    words.filter_map(|w| crate::machine::Hostname::new(w).ok().map(String::from)).collect()
}

fn mtu(node: Option<&Node>) -> Option<u32> {
    node?.text()?.parse().ok().filter(|n| (576..=65_535).contains(n))
}

/// The default route over a gateway.
fn default_route(via: IpAddr) -> Route {
    Route { to: None, via: Some(via), metric: None, on_link: false }
}

/// Last touches: gateways outside of every address's network are on the link, fixed IPv6 addresses with a
/// gateway do without router advertisements, and nothing is there twice.
fn finish(interface: &mut Interface) {
    fn once<T: PartialEq>(items: &mut Vec<T>) {
        let mut seen = Vec::new();
        for item in items.drain(..) {
            if !seen.contains(&item) {
                seen.push(item);
            }
        }
        *items = seen;
    }
    let addresses = interface.addresses.clone();
    for route in &mut interface.routes {
        if let Some(via) = route.via {
            let same_family = addresses.iter().any(|a| a.address.is_ipv4() == via.is_ipv4());
            let local = matches!(via, IpAddr::V6(a) if a.is_unicast_link_local());
            route.on_link |= local || (same_family && !addresses.iter().any(|a| a.contains(via)));
        }
    }
    let gateway6 = interface.routes.iter().any(|r| r.to.is_none() && r.via.is_some_and(|v| v.is_ipv6()));
    if interface.accept_ra.is_none() && !interface.dhcp6 && gateway6 {
        interface.accept_ra = Some(false);
    }
    once(&mut interface.addresses);
    once(&mut interface.routes);
    once(&mut interface.dns);
    once(&mut interface.search);
}

/// Everything of either family, as documents spell it.
fn is_default(text: &str) -> bool {
    let any = |n: Network| {
        n.bits == 0 && (n.address == Ipv4Addr::UNSPECIFIED || n.address == Ipv6Addr::UNSPECIFIED)
    };
    text == "default" || text.parse().is_ok_and(any)
}

#[cfg(test)]
mod tests;
