//! Metadata as Hetzner sends it, and as nobody should.

use super::*;

const METADATA: &str = "instance-id: 42\nhostname: my-server\npublic-keys: [\"ssh-ed25519 AAAAx me\"]\n\
    vendor_data: |\n  Content-Type: multipart/mixed\npublic-ipv4: 192.0.2.1\nnetwork-config:\n  version: 1\n  config:\n  \
    - type: physical\n    name: eth0\n    mac_address: '96:00:00:08:19:da'\n    subnets:\n    \
    - {type: dhcp, ipv4: true}\n    - {type: static, ipv6: true, address: '2a01:4f8::1/64', gateway: 'fe80::1'}\n";

#[test]
fn a_usual_server() {
    let private = b"- ip: 10.0.0.2\n  mac_address: '86:00:00:2a:7d:e0'\n  network: 10.0.0.0/8\n";
    let found = parse(METADATA.as_bytes(), Some(private)).unwrap();
    let machine = found.machine();
    assert_eq!(machine.summary(), "instance 42, host name my-server, 1 key, 2 interfaces");
    assert_eq!(found.notes, [""; 0]);
    let unit = network::networkd::unit(&machine.network[1]);
    for line in
        ["DHCP=ipv4", "MTUBytes=1450", "UseMTU=no", "RequiredForOnline=no", "MACAddress=86:00:00:2a:7d:e0"]
    {
        assert!(unit.lines().any(|l| l == line), "{line}\n{unit}");
    }
}

#[test]
fn odd_metadata() {
    for (text, want) in [
        ("", Err("it is nothing")),
        ("<html>", Err("it is text")),
        ("instance-id: 42\nhostname: [", Err("isn't valid YAML")),
        ("hostname: a_b", Ok(2)),
        ("instance-id: 1\nnetwork-config: 5\npublic-keys: 7", Ok(2)),
        ("instance-id: 1\npublic-keys: []", Ok(0)),
    ] {
        match (parse(text.as_bytes(), None), want) {
            (Ok(found), Ok(notes)) => assert_eq!(found.notes.len(), notes, "{text} {:?}", found.notes),
            (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
    let found = parse(METADATA.as_bytes(), Some(b"- {ip: 1}\n- [")).unwrap();
    assert_eq!((found.network.len(), found.notes.len()), (1, 1));
}

proptest::proptest! {
    #[test]
    fn truncation_never_panics(at in 0usize..METADATA.len(), flip in 0usize..METADATA.len()) {
        let mut bytes = METADATA.as_bytes()[..at].to_vec();
        if let Some(byte) = bytes.get_mut(flip) {
            *byte ^= 0x15;
        }
        let _ = parse(&bytes, Some(&bytes));
    }
}
