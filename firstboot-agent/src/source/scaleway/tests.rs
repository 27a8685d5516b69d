//! Scaleway's document and its user data behind low ports.

use super::*;
use crate::source::tests::{ask, told, units};

const FULL: &str = r#"{"id":"11111111-2222-3333-4444-555555555555","name":"scw","hostname":"scw-web","tags":["web","AUTHORIZED_KEY=ssh-rsa_AAAAy_you"],
 "private_ip":null,"ipv6":null,"ssh_public_keys":[{"key":"ssh-ed25519 AAAAx me","fingerprint":"256 ..."}],
 "public_ip":{"address":"51.15.0.9","dynamic":false},
 "public_ips":[{"address":"51.15.0.9","netmask":"32","gateway":"62.210.0.1","family":"inet","provisioning_mode":"dhcp"},
  {"address":"2001:bc8:1210:1::1","netmask":"64","gateway":"fe80::dc00:ff:fe00:1","family":"inet6","provisioning_mode":"manual"}],
 "private_nics":[{"id":"p","mac_address":"02:00:00:12:34:56","private_network_id":"n"}],"location":{"zone_id":"par1"}}"#;

#[test]
fn the_public_card_is_the_one_that_is_left() {
    let routes = [("GET /conf?format=json", 200, FULL), ("GET /user_data/cloud-init", 200, "low: user data")];
    let found = ask("scaleway", "", &routes, &["02:00:00:12:34:56", "de:00:00:00:00:01"]).unwrap();
    // Only root has low ports.
    let data = if rustix::process::geteuid().is_root() { "low: user data" } else { "failed" };
    assert!(told(&found).starts_with(&format!(
        "instance 11111111-2222-3333-4444-555555555555, host name scw-web, 2 keys, 2 interfaces; {data}"
    )));
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=de:00:00:00:00:01\nKind=!*\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n\
         Address=2001:bc8:1210:1::1/64\n\n[Route]\nGateway=fe80::dc00:ff:fe00:1\nGatewayOnLink=yes\n\
         --\n[Match]\nMACAddress=02:00:00:12:34:56\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=ipv4\n"
    );
}

#[test]
fn older_and_odd_documents() {
    let card: Mac = "de:00:00:00:00:01".parse().unwrap();
    let older = r#"{"id":"1","hostname":"a","ipv6":{"address":"2001:bc8::2","netmask":"127","gateway":"2001:bc8::3"},"private_ip":"10.1.2.3"}"#;
    let text = units(&parse(older.as_bytes(), &[card]).unwrap().network);
    assert!(
        text.contains(
            "DHCP=ipv4\nIPv6AcceptRA=no\nAddress=2001:bc8::2/127\n\n[Route]\nGateway=2001:bc8::3\n"
        ),
        "{text}"
    );
    let six =
        r#"{"id":"1","public_ips":[{"address":"2001:bc8::2","netmask":"64","provisioning_mode":"slaac"}]}"#;
    let text = units(&parse(six.as_bytes(), &[card]).unwrap().network);
    assert!(text.contains("DHCP=no\nIPv6AcceptRA=yes\n"), "{text}");
    // A private address means that the public one is another machine's, which translates.
    let nat = r#"{"id":"1","private_ip":"10.1.2.3","public_ips":[{"address":"51.15.0.9","netmask":"32"}]}"#;
    let text = units(&parse(nat.as_bytes(), &[card]).unwrap().network);
    assert!(text.contains("DHCP=ipv4\n") && !text.contains("51.15.0.9"), "{text}");
    let found = parse(b"{}", &[]).unwrap();
    assert_eq!((found.network.len(), found.notes.len()), (0, 2), "{:?}", found.notes);
}
