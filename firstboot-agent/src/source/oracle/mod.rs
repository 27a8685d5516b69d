//! Oracle Cloud Infrastructure: JSON with a fixed authorization header.
//!
//! The first virtual card (VNIC) gets its address by DHCP. The others have theirs in the metadata alone, and a
//! routing table each, as the network drops what leaves by the wrong card. On bare metal they are VLANs on a
//! card of the machine.

use crate::Result;
use crate::http::{DOCUMENT_LIMIT, METADATA_LIMIT, Service};
use crate::json;
use crate::machine::Part;
use crate::network::{self, Interface, Kind, Mac, Network, Parent, Vlan};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const INSTANCE: &str = "/opc/v2/instance/";
const VNICS: &str = "/opc/v2/vnics/";

/// Largest packet everywhere in Oracle's networks.
const MTU: u32 = 9000;

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    service.add_header("Authorization", "Bearer Oracle");
    let instance = service.required(INSTANCE, DOCUMENT_LIMIT)?;
    let vnics = service.get(VNICS, METADATA_LIMIT);
    let mut found = parse(&instance).map_err(|problem| service.wrong(INSTANCE, problem))?;
    if let Some(bytes) = found.optional(vnics, Part::Network, "the network is") {
        found.network = interfaces(&bytes, &mut found.notes);
    }
    Ok(found)
}

/// Reads the instance.
pub fn parse(bytes: &[u8]) -> Result<Found, String> {
    let node = json::parse(bytes, DOCUMENT_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let mut found = Found::default();
    found.take_instance_id(node.text_at("id"), "id");
    found.take_hostname(node.text_at("hostname").or(node.text_at("displayName")));
    let none = Node::default();
    let metadata = node.get("metadata").unwrap_or(&none);
    found.take_keys(metadata.get("ssh_authorized_keys"));
    found.user_data = UserDataState::of_base64(metadata.text_at("user_data"), "metadata.user_data");
    Ok(found)
}

/// Reads the list of virtual cards.
pub fn interfaces(bytes: &[u8], notes: &mut Vec<String>) -> Vec<Interface> {
    let node = match json::parse(bytes, METADATA_LIMIT) {
        Ok(node) => node,
        Err(problem) => {
            notes.push(format!("the network is left out: {VNICS}: {problem}"));
            return Vec::new();
        }
    };
    let mut found: Vec<Interface> = Vec::new();
    // Cards of a bare machine, by their number.
    let mut machine: Vec<(&str, Mac)> = Vec::new();
    for (at, item) in node.items().iter().enumerate() {
        let what = format!("vnics[{at}]");
        let Some(mut interface) = network::card(item.text_at("macAddr"), &what, notes) else { continue };
        interface.mtu = Some(MTU);
        let card = item.text_at("nicIndex").unwrap_or("0");
        match item.text_at("vlanTag").and_then(Vlan::id) {
            None => machine.push((card, interface.mac)),
            Some(id) => match machine.iter().find(|(index, _)| *index == card) {
                Some((_, mac)) => {
                    let (name, on) = (format!("vlan{id}"), Parent::Card(*mac));
                    interface.kind = Kind::Vlan(Vlan { name, id, on });
                }
                // On a virtual machine the tag is the hypervisor's business.
                None => machine.push((card, interface.mac)),
            },
        }
        let ipv6 = item.items_at("ipv6Addresses");
        if at == 0 {
            interface.dhcp4 = item.get("privateIp").is_some() || ipv6.is_empty();
            interface.dhcp6 = !ipv6.is_empty();
            interface.accept_ra = Some(!ipv6.is_empty());
        } else {
            fixed(item, ipv6, &mut interface, &what, notes);
            interface.own_table = Some(network::own_table(at));
            interface.required = false;
        }
        found.push(interface.finished());
    }
    found
}

/// A further card's own addresses and routers.
fn fixed(item: &Node, ipv6: &[Node], interface: &mut Interface, what: &str, notes: &mut Vec<String>) {
    interface.accept_ra = Some(false);
    let bits = |key: &str| {
        let subnet = item.text_at(key).and_then(|s| s.parse::<Network>().ok());
        subnet.map(|s| s.bits.to_string())
    };
    if let Some(address) = item.text_at("privateIp") {
        interface.add_address(address, bits("subnetCidrBlock").as_deref(), what, notes);
    }
    for address in ipv6.iter().filter_map(Node::text) {
        interface.add_address(address, bits("ipv6SubnetCidrBlock").as_deref(), what, notes);
    }
    for key in ["virtualRouterIp", "ipv6VirtualRouterIp"] {
        if let Some(router) = item.text_at(key) {
            interface.add_gateway(router, what, notes);
        }
    }
}

#[cfg(test)]
mod tests;
