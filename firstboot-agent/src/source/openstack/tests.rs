//! OpenStack's documents over HTTP and on a disk.

use super::*;
use crate::source::tests::{Routes, ask, host, told, units};
use crate::source::{PLATFORMS, look};

const META: &str = r#"{"uuid":"83679162-1378-4288-a2d4-70e13ec132aa","name":"web","hostname":"web.novalocal","launch_index":0,
 "availability_zone":"nova","random_seed":"AAAA","public_keys":{"mine":"ssh-rsa AAAAx Generated-by-Nova"},
 "keys":[{"name":"mine","type":"ssh","data":"ssh-rsa AAAAx Generated-by-Nova"},{"name":"c","type":"x509","data":"-----BEGIN"}],
 "meta":{"role":"web"},"devices":[],"project_id":"p"}"#;

fn network(text: &str) -> (String, Vec<String>) {
    let mut found = Found::default();
    take_network(text.as_bytes(), &mut found);
    (units(&found.network), found.notes)
}

#[test]
fn over_http() {
    let data = r#"{"links":[{"id":"tap1a81968a-79","type":"ovs","ethernet_mac_address":"fa:16:3e:ed:9a:59","mtu":1450,"vif_id":"1"}],
        "networks":[{"id":"network0","link":"tap1a81968a-79","network_id":"n","type":"ipv4_dhcp"}],"services":[{"type":"dns","address":"8.8.8.8"}]}"#;
    let routes: Routes<'_> = &[
        ("GET /openstack/latest/meta_data.json", 200, META),
        ("GET /openstack/latest/network_data.json", 200, data),
        ("GET /openstack/latest/user_data", 200, "#twinhull\n"),
    ];
    let found = ask("openstack", "", routes, &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance 83679162-1378-4288-a2d4-70e13ec132aa, host name web.novalocal, 1 key, 1 interface; #twinhull\n; "
    );
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=fa:16:3e:ed:9a:59\nKind=!*\n\n[Link]\nMTUBytes=1450\n\n[Network]\nDHCP=ipv4\nDNS=8.8.8.8\n\n\
         [DHCPv4]\nUseMTU=no\n"
    );
    // Clouds before network_data.json.
    let found = ask("openstack", "", &routes[..1], &[]).unwrap();
    assert!(told(&found).ends_with("1 key, 0 interfaces; none; "));
}

#[test]
fn statics_of_both_families() {
    let (text, notes) = network(
        r#"{"links":[{"id":"a","type":"phy","ethernet_mac_address":"FA:16:3E:00:00:01","mtu":null},
                    {"id":"b","type":"vif","ethernet_mac_address":"fa:16:3e:00:00:02"}],
        "networks":[{"id":"n0","link":"a","type":"ipv4","ip_address":"203.0.113.10","netmask":"255.255.255.0",
            "routes":[{"network":"0.0.0.0","netmask":"0.0.0.0","gateway":"203.0.113.1"},{"network":"10.0.0.0","netmask":"255.0.0.0","gateway":"203.0.113.2"}],
            "services":[{"type":"dns","address":"9.9.9.9"}]},
         {"id":"n1","link":"a","type":"ipv6","ip_address":"2001:db8::10/64","netmask":"ffff:ffff:ffff:ffff::","gateway":"fe80::1",
            "routes":[{"network":"::","netmask":"::","gateway":"fe80::1"}]},
         {"id":"n2","link":"b","type":"ipv6_slaac"},{"id":"n3","link":"b","type":"ipv6_dhcpv6-stateful"}],
        "services":[]}"#,
    );
    assert_eq!(
        text,
        "--\n[Match]\nMACAddress=fa:16:3e:00:00:01\nKind=!*\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=203.0.113.10/24\n\
         Address=2001:db8::10/64\nDNS=9.9.9.9\n\n[Route]\nGateway=203.0.113.1\n\n[Route]\nDestination=10.0.0.0/8\nGateway=203.0.113.2\n\n\
         [Route]\nGateway=fe80::1\nGatewayOnLink=yes\n\
         --\n[Match]\nMACAddress=fa:16:3e:00:00:02\nKind=!*\n\n[Network]\nDHCP=ipv6\nIPv6AcceptRA=yes\n"
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn bonds_and_vlans() {
    let (text, notes) = network(
        r#"{"links":[{"id":"vlan","type":"vlan","vlan_link":"bond","vlan_id":101,"vlan_mac_address":"a0:36:9f:2c:e8:70"},
        {"id":"bond","type":"bond","bond_links":["p0","p1","gone"],"bond_mode":"802.3ad","bond_miimon":100,"bond_xmit_hash_policy":"layer3+4","ethernet_mac_address":"a0:36:9f:2c:e8:70"},
        {"id":"p0","type":"phy","ethernet_mac_address":"a0:36:9f:2c:e8:70","mtu":9000},{"id":"p1","type":"phy","ethernet_mac_address":"a0:36:9f:2c:e8:71"}],
        "networks":[{"id":"n0","link":"bond","type":"ipv4_dhcp"},{"id":"n1","link":"vlan","type":"ipv4","ip_address":"10.0.0.5","netmask":"255.255.255.0"}]}"#,
    );
    assert_eq!(
        text,
        "--\n[Match]\nPermanentMACAddress=a0:36:9f:2c:e8:70\nKind=!*\n\n[Link]\nMTUBytes=9000\nRequiredForOnline=no\n\n[Network]\nBond=bond0\n\
         --\n[Match]\nPermanentMACAddress=a0:36:9f:2c:e8:71\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nBond=bond0\n\
         --\n[NetDev]\nName=bond0\nKind=bond\nMACAddress=a0:36:9f:2c:e8:70\n\n[Bond]\nMode=802.3ad\nMIIMonitorSec=100ms\nTransmitHashPolicy=layer3+4\n\
         --\n[Match]\nName=bond0\n\n[Network]\nDHCP=ipv4\nVLAN=vlan101\n\
         --\n[NetDev]\nName=vlan101\nKind=vlan\nMACAddress=a0:36:9f:2c:e8:70\n\n[VLAN]\nId=101\n\
         --\n[Match]\nName=vlan101\n\n[Network]\nDHCP=no\nAddress=10.0.0.5/24\n"
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
    // A VLAN on a card; the mode by its number.
    let (text, notes) = network(
        r#"{"links":[{"id":"p","type":"phy","ethernet_mac_address":"a0:36:9f:2c:e8:70"},{"id":"v","type":"vlan","vlan_link":"p","vlan_id":"7"},
        {"id":"b","type":"bond","bond_links":["p"],"bond_mode":"1"}],"networks":[{"id":"n","link":"v","type":"ipv4_dhcp"}]}"#,
    );
    assert!(text.contains("Mode=active-backup\n") && text.contains("Name=vlan7\n"), "{text}");
    assert_eq!(notes, [""; 0]);
}

