//! Microsoft Azure: one JSON document of the Instance Metadata Service.
//!
//! With accelerated networking, a second card appears that has the first one's MAC address and carries its
//! traffic; it is the kernel's business and no interface of its own.

use crate::Result;
use crate::check_in::{Method, Report};
use crate::http::{DOCUMENT_LIMIT, Service};
use crate::json;
use crate::network::{self, Interface};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const PATH: &str = "/metadata/instance?api-version=2021-08-01&extended=true";

/// Drivers of the cards inside a card.
const INNER: &[&str] = &["mlx4_core", "mlx4_en", "mlx5_core", "mana"];

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    service.add_header("Metadata", "true");
    // Early in a machine's life it doesn't know the machine yet.
    service.ask_again_on(&[404, 410, 429]);
    let bytes = service.required(PATH, DOCUMENT_LIMIT)?;
    let mut found = parse(&bytes).map_err(|problem| service.wrong(PATH, problem))?;
    found.report = Some(Report {
        whom: "Azure".into(),
        method: Method::Post,
        // Another service than the one with the metadata, unless the command line says where all of it is.
        url: format!("{}/provisioning/health", service.given().unwrap_or("http://168.63.129.16")),
        headers: vec![
            ("Content-Type".into(), "application/json".into()),
            ("x-ms-guest-agent-name".into(), "twinhull-firstboot".into()),
        ],
        body: r#"{"state":"Ready"}"#.into(),
        of_user_data: false,
    });
    Ok(found)
}

/// Reads the document.
pub fn parse(bytes: &[u8]) -> Result<Found, String> {
    let node = json::parse(bytes, DOCUMENT_LIMIT).map_err(|p| p.to_string()).and_then(json::object)?;
    let none = Node::default();
    let compute = node.get("compute").unwrap_or(&none);
    let mut found = Found::default();
    found.take_instance_id(compute.text_at("vmId"), "compute.vmId");
    let profile = compute.get("osProfile").unwrap_or(&none);
    found.take_hostname(profile.text_at("computerName").or(compute.text_at("name")));
    for key in compute.items_at("publicKeys") {
        // Some keys come with line breaks inside, as the portal's text field had them.
        match key.text_at("keyData").map(|k| k.replace("\r\n", "").replace('\n', "")) {
            Some(key) => found.take_key_lines(&key),
            None => found.notes.push("an SSH key is left out: it has no keyData".into()),
        }
    }
    found.user_data = UserDataState::of_base64(compute.text_at("userData"), "compute.userData");
    let cards = node.get("network").unwrap_or(&none).items_at("interface");
    for (at, item) in cards.iter().enumerate() {
        found.network.extend(interface(at, item, &mut found.notes));
    }
    Ok(found)
}

/// DHCP gives the first address of each family, the metadata have the others.
fn interface(at: usize, item: &Node, notes: &mut Vec<String>) -> Option<Interface> {
    let what = format!("network.interface[{at}]");
    let mut interface = network::card(item.text_at("macAddress"), &what, notes)?;
    interface.inner_drivers = INNER.iter().map(|&d| d.to_owned()).collect();
    let family = |name: &str| item.get(name).map_or(&[][..], |f| f.items_at("ipAddress"));
    let (ipv4, ipv6) = (family("ipv4"), family("ipv6"));
    interface.dhcp4 = true;
    interface.dhcp6 = !ipv6.is_empty();
    interface.accept_ra = Some(!ipv6.is_empty());
    let bits = item.get("ipv4").and_then(|f| f.items_at("subnet").first()).and_then(|s| s.text_at("prefix"));
    for (list, bits) in [(ipv4, bits), (ipv6, None)] {
        for address in list.iter().skip(1).filter_map(|a| a.text_at("privateIpAddress")) {
            interface.add_address(address, bits, &what, notes);
        }
    }
    if at > 0 {
        interface.required = false;
        interface.metric = Some(network::later_metric(at));
    }
    Some(interface.finished())
}

#[cfg(test)]
mod tests;
