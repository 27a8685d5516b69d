//! Hetzner Cloud: DMI strings, one public network card, and the metadata service.
//!
//! # The network
//!
//! A server there has one card, `eth0`, with DHCP for IPv4, a static IPv6 address behind the gateway
//! `fe80::1`, and the metadata service at `http://169.254.169.254`. QEMU's user network can do all of
//! this on one card, with these properties of it in mind:
//!
//! - A service of ours can only stand at an address inside the user network's own subnet. So the subnet
//!   is the /24 around 169.254.169.254, and DHCP hands out 169.254.169.15 with the gateway .2 and the
//!   name server .3. A second card or subnet would be a machine that does not exist at Hetzner, and a
//!   subnet wide enough to hold a public-looking address too would swallow that part of the Internet.
//! - A forward to a socket is one connection for the whole life of the guest; a forward to a command
//!   starts the command anew for each connection. The command is `runvm internal-pipe PORT`, which
//!   connects to our server on the host's loopback.
//! - The network answers at `fe80::` with the host part of its own IPv6 address; `fec0::1` makes that
//!   `fe80::1`, so the static default route leads somewhere. It also sends router advertisements, which
//!   Hetzner's does not: a guest that listens to them gets a second, site-local address.

use anyhow::Result;
use serde_json::Value;

use super::platform::{Platform, instance_id};
use super::routes::Routes;
use super::{hostname, metadata, public_keys, quoted, quoted_list, user_data};
use crate::options::Options;

const NAMESERVER: &str = "169.254.169.3";
const GUEST: &str = "169.254.169.15";
const GUEST6: &str = "2a01:4f8:beef:beef::1/64";
const NAMESERVER6: &str = "fec0::3";

/// The metadata document.
fn document(options: &Options) -> Result<String> {
    let id = instance_id(options, "42");
    let id = if id.parse::<u64>().is_ok() { id.to_owned() } else { quoted(id) };
    Ok(format!(
        "\
availability-zone: fsn1-dc14
hostname: {hostname}
instance-id: {id}
local-ipv4: ''
network-config:
  version: 1
  config:
  - type: physical
    name: eth0
    mac_address: {mac}
    subnets:
    - type: dhcp
      ipv4: true
      dns_nameservers:
      - {NAMESERVER}
    - type: static
      ipv6: true
      address: {GUEST6}
      gateway: fe80::1
      dns_nameservers:
      - {NAMESERVER6}
public-ipv4: {GUEST}
public-keys: {keys}
region: eu-central
",
        hostname = quoted(hostname(options)),
        mac = quoted(options.mac()),
        keys = quoted_list(&public_keys(options)?),
    ))
}

/// All the service has to say.
pub(crate) fn routes(_: &Platform, options: &Options) -> Result<Routes> {
    let metadata = match metadata(options)? {
        Some(bytes) => bytes,
        None => document(options)?.into_bytes(),
    };
    let base = "/hetzner/v1/metadata";
    let mut routes = Routes::default();
    // A document that cannot be read is served all the same, to see what the guest makes of it.
    let parsed: Value = std::str::from_utf8(&metadata)
        .ok()
        .and_then(|text| serde_saphyr::from_str(text).ok())
        .unwrap_or(Value::Null);
    for leaf in ["hostname", "instance-id", "public-ipv4", "local-ipv4", "region", "availability-zone"] {
        let text = match &parsed[leaf] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        routes.get(&format!("{base}/{leaf}"), text);
    }
    if let keys @ Value::Array(_) = &parsed["public-keys"] {
        routes.get(&format!("{base}/public-keys"), keys.to_string());
    }
    let networks = match &parsed["private-networks"] {
        list @ Value::Array(_) => list.to_string(),
        _ => "[]".into(),
    };
    routes.get(&format!("{base}/private-networks"), format!("{networks}\n"));
    routes.get(base, metadata);
    // Empty is answered with 204.
    routes.get("/hetzner/v1/userdata", user_data(options)?.unwrap_or_default());
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Cloud;

    fn options() -> Options {
        Options { cloud: Some(Cloud::Hetzner), hostname: Some("web-1".into()), ..Options::default() }
    }

    fn routes(options: &Options) -> Routes {
        super::routes(Platform::of(Cloud::Hetzner).unwrap(), options).unwrap()
    }

    fn text(routes: &Routes, path: &str) -> String {
        String::from_utf8(routes.at(path).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_generated_document_is_good_yaml() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("k.pub");
        fs_err::write(&key, "ssh-ed25519 AAAA \"me\" a: b\n").unwrap();
        let documents = routes(&Options { ssh_keys: vec![key], ..options() });
        let value: Value = serde_saphyr::from_str(&text(&documents, "/hetzner/v1/metadata")).unwrap();
        assert_eq!(value["instance-id"], 42);
        assert_eq!(value["hostname"], "web-1");
        assert_eq!(value["public-keys"][0], "ssh-ed25519 AAAA \"me\" a: b");
        let network = &value["network-config"];
        assert_eq!(network["version"], 1);
        let card = &network["config"][0];
        assert_eq!(card["mac_address"], "96:00:00:08:19:da");
        assert_eq!(card["subnets"][0]["type"], "dhcp");
        assert_eq!(card["subnets"][1]["gateway"], "fe80::1");
        assert_eq!(card["subnets"][1]["address"], GUEST6);

        assert_eq!(text(&documents, "/hetzner/v1/metadata/hostname"), "web-1");
        assert_eq!(text(&documents, "/hetzner/v1/metadata/instance-id"), "42");
        assert_eq!(text(&documents, "/hetzner/v1/metadata/private-networks"), "[]\n");
        assert_eq!(
            text(&documents, "/hetzner/v1/metadata/public-keys"),
            "[\"ssh-ed25519 AAAA \\\"me\\\" a: b\"]"
        );
        assert_eq!(text(&documents, "/hetzner/v1/userdata"), "");
    }

    #[test]
    fn a_given_document_is_served_with_the_address_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        let options = Options { metadata: Some(path.clone()), instance_id: Some("i-1".into()), ..options() };
        fs_err::write(&path, "hostname: a\nmac: '@MAC@'\nprivate-networks: [{ip: 10.0.0.2}]\n").unwrap();
        let good = routes(&options);
        assert!(text(&good, "/hetzner/v1/metadata").contains("mac: '96:00:00:08:19:da'"));
        assert_eq!(text(&good, "/hetzner/v1/metadata/private-networks"), "[{\"ip\":\"10.0.0.2\"}]\n");
        assert_eq!(text(&good, "/hetzner/v1/metadata/hostname"), "a");
        assert!(good.at("/hetzner/v1/metadata/instance-id").is_none());

        fs_err::write(&path, b"\xff: [").unwrap();
        assert_eq!(routes(&options).at("/hetzner/v1/metadata").unwrap(), b"\xff: [");
    }
}
