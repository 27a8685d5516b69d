//! Documents as they are found, and what networkd is told.

use super::*;
use crate::yaml;

const MAC: &str = "96:00:00:08:19:da";

fn run(text: &str, cards: &[&str]) -> (String, Vec<String>) {
    let cards: Vec<Mac> = cards.iter().map(|c| c.parse().unwrap()).collect();
    let mut notes = Vec::new();
    let node = yaml::parse(text.as_bytes(), 1 << 16).unwrap();
    let units = networkd::units(&parse(&node, &cards, &mut notes));
    let text: Vec<_> = units.iter().map(|(_, u)| u.lines().skip(1).collect::<Vec<_>>().join("\n")).collect();
    (text.join("\n---\n"), notes)
}

#[test]
fn hetzner_in_its_variants() {
    let new = "version: 1\nconfig:\n- type: physical\n  name: eth0\n  mac_address: '96:00:00:08:19:da'\n  subnets:\n  \
        - {type: dhcp, ipv4: true, dns_nameservers: [185.12.64.1]}\n  \
        - {type: static, ipv6: true, address: '2a01:4f8:beef:beef::1/64', gateway: 'fe80::1'}\n\
        - {type: nameserver, address: ['2a01:4ff:ff00::add:2'], interface: eth0}\n";
    let typeless = new.replace("type: dhcp, ", "").replace("type: static, ", "");
    let old = "version: 1\nconfig:\n- type: physical\n  name: eth0\n  mac_address: '96:00:00:08:19:da'\n  subnets:\n  \
        - {type: dhcp, ipv4: true, dns_nameservers: [185.12.64.1, '2a01:4ff:ff00::add:2']}\n\
        - type: physical\n  name: 'eth0:0'\n  subnets:\n  \
        - {type: static, ipv6: true, address: '2a01:4f8:beef:beef::1/64', gateway: 'fe80::1%eth0'}\n";
    for text in [new, &typeless, old] {
        let (unit, notes) = run(text, &[]);
        assert_eq!(notes, [""; 0], "{text}");
        assert_eq!(
            unit,
            "[Match]\nMACAddress=96:00:00:08:19:da\nKind=!*\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n\
             Address=2a01:4f8:beef:beef::1/64\nDNS=185.12.64.1\nDNS=2a01:4ff:ff00::add:2\n\n\
             [Route]\nGateway=fe80::1\nGatewayOnLink=yes",
            "{text}"
        );
    }
}