#[test]
fn odd_networks() {
    for (text, noted) in [
        ("", 0),
        ("{}", 0),
        ("[", 1),
        ("[1]", 0),
        (r#"{"links":[{"id":"a"}]}"#, 1),
        (
            r#"{"links":[{"id":"b","type":"bond","bond_links":[]},{"id":"v","type":"vlan","vlan_id":5000},{"id":"v","type":"vlan","vlan_id":5,"vlan_link":"x"}]}"#,
            3,
        ),
        (r#"{"networks":[{"link":"a","type":"ipv4"}]}"#, 1),
    ] {
        let (units, notes) = network(text);
        assert_eq!((units.as_str(), notes.len()), ("", noted), "{text} {notes:?}");
    }
    let card = r#""links":[{"id":"a","ethernet_mac_address":"a0:36:9f:2c:e8:70"}]"#;
    for (network, noted) in [
        (r#"{"link":"a","type":"carrier-pigeon"}"#, 1),
        (r#"{"link":"a","type":"ipv4","ip_address":"x"}"#, 1),
        (r#"{"link":"a","type":"ipv4","ip_address":"10.0.0.1","netmask":"255.0.255.0"}"#, 1),
        (
            r#"{"link":"a","type":"ipv4","ip_address":"10.0.0.1","netmask":"255.0.0.0","routes":[{"network":"0.0.0.0","netmask":"0.0.0.0"},{"network":"y"}]}"#,
            2,
        ),
    ] {
        let text = format!("{{{card},\"networks\":[{network}]}}");
        assert_eq!(self::network(&text).1.len(), noted, "{text}");
    }
}

#[test]
fn the_disk_comes_first_and_stands_alone() {
    let (_dir, host) = host(&[], "");
    let disk = host.path("/dev/disk/by-label/config-2/openstack/latest");
    fs_err::create_dir_all(&disk).unwrap();
    fs_err::write(disk.join("meta_data.json"), META).unwrap();
    fs_err::write(disk.join("user_data"), "#twinhull\n").unwrap();
    fs_err::create_dir_all(host.path("/run/twinhull")).unwrap();
    for (word, name, removable) in [("openstack", "openstack", false), ("local", "config-drive", true)] {
        fs_err::write(host.path("/run/twinhull/source"), word).unwrap();
        let mut out = Vec::new();
        let mut console = crate::console::Console::new(&mut out);
        let found = look(&host, std::path::Path::new("/nonexistent"), false, &mut console).unwrap().unwrap();
        assert_eq!((found.name, found.removable), (name, removable));
        assert!(found.place.contains("config-2"), "{}", found.place);
        assert!(told(&found).contains("1 key, 0 interfaces; #twinhull\n; "), "{}", told(&found));
    }
    fs_err::remove_file(disk.join("meta_data.json")).unwrap();
    let http = crate::http::Http::new(host.clock, host.bound(false));
    let openstack = PLATFORMS.iter().find(|p| p.name == "openstack").unwrap();
    let error = (openstack.fetch)(&host, &mut Service::new(&http, &[])).unwrap_err().to_string();
    assert!(error.contains("meta_data.json: there is no such file"), "{error}");
}
