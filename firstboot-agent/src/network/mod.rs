//! Network interfaces as platforms describe them, and what systemd-networkd makes of them.

mod links;
pub mod networkd;
pub mod openstack;
pub mod v1;
pub mod v2;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::yaml::Node;

pub use links::{Bond, Kind, Parent, Vlan};

/// An interface, known by its MAC address alone: names in documents are another system's guess. Bonds and
/// VLANs have names of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Which card; of what is made on top of cards, the address it gets.
    pub mac: Mac,
    /// Whether it is a card at all.
    #[serde(default, skip_serializing_if = "Kind::is_card")]
    pub kind: Kind,
    /// Drivers whose cards are the insides of this one: they have its address, and are to be left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner_drivers: Vec<String>,
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
    /// Priority of the routes that aren't fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// A routing table for what comes from this interface's own addresses, and for nothing else: a network that
    /// drops packets with another interface's address needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_table: Option<u32>,
}

impl Interface {
    /// An interface about which nothing is known yet.
    pub fn new(mac: Mac) -> Self {
        Interface {
            mac,
            kind: Kind::Card,
            inner_drivers: Vec::new(),
            dhcp4: false,
            dhcp6: false,
            accept_ra: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            dns: Vec::new(),
            search: Vec::new(),
            mtu: None,
            required: true,
            metric: None,
            own_table: None,
        }
    }

    /// Adds an address; one that isn't any becomes a note about `what`.
    pub fn add_address(&mut self, address: &str, mask: Option<&str>, what: &str, notes: &mut Vec<String>) {
        match Network::new(address.split('%').next().unwrap_or(address), mask) {
            Ok(network) => self.addresses.push(network),
            Err(problem) => notes.push(format!("{what}: an address is left out: {problem}")),
        }
    }

    /// Adds a gateway for everything; one that isn't any becomes a note about `what`.
    pub fn add_gateway(&mut self, gateway: &str, what: &str, notes: &mut Vec<String>) {
        match address(gateway) {
            Some(via) if via.is_unspecified() => {}
            Some(via) => self.routes.push(default_route(via)),
            None => notes.push(format!("{what}: a gateway is left out: it isn't an IP address")),
        }
    }

    /// The last touches, which every reader ends with.
    pub fn finished(mut self) -> Self {
        finish(&mut self);
        self
    }
}

/// A second card of a platform that drops packets whose sender is another card's address.
pub(crate) fn own_table(number: usize) -> u32 {
    // Far from the tables that the kernel and people use.
    10_000 + u32::try_from(number).unwrap_or(0).min(1000)
}

/// Priority of the routes of a further card that is as good as the first one, and must not win over it.
pub(crate) fn later_metric(number: usize) -> u32 {
    // networkd's own is 1024.
    1024 + 100 * u32::try_from(number).unwrap_or(0).min(1000)
}

/// The interface whose MAC address a document says; what says none becomes a note about `what`.
pub(crate) fn card(mac: Option<&str>, what: &str, notes: &mut Vec<String>) -> Option<Interface> {
    match mac.map(str::parse::<Mac>) {
        Some(Ok(mac)) => return Some(Interface::new(mac)),
        Some(Err(problem)) => notes.push(format!("{what} is left out: {problem}")),
        None => notes.push(format!("{what} is left out: it has no MAC address")),
    }
    None
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
        let text = text.trim();
        // Azure writes 000D3AF806EC.
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            for (byte, at) in bytes.iter_mut().zip((0..12).step_by(2)) {
                *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
            }
            return Ok(Mac(bytes));
        }
        let mut parts = text.split([':', '-']);
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

    /// The network itself: the address without the bits of its host.
    pub fn prefix(&self) -> Network {
        let address = match self.address {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits.min(32))).unwrap_or(0);
                Ipv4Addr::from_bits(a.to_bits() & mask).into()
            }
            IpAddr::V6(a) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits.min(128))).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & mask).into()
            }
        };
        Network { address, bits: self.bits }
    }

    /// The first address after the network's own, where some clouds have their routers.
    pub fn first(&self) -> Option<IpAddr> {
        match self.prefix().address {
            IpAddr::V4(a) => a.to_bits().checked_add(1).map(|n| Ipv4Addr::from_bits(n).into()),
            IpAddr::V6(a) => a.to_bits().checked_add(1).map(|n| Ipv6Addr::from_bits(n).into()),
        }
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

pub(crate) fn name_servers(items: &[Node], notes: &mut Vec<String>) -> Vec<IpAddr> {
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

pub(crate) fn mtu(node: Option<&Node>) -> Option<u32> {
    node?.text()?.parse().ok().filter(|n| (576..=65_535).contains(n))
}

/// The default route over a gateway.
fn default_route(via: IpAddr) -> Route {
    Route { to: None, via: Some(via), metric: None, on_link: false }
}

/// Last touches: placeholders are no addresses, gateways outside of every address's network are on the link, fixed IPv6 addresses with a
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
    // Of zeros, networkd would choose an address itself.
    interface.addresses.retain(|a| !a.address.is_unspecified() && !a.address.is_multicast());
    interface.routes.retain(|r| !r.via.is_some_and(|via| via.is_unspecified()));
    interface.dns.retain(|server| !server.is_unspecified());
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