#[test]
fn version_2() {
    let (unit, notes) = run(
        "network:\n  version: 2\n  ethernets:\n    id0:\n      match: {macaddress: '96:00:00:08:19:da'}\n      \
         addresses: [192.0.2.5/32, '2001:db8::5/64']\n      gateway4: 192.0.2.1\n      mtu: 1400\n      optional: true\n      \
         routes: [{to: 10.0.0.0/8, via: 192.0.2.9, metric: 5, on-link: true}, {to: default, via: '2001:db8::1'}]\n      \
         nameservers: {addresses: [9.9.9.9], search: [example.org]}\n      link-local: []\n",
        &[],
    );
    assert_eq!(
        unit,
        "[Match]\nMACAddress=96:00:00:08:19:da\nKind=!*\n\n[Link]\nMTUBytes=1400\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nAddress=192.0.2.5/32\nAddress=2001:db8::5/64\nDNS=9.9.9.9\n\
         Domains=example.org\n\n[Route]\nGateway=192.0.2.1\nGatewayOnLink=yes\n\n\
         [Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.9\nGatewayOnLink=yes\nMetric=5\n\n\
         [Route]\nGateway=2001:db8::1"
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn cards_are_found_by_mac_or_by_being_the_only_one() {
    let one = "{version: 2, ethernets: {eth0: {dhcp4: true}}}";
    let two = "{version: 2, ethernets: {eth0: {dhcp4: true}, eth1: {dhcp4: true}}}";
    assert!(run(one, &[MAC]).0.contains(MAC));
    assert!(run(one, &[MAC, "96:00:00:08:19:db"]).0.is_empty());
    let (units, notes) = run(two, &[MAC]);
    assert!(units.is_empty());
    assert_eq!(notes.len(), 2);
    let v1 = "{version: 1, config: [{type: physical, name: eth0, subnets: [{type: dhcp6}]}]}";
    assert!(run(v1, &[MAC]).0.contains("DHCP=ipv6"));
}

#[test]
fn version_1_statics_and_routes() {
    let (unit, notes) = run(
        "version: 1\nconfig:\n- type: physical\n  name: a\n  mac_address: '96:00:00:08:19:da'\n  mtu: 1450\n  subnets:\n  \
         - {type: static, address: 192.0.2.5, netmask: 255.255.255.0, gateway: 192.0.2.1, dns_search: a.org,\n     \
            routes: [{network: 10.0.0.0, netmask: 255.0.0.0, gateway: 192.0.2.2}]}\n\
         - {type: route, destination: 172.16.0.0/12, gateway: 192.0.2.3}\n- {type: vlan, name: v}\n\
         - {type: physical, name: b, mac_address: nonsense}\n- 5\n",
        &[],
    );
    assert!(unit.contains("Address=192.0.2.5/24\nDomains=a.org\n"), "{unit}");
    assert!(unit.contains("[Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.2\n"), "{unit}");
    assert!(unit.ends_with("[Route]\nDestination=172.16.0.0/12\nGateway=192.0.2.3"), "{unit}");
    assert!(unit.contains("MTUBytes=1450"));
    assert!(!unit.contains("OnLink") && !unit.contains("IPv6AcceptRA"));
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn bonds_and_vlans_in_both_versions() {
    let v2 = "version: 2\nethernets:\n  a: {match: {macaddress: '96:00:00:08:19:da'}}\n  b: {match: {macaddress: '96:00:00:08:19:db'}}\n\
        bonds:\n  ours: {interfaces: [a, b], parameters: {mode: active-backup, mii-monitor-interval: 100}, dhcp4: true}\n\
        vlans:\n  tagged: {id: 7, link: ours, addresses: [10.0.0.5/24]}\n";
    let v1 = "version: 1\nconfig:\n- {type: vlan, name: tagged, vlan_id: 7, vlan_link: ours, subnets: [{type: static, address: 10.0.0.5/24}]}\n\
        - {type: bond, name: ours, bond_interfaces: [a, b], params: {bond-mode: active-backup, bond-miimon: 100}, subnets: [{type: dhcp4}]}\n\
        - {type: physical, name: a, mac_address: '96:00:00:08:19:da'}\n- {type: physical, name: b, mac_address: '96:00:00:08:19:db'}\n";
    for text in [v2, v1] {
        let (units, notes) = run(text, &[]);
        assert_eq!(notes, [""; 0], "{text}");
        // What a bond gives its members as their address is no way to know them by.
        assert!(!units.contains("[Match]\nMACAddress="), "{units}");
        for want in [
            "[Match]\nPermanentMACAddress=96:00:00:08:19:da\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nBond=bond0",
            "[Match]\nPermanentMACAddress=96:00:00:08:19:db\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nBond=bond0",
            "[NetDev]\nName=bond0\nKind=bond\nMACAddress=96:00:00:08:19:da\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=100ms",
            "[Match]\nName=bond0\n\n[Network]\nDHCP=ipv4\nVLAN=vlan7",
            "[NetDev]\nName=vlan7\nKind=vlan\nMACAddress=96:00:00:08:19:da\n\n[VLAN]\nId=7",
            "[Match]\nName=vlan7\n\n[Network]\nDHCP=no\nAddress=10.0.0.5/24",
        ] {
            assert!(units.contains(want), "{want}\n{units}");
        }
    }
}

#[test]
fn odd_documents_are_nothing_or_notes() {
    for (text, noted) in [
        ("", 0),
        ("{}", 1),
        ("x", 1),
        ("version: 3", 1),
        ("version: 1\nconfig: disabled", 0),
        ("version: 1\nconfig: [null, {}, [], {type: physical}]", 1),
        ("version: 2\nethernets: 5", 0),
        ("version: 2\nbonds: {b: {}}", 1),
    ] {
        let (units, notes) = run(text, &[]);
        assert_eq!((units.as_str(), notes.len()), ("", noted), "{text} {notes:?}");
    }
}

/// networkd reads an address of zeros as "choose one from a pool", and refuses such a gateway.
#[test]
fn placeholders_are_no_addresses() {
    let v2 = "version: 2\nethernets:\n  a: {match: {macaddress: '96:00:00:08:19:da'}, addresses: [0.0.0.0/24, '::/64', 224.0.0.1/4, 10.0.0.5/24], \
        gateway4: 0.0.0.0, gateway6: '::', nameservers: {addresses: [0.0.0.0, 9.9.9.9]}}\n";
    let v1 = "version: 1\nconfig:\n- {type: physical, name: a, mac_address: '96:00:00:08:19:da', subnets: [\
        {type: static, address: 0.0.0.0/24, gateway: 0.0.0.0}, {type: static, address: '::/64', gateway: '::'}, {type: static, address: 224.0.0.1/4}, \
        {type: static, address: 10.0.0.5/24, dns_nameservers: [0.0.0.0, 9.9.9.9]}]}\n";
    for text in [v2, v1] {
        let (unit, _) = run(text, &[]);
        assert!(unit.ends_with("[Network]\nDHCP=no\nAddress=10.0.0.5/24\nDNS=9.9.9.9"), "{unit}");
    }
}

#[test]
fn small_types() {
    for bad in ["", "96:00:00:08:19", "96:00:00:08:19:da:00", "9:00:00:08:19:da", "zz:00:00:08:19:da"] {
        assert!(bad.parse::<Mac>().is_err());
    }
    for (address, mask, want) in [
        ("10.0.0.1", Some("255.255.240.0"), Some("10.0.0.1/20")),
        ("10.0.0.1", Some("255.0.255.0"), None),
        ("10.0.0.1/33", None, None),
        ("::1/129", None, None),
        ("10.0.0.1/0x", None, None),
        ("::1", Some("64"), Some("::1/64")),
        ("::1", Some("ffff::"), Some("::1/16")),
        ("::1", Some("255.0.0.0"), None),
        ("1.2.3.4", None, Some("1.2.3.4/32")),
    ] {
        let got = Network::new(address, mask).ok().map(|n| n.to_string());
        assert_eq!(got.as_deref(), want, "{address} {mask:?}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("9.9.9.9".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "(version|config|ethernets|type|physical|name|subnets|address|[-:,\\[\\]{} \n0-9a-f/.%])*") {
        if let Ok(node) = yaml::parse(text.as_bytes(), 1 << 16) {
            networkd::units(&parse(&node, &[], &mut Vec::new()));
        }
    }
}
