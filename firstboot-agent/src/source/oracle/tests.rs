//! Oracle's instances, virtual and of metal.

use super::*;
use crate::source::tests::{ask, told, units};

const BEARER: &str = "authorization: bearer oracle";

#[test]
fn a_virtual_machine_with_two_cards() {
    let instance = r#"{"availabilityDomain":"EMIr:EU-FRANKFURT-1-AD-1","displayName":"My Instance","hostname":"web",
        "id":"ocid1.instance.oc1.eu-frankfurt-1.abc","metadata":{"ssh_authorized_keys":"ssh-ed25519 AAAAx me\nssh-rsa AAAAy you",
        "user_data":"I3R3aW5odWxsCg=="},"region":"eu-frankfurt-1","shape":"VM.Standard.E4.Flex"}"#;
    let vnics = r#"[{"macAddr":"02:00:17:05:D1:DB","privateIp":"10.3.0.2","subnetCidrBlock":"10.3.0.0/20",
        "virtualRouterIp":"10.3.0.1","vlanTag":1039,"vnicId":"ocid1.vnic.oc1.a","ipv6Addresses":["2603:c020::1"]},
       {"macAddr":"02:00:17:08:CE:6F","privateIp":"10.4.0.5","subnetCidrBlock":"10.4.0.0/24","virtualRouterIp":"10.4.0.1",
        "vlanTag":1040,"nicIndex":1,"ipv6Addresses":["2603:c020:1::5"],"ipv6SubnetCidrBlock":"2603:c020:1::/64",
        "ipv6VirtualRouterIp":"fe80::200:17ff:fe08:ce6f","vnicId":"ocid1.vnic.oc1.b"}]"#;
    let routes = [("GET /opc/v2/instance/", 200, instance), ("GET /opc/v2/vnics/", 200, vnics)];
    let found = ask("oracle", BEARER, &routes, &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance ocid1.instance.oc1.eu-frankfurt-1.abc, host name web, 2 keys, 2 interfaces; #twinhull\n; "
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=02:00:17:05:d1:db\nKind=!*\n\n[Link]\nMTUBytes=9000\n\n\
         [Network]\nDHCP=yes\nIPv6AcceptRA=yes\n\n[DHCPv4]\nUseMTU=no\n\
         --\n[Match]\nMACAddress=02:00:17:08:ce:6f\nKind=!*\n\n[Link]\nMTUBytes=9000\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=10.4.0.5/24\nAddress=2603:c020:1::5/64\n\n\
         [Route]\nGateway=10.4.0.1\nTable=10001\n\n\
         [Route]\nGateway=fe80::200:17ff:fe08:ce6f\nGatewayOnLink=yes\nTable=10001\n\n\
         [RoutingPolicyRule]\nFrom=10.4.0.5\nTable=10001\n\n[RoutingPolicyRule]\nFrom=2603:c020:1::5\nTable=10001\n\n\
         [Route]\nDestination=10.4.0.0/24\nScope=link\nTable=10001\n\n[Route]\nDestination=2603:c020:1::/64\nTable=10001\n"
    );
}

#[test]
fn a_bare_machine_has_further_cards_as_vlans() {
    let vnics = br#"[{"macAddr":"90:e2:ba:00:00:01","privateIp":"10.0.0.2","subnetCidrBlock":"10.0.0.0/24","virtualRouterIp":"10.0.0.1","vlanTag":0,"nicIndex":0},
       {"macAddr":"00:00:17:00:00:02","privateIp":"10.0.1.2","subnetCidrBlock":"10.0.1.0/24","virtualRouterIp":"10.0.1.1","vlanTag":12,"nicIndex":0}]"#;
    let mut notes = Vec::new();
    let units = units(&interfaces(vnics, &mut notes));
    assert!(units.contains("DHCP=ipv4\nIPv6AcceptRA=no\nVLAN=vlan12\n"), "{units}");
    assert!(
        units.contains("Name=vlan12\nKind=vlan\nMACAddress=00:00:17:00:00:02\n\n[VLAN]\nId=12\n"),
        "{units}"
    );
    assert!(units.contains("[Match]\nName=vlan12\n"), "{units}");
    assert_eq!(notes, [""; 0]);
}

#[test]
fn odd_documents() {
    let plain = r#"{"id":"a","displayName":"no host name"}"#;
    let routes =
        [("GET /opc/v2/instance/", 200, plain), ("GET /opc/v2/vnics/", 200, "[5, {\"macAddr\": 7}]")];
    let found = ask("oracle", BEARER, &routes, &[]).unwrap();
    assert_eq!((found.notes.len(), found.network.len()), (3, 0), "{:?}", found.notes);
    let mut notes = Vec::new();
    assert!(interfaces(b"<", &mut notes).is_empty());
    assert_eq!(notes.len(), 1);
}
