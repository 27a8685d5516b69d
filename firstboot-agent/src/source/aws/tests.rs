//! An instance with all that EC2 has, and ones with little.

use crate::source::tests::{ask, told, units};

const TOKEN: &str = "X-aws-ec2-metadata-token: AQAEAtoken==\r\n";
const MACS: &str = "/latest/meta-data/network/interfaces/macs/";

#[test]
fn two_cards_with_further_addresses() {
    let (a, b) = ("06:aa:00:00:00:01", "06:aa:00:00:00:02");
    let at = |mac: &str, key: &str| format!("GET {MACS}{mac}/{key}");
    let leaves = [
        (at(a, "device-number"), "0"),
        (at(a, "local-ipv4s"), "172.31.5.10\n172.31.5.11"),
        (at(a, "subnet-ipv4-cidr-block"), "172.31.0.0/20"),
        (at(a, "ipv6s"), "2600:1f18:1::10\n2600:1f18:1::11"),
        (at(b, "device-number"), "1"),
        (at(b, "local-ipv4s"), "172.31.20.7"),
        (at(b, "subnet-ipv4-cidr-block"), "172.31.16.0/20"),
    ];
    let mut routes = vec![
        ("PUT /latest/api/token", 200, "AQAEAtoken=="),
        ("GET /latest/meta-data/instance-id", 200, "i-0123456789abcdef0"),
        ("GET /latest/meta-data/local-hostname", 200, "ip-172-31-5-10.eu-central-1.compute.internal"),
        ("GET /latest/meta-data/public-keys/", 200, "0=mine\n1=yours"),
        ("GET /latest/meta-data/public-keys/0/openssh-key", 200, "ssh-rsa AAAAx mine\n"),
        ("GET /latest/meta-data/public-keys/1/openssh-key", 200, "ssh-ed25519 AAAAy yours\n"),
        // Not in the order of their numbers.
        ("GET /latest/meta-data/network/interfaces/macs/", 200, "06:aa:00:00:00:02/\n06:aa:00:00:00:01/\n"),
        ("GET /latest/user-data", 200, "#twinhull\n"),
    ];
    routes.extend(leaves.iter().map(|(at, body)| (at.as_str(), 200, *body)));
    let found = ask("aws", TOKEN, &routes, &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance i-0123456789abcdef0, host name ip-172-31-5-10.eu-central-1.compute.internal, 2 keys, 2 interfaces; \
         #twinhull\n; "
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=06:aa:00:00:00:01\nKind=!*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n\
         Address=172.31.5.11/20\nAddress=2600:1f18:1::11/128\n\
         --\n[Match]\nMACAddress=06:aa:00:00:00:02\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=172.31.20.7/20\n\n\
         [Route]\nGateway=172.31.16.1\nTable=10001\n\n[RoutingPolicyRule]\nFrom=172.31.20.7\nTable=10001\n\n\
         [Route]\nDestination=172.31.16.0/20\nScope=link\nTable=10001\n"
    );
}

#[test]
fn little_is_enough() {
    let routes = [
        ("PUT /latest/api/token", 200, "AQAEAtoken=="),
        ("GET /latest/meta-data/instance-id", 200, "i-1"),
        ("GET /latest/meta-data/network/interfaces/macs/", 200, "06:aa:00:00:00:01/"),
        ("GET /latest/meta-data/network/interfaces/macs/06:aa:00:00:00:01/device-number", 200, "0"),
        // IPv6 alone.
        ("GET /latest/meta-data/network/interfaces/macs/06:aa:00:00:00:01/ipv6s", 200, "2600:1f18:1::10"),
    ];
    let found = ask("aws", TOKEN, &routes, &[]).unwrap();
    assert_eq!(told(&found), "instance i-1, 0 keys, 1 interface; none; ");
    assert!(units(&found.network).ends_with("[Network]\nDHCP=ipv6\nIPv6AcceptRA=yes\n"));
    let error = ask("aws", TOKEN, &[("PUT /latest/api/token", 403, "")], &[]).unwrap_err().to_string();
    assert!(error.starts_with("PUT http://") && error.contains("status 403"), "{error}");
    let error = ask("aws", TOKEN, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("no token"), "{error}");
}

#[test]
fn a_host_name_in_several_domains() {
    let routes = [
        ("PUT /latest/api/token", 200, "AQAEAtoken=="),
        ("GET /latest/meta-data/instance-id", 200, "i-1"),
        // As many as the network's DHCP options have.
        ("GET /latest/meta-data/local-hostname", 200, "ip-10-0-0-5.a.example b.example"),
    ];
    let found = ask("aws", TOKEN, &routes, &[]).unwrap();
    assert_eq!(told(&found), "instance i-1, host name ip-10-0-0-5.a.example, 0 keys, 0 interfaces; none; ");
}
