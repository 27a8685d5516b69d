//! Amazon EC2: single values below /latest/meta-data, all behind a session token (IMDSv2).
//!
//! The first card gets its addresses by DHCP and DHCPv6, but only the first of each family: further ones, and
//! all of further cards, are in the metadata alone. The network drops what leaves by another card than the
//! sender's address belongs to, so each further card has a routing table for its own addresses.

use crate::Result;
use crate::http::{Ask, METADATA_LIMIT, Service};
use crate::machine::Part;
use crate::network::{self, Interface, Network};
use crate::source::{Found, Host};

const META: &str = "/latest/meta-data/";

/// Most cards and keys that are asked for.
const MANY: usize = 32;

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    token(service)?;
    let get = |key: &str| service.text(&format!("{META}{key}"));
    let mut found = Found::default();
    let id = get("instance-id")?;
    found.take_instance_id(id.as_deref(), "meta-data/instance-id");
    let hostname = get("local-hostname");
    let hostname = found.optional(hostname, Part::Hostname, "the host name is");
    // As many names as the network's DHCP options have domains.
    found.take_hostname(hostname.as_deref().and_then(|names| names.split_whitespace().next()));
    // Lines like `0=name`; 404 when there are none.
    let list = get("public-keys/");
    for line in found.optional(list, Part::SshKeys, "SSH keys are").unwrap_or_default().lines().take(MANY) {
        let number: String = line.chars().take_while(char::is_ascii_digit).collect();
        let key = get(&format!("public-keys/{number}/openssh-key"));
        if let Some(key) = found.optional(key, Part::SshKeys, "an SSH key is") {
            found.take_key_lines(&key);
        }
    }
    match cards(service) {
        Ok(cards) => found.network = interfaces(&cards, &mut found.notes),
        Err(error) => found.miss(Part::Network, format!("the network is left out: {error}")),
    }
    found.user_data = service.user_data("/latest/user-data");
    Ok(found)
}

/// Gets a token for as long as it takes.
fn token(service: &mut Service<'_>) -> Result<()> {
    let path = "/latest/api/token";
    let headers = [("X-aws-ec2-metadata-token-ttl-seconds".into(), "21600".to_owned())];
    let ask = Ask { method: "PUT", headers: &headers, ..Ask::get(METADATA_LIMIT) };
    let token = service.ask(path, ask)?.and_then(|bytes| String::from_utf8(bytes).ok());
    let token = token.as_deref().map(str::trim).filter(|t| !t.is_empty());
    let token = token.ok_or_else(|| service.wrong(path, "there is no token for IMDSv2"))?.to_owned();
    service.add_header("X-aws-ec2-metadata-token", token);
    Ok(())
}

/// A card as the service describes it.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Its address.
    pub mac: String,
    /// Its place in the instance; the first card has 0.
    pub number: String,
    /// IPv4 addresses, the first one by DHCP.
    pub ipv4: String,
    /// The subnet they are in.
    pub subnet: String,
    /// IPv6 addresses, the first one by DHCPv6.
    pub ipv6: String,
}

fn cards(service: &Service<'_>) -> Result<Vec<Card>> {
    let base = format!("{META}network/interfaces/macs/");
    let list = service.text(&base)?.unwrap_or_default();
    let mut cards = Vec::new();
    for mac in list.lines().map(|l| l.trim().trim_end_matches('/')).filter(|l| !l.is_empty()).take(MANY) {
        let get = |key| service.text(&format!("{base}{mac}/{key}")).map(Option::unwrap_or_default);
        cards.push(Card {
            mac: mac.to_owned(),
            number: get("device-number")?,
            ipv4: get("local-ipv4s")?,
            subnet: get("subnet-ipv4-cidr-block")?,
            ipv6: get("ipv6s")?,
        });
    }
    Ok(cards)
}

/// The interfaces that cards are.
pub fn interfaces(cards: &[Card], notes: &mut Vec<String>) -> Vec<Interface> {
    let mut cards: Vec<(usize, &Card)> =
        cards.iter().map(|card| (card.number.parse().unwrap_or(usize::MAX), card)).collect();
    cards.sort_by_key(|(number, _)| *number);
    let mut found = Vec::new();
    for (at, (_, card)) in cards.into_iter().enumerate() {
        let Some(mut interface) = network::card(Some(&card.mac), "a card", notes) else { continue };
        let first = at == 0;
        let what = format!("card {}", interface.mac);
        let subnet: Option<Network> = card.subnet.parse().ok();
        let bits = subnet.map(|s| s.bits.to_string());
        let skipped = usize::from(first);
        interface.dhcp4 = first && !card.ipv4.is_empty();
        for address in card.ipv4.lines().skip(skipped) {
            interface.add_address(address, bits.as_deref(), &what, notes);
        }
        let ipv6 = !card.ipv6.is_empty();
        // The router advertises itself, addresses come from DHCPv6.
        interface.dhcp6 = first && ipv6;
        interface.accept_ra = Some(ipv6);
        for address in card.ipv6.lines().skip(skipped) {
            interface.add_address(address, None, &what, notes);
        }
        if !first {
            interface.required = false;
            interface.own_table = Some(network::own_table(at));
            // The router has the first address of the subnet.
            if let Some(router) = subnet.and_then(|s| s.first()) {
                interface.add_gateway(&router.to_string(), &what, notes);
            }
        }
        found.push(interface.finished());
    }
    found
}

#[cfg(test)]
mod tests;
