//! Vultr's document.

use super::*;
use crate::source::tests::{ask, told, units};

const FULL: &str = r##"{"bgp":{"ipv4":{"my-address":"","my-asn":""}},"hostname":"guest","instance-v2-id":"29bea708-2e6e-480a-90ad-0e6b5d5ad62f",
 "instanceid":"42506325","interfaces":[
  {"ipv4":{"additional":[{"address":"203.0.113.77","netmask":"255.255.255.255"}],"address":"203.0.113.5","gateway":"203.0.113.1","netmask":"255.255.254.0"},
   "ipv6":{"additional":[{"network":"2001:db8:9::","prefix":"64"}],"address":"2001:db8:5::5","network":"2001:db8:5::","prefix":"64"},
   "mac":"56:00:03:1b:4e:ca","network-type":"public"},
  {"ipv4":{"additional":[],"address":"10.1.112.3","gateway":"","netmask":"255.255.240.0"},
   "ipv6":{"additional":[],"network":"","prefix":""},"mac":"5a:00:03:1b:4e:ca","network-type":"private","networkid":"net1"}],
 "public-keys":["ssh-rsa AAAAx me"],"region":{"regioncode":"EWR"},"user-data":"#twinhull\n","user-defined":[]}"##;

#[test]
fn a_machine_with_a_private_network() {
    let found = ask("vultr", "metadata-token: cloudinit", &[("GET /v1.json", 200, FULL)], &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance 29bea708-2e6e-480a-90ad-0e6b5d5ad62f, host name guest, 1 key, 2 interfaces; #twinhull\n; "
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=56:00:03:1b:4e:ca\nKind=!*\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n\
         Address=203.0.113.77/32\nAddress=2001:db8:9::/64\n\
         --\n[Match]\nMACAddress=5a:00:03:1b:4e:ca\nKind=!*\n\n[Link]\nMTUBytes=1450\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=10.1.112.3/20\n"
    );
}

#[test]
fn odd_documents() {
    for (text, want) in [
        (
            r#"{"instanceid":"1","hostname":"CLOUD_1","user-data":[],"public-keys":"ssh-rsa AAAAx\nssh-rsa AAAAy\n"}"#,
            "instance 1, 2 keys, 0 interfaces; none; the host name is left out: a host name consists of letters, digits, hyphens and dots",
        ),
        (
            r#"{"instanceid":"1","interfaces":[{"mac":"56:00:03:1b:4e:ca"}]}"#,
            "instance 1, 0 keys, 1 interface; none; ",
        ),
    ] {
        assert_eq!(told(&parse(text.as_bytes()).unwrap()), want, "{text}");
    }
}
