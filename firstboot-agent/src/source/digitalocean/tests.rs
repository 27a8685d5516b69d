//! Droplets, as their metadata describe them.

use super::*;
use crate::source::tests::{ask, told, units};

const FULL: &str = r##"{"droplet_id":2756294,"hostname":"sample-droplet","vendor_data":"#cloud-config\ndisable_root: false\n",
 "user_data":"#twinhull\n","public_keys":["ssh-ed25519 AAAAx me"],"auth_key":"0123","region":"nyc3",
 "interfaces":{"private":[{"ipv4":{"ip_address":"10.132.255.113","netmask":"255.255.0.0","gateway":"10.132.0.1"},
                           "mac":"04:01:2a:0f:2a:02","type":"private"}],
  "public":[{"ipv4":{"ip_address":"104.131.20.105","netmask":"255.255.192.0","gateway":"104.131.0.1"},
             "ipv6":{"ip_address":"2604:A880:0800:0010:0000:0000:017D:2001","cidr":64,"gateway":"2604:A880:0800:0010:0000:0000:0000:0001"},
             "anchor_ipv4":{"ip_address":"10.17.0.9","netmask":"255.255.0.0","gateway":"10.17.0.1"},
             "mac":"04:01:2a:0f:2a:01","type":"public"}]},
 "floating_ip":{"ipv4":{"active":false}},"reserved_ip":{"ipv4":{"active":false}},
 "dns":{"nameservers":["67.207.67.2","67.207.67.3"]},"features":{"dhcp_enabled":false}}"##;

#[test]
fn a_droplet_with_everything() {
    let found = ask("digitalocean", "", &[("GET /metadata/v1.json", 200, FULL)], &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance 2756294, host name sample-droplet, 1 key, 2 interfaces; #twinhull\n; "
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=04:01:2a:0f:2a:01\nKind=!*\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\n\
         Address=104.131.20.105/18\nAddress=2604:a880:800:10::17d:2001/64\nAddress=10.17.0.9/16\n\
         DNS=67.207.67.2\nDNS=67.207.67.3\n\n[Route]\nGateway=104.131.0.1\n\n[Route]\nGateway=2604:a880:800:10::1\n\
         --\n[Match]\nMACAddress=04:01:2a:0f:2a:02\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=10.132.255.113/16\n"
    );
}

#[test]
fn odd_documents() {
    for (text, want) in [
        (r#"{"droplet_id":1,"public_keys":"ssh-rsa AAAAx"}"#, "instance 1, 1 key, 0 interfaces; none; "),
        (r#"{"droplet_id":1,"user_data":null,"public_keys":[]}"#, "instance 1, 0 keys, 0 interfaces; none; "),
        (
            r#"{"droplet_id":1,"interfaces":{"public":[{"mac":"04:01:2a:0f:2a:01","ipv4":{"ip_address":"x","gateway":"y"}}]}}"#,
            "instance 1, 0 keys, 1 interface; none; a public interface: an address is left out: this isn't an IP address; \
             a public interface: a gateway is left out: it isn't an IP address",
        ),
    ] {
        assert_eq!(told(&parse(text.as_bytes()).unwrap()), want, "{text}");
    }
}
