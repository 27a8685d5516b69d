//! Google Compute Engine: single values with a header that no browser sends.
//!
//! All cards get their addresses by DHCP and DHCPv6. SSH keys are for users there; here they are root's, since
//! this agent makes users from user data alone. Keys with a date of expiry are another agent's business, which
//! takes them away again; they are left out.

use crate::Result;
use crate::http::{METADATA_LIMIT, Service};
use crate::machine::Part;
use crate::network::{self, Interface};
use crate::source::{Found, Host, UserDataState};
use crate::yaml::Node;

const V1: &str = "/computeMetadata/v1/";

/// Asks the service.
pub fn fetch(_: &Host<'_>, service: &mut Service<'_>) -> Result<Found> {
    service.add_header("Metadata-Flavor", "Google");
    let get = |key: &str| service.text(&format!("{V1}{key}"));
    let mut found = Found::default();
    let id = get("instance/id")?;
    found.take_instance_id(id.as_deref(), "instance/id");
    let hostname = get("instance/hostname");
    let hostname = found.optional(hostname, Part::Hostname, "the host name is");
    found.take_hostname(hostname.as_deref());
    let own = get("instance/attributes/ssh-keys");
    let own = found.optional(own, Part::SshKeys, "the instance's SSH keys are").unwrap_or_default();
    keys(&own, &mut found);
    let blocked = get("instance/attributes/block-project-ssh-keys");
    // When that can't be had, they don't count.
    let refused = blocked.is_err();
    let blocked = found.optional(blocked, Part::SshKeys, "whether the project's SSH keys count is");
    if !refused && !blocked.is_some_and(|b| b.eq_ignore_ascii_case("true") || b == "1") {
        let all = get("project/attributes/ssh-keys");
        let all = found.optional(all, Part::SshKeys, "the project's SSH keys are").unwrap_or_default();
        keys(&all, &mut found);
    }
    let cards = service.json(&format!("{V1}instance/network-interfaces/?recursive=true"), METADATA_LIMIT);
    if let Some(cards) = found.optional(cards, Part::Network, "the network is") {
        found.network = interfaces(&cards, &mut found.notes);
    }
    let path = format!("{V1}instance/attributes/user-data");
    found.user_data = service.user_data(&path);
    if let UserDataState::Some(bytes) = &found.user_data {
        match get("instance/attributes/user-data-encoding") {
            Ok(Some(encoding)) if encoding == "base64" => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                found.user_data = UserDataState::of_base64(Some(&text), &service.url(&path));
            }
            Ok(None) => {}
            Ok(Some(_)) => found.notes.push("user-data-encoding isn't `base64`, so it is ignored".into()),
            // Without it, nobody knows how to read user data.
            Err(error) => found.user_data = UserDataState::Failed(error.to_string()),
        }
    }
    Ok(found)
}

/// Lines like `user:ssh-ed25519 AAAA...`, with more behind it for keys that expire.
pub fn keys(text: &str, found: &mut Found) {
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        // No user name has a space in it: without a colon before the first one there is no user.
        let (user, key) = line.split_once(':').unwrap_or(("", line));
        let key = if user.contains(' ') { line } else { key };
        if key.contains("google-ssh") && key.contains("expireOn") {
            found
                .notes
                .push("an SSH key is left out: it is to expire, and nobody here would take it away".into());
        } else {
            found.take_key_lines(key);
        }
    }
}

/// Reads the list of cards.
pub fn interfaces(node: &Node, notes: &mut Vec<String>) -> Vec<Interface> {
    let mut found = Vec::new();
    for (at, item) in node.items().iter().enumerate() {
        let what = format!("network-interfaces[{at}]");
        let Some(mut interface) = network::card(item.text_at("mac"), &what, notes) else { continue };
        let has = |key: &str| item.items_at(key).iter().filter_map(Node::text).any(|t| !t.is_empty());
        // A card with IPv6 alone has an empty `ip`.
        interface.dhcp4 = item.get("ip").is_none() || has("ip");
        interface.dhcp6 = has("ipv6s") || has("ipv6") || has("dhcpv6Refresh");
        interface.accept_ra = Some(interface.dhcp6);
        interface.mtu = network::mtu(item.get("mtu"));
        if at > 0 {
            interface.required = false;
            interface.metric = Some(network::later_metric(at));
        }
        found.push(interface.finished());
    }
    found
}

#[cfg(test)]
mod tests;
