//! Instances of Google Compute Engine.

use super::*;
use crate::source::tests::{ask, told, units};

const FLAVOR: &str = "metadata-flavor: google";

#[test]
fn an_instance_with_two_cards() {
    let cards = r#"[{"accessConfigs":[{"externalIp":"203.0.113.7","type":"ONE_TO_ONE_NAT"}],"dnsServers":["169.254.169.254"],
        "forwardedIps":[],"gateway":"10.156.0.1","ip":"10.156.0.5","ipAliases":[],"mac":"42:01:0a:9c:00:05","mtu":1460,
        "network":"projects/1/networks/default","subnetmask":"255.255.240.0"},
       {"gateway":"10.200.0.1","ip":"10.200.0.2","ipv6s":["2600:1900:4000::"],"mac":"42:01:0a:c8:00:02","mtu":8896}]"#;
    let own = "me:ssh-ed25519 AAAAx me@laptop\nyou:ecdsa-sha2-nistp256 AAAAy google-ssh {\"userName\":\"you@example.org\",\
               \"expireOn\":\"2021-06-14T16:59:03+0000\"}\n";
    let mut routes = vec![
        ("GET /computeMetadata/v1/instance/id", 200, "5203547826734216219"),
        ("GET /computeMetadata/v1/instance/hostname", 200, "web.europe-west3-c.c.my-project.internal"),
        ("GET /computeMetadata/v1/instance/attributes/ssh-keys", 200, own),
        (
            "GET /computeMetadata/v1/project/attributes/ssh-keys",
            200,
            "all:ssh-rsa AAAAz all\nssh-rsa AAAAq none\n",
        ),
        ("GET /computeMetadata/v1/instance/network-interfaces/?recursive=true", 200, cards),
        ("GET /computeMetadata/v1/instance/attributes/user-data", 200, "I3R3aW5odWxsCg=="),
        ("GET /computeMetadata/v1/instance/attributes/user-data-encoding", 200, "base64"),
    ];
    let found = ask("gcp", FLAVOR, &routes, &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance 5203547826734216219, host name web.europe-west3-c.c.my-project.internal, 3 keys, 2 interfaces; \
         #twinhull\n; an SSH key is left out: it is to expire, and nobody here would take it away"
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=42:01:0a:9c:00:05\nKind=!*\n\n[Link]\nMTUBytes=1460\n\n\
         [Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n\n[DHCPv4]\nUseMTU=no\n\
         --\n[Match]\nMACAddress=42:01:0a:c8:00:02\nKind=!*\n\n[Link]\nMTUBytes=8896\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=yes\nIPv6AcceptRA=yes\n\n[DHCPv4]\nUseMTU=no\nRouteMetric=1124\n\n\
         [IPv6AcceptRA]\nRouteMetric=1124\n"
    );
    routes.push(("GET /computeMetadata/v1/instance/attributes/block-project-ssh-keys", 200, "TRUE"));
    assert_eq!(ask("gcp", FLAVOR, &routes, &[]).unwrap().ssh_keys.len(), 1);
    // Whether the project's keys are blocked isn't known: they open nothing.
    routes.last_mut().unwrap().1 = 403;
    assert_eq!(ask("gcp", FLAVOR, &routes, &[]).unwrap().ssh_keys.len(), 1);
}

#[test]
fn little_is_enough() {
    let id = ("GET /computeMetadata/v1/instance/id", 200, "1");
    assert_eq!(told(&ask("gcp", FLAVOR, &[id], &[]).unwrap()), "instance 1, 0 keys, 0 interfaces; none; ");
    let plain = ("GET /computeMetadata/v1/instance/attributes/user-data", 200, "#twinhull");
    assert!(told(&ask("gcp", FLAVOR, &[id, plain], &[]).unwrap()).contains("#twinhull"));
    let mut notes = Vec::new();
    let alone =
        crate::json::parse(br#"[{"mac":"42:01:0a:9c:00:05","ip":"","ipv6s":["2600::1"]},{}]"#, 100).unwrap();
    assert!(units(&interfaces(&alone, &mut notes)).contains("DHCP=ipv6\nIPv6AcceptRA=yes\n"));
    assert_eq!(notes.len(), 1);
}
