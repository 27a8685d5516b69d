//! Documents of Azure's metadata service.

use super::*;
use crate::source::tests::{ask, told, units};

const GET: &str = "GET /metadata/instance?api-version=2021-08-01&extended=true";

const FULL: &str = r#"{"compute":{"azEnvironment":"AzurePublicCloud","location":"westeurope","name":"web-vm",
 "osProfile":{"adminUsername":"azureuser","computerName":"web","disablePasswordAuthentication":"true"},
 "publicKeys":[{"keyData":"ssh-rsa AAAAB3Nz\r\naC1yc2E me\r\n","path":"/home/azureuser/.ssh/authorized_keys"}],
 "userData":"I3R3aW5odWxsCg==","vmId":"02aab8a4-74ef-476e-8182-f6d2ba4166a6","vmSize":"Standard_B2s"},
 "network":{"interface":[
  {"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.0.4","publicIpAddress":"203.0.113.9"},{"privateIpAddress":"10.0.0.5","publicIpAddress":""}],
           "subnet":[{"address":"10.0.0.0","prefix":"24"}]},
   "ipv6":{"ipAddress":[{"privateIpAddress":"2001:db8::4"},{"privateIpAddress":"2001:db8::5"}]},"macAddress":"000D3AF806EC"},
  {"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.1.4","publicIpAddress":""}],"subnet":[{"address":"10.0.1.0","prefix":"24"}]},
   "ipv6":{"ipAddress":[]},"macAddress":"000D3AF806ED"}]}}"#;

#[test]
fn a_machine_with_two_cards() {
    let found = ask("azure", "metadata: true", &[(GET, 200, FULL)], &[]).unwrap();
    assert_eq!(
        told(&found),
        "instance 02aab8a4-74ef-476e-8182-f6d2ba4166a6, host name web, 1 key, 2 interfaces; #twinhull\n; "
    );
    assert_eq!(found.ssh_keys[0].as_str(), "ssh-rsa AAAAB3NzaC1yc2E me");
    let report = found.report.unwrap();
    assert_eq!(
        (report.method.name(), report.url.as_str()),
        ("POST", "http://168.63.129.16/provisioning/health")
    );
    // Both are required there.
    let names: Vec<_> = report.headers.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(names, ["Content-Type", "x-ms-guest-agent-name"]);
    assert_eq!(
        units(&found.network),
        "--\n[Match]\nMACAddress=00:0d:3a:f8:06:ec\nDriver=mlx4_core mlx4_en mlx5_core mana\n\n[Link]\nUnmanaged=yes\nRequiredForOnline=no\n\
         --\n[Match]\nMACAddress=00:0d:3a:f8:06:ec\nKind=!*\n\n\
         [Network]\nDHCP=yes\nIPv6AcceptRA=yes\nAddress=10.0.0.5/24\nAddress=2001:db8::5/128\n\
         --\n[Match]\nMACAddress=00:0d:3a:f8:06:ed\nDriver=mlx4_core mlx4_en mlx5_core mana\n\n[Link]\nUnmanaged=yes\nRequiredForOnline=no\n\
         --\n[Match]\nMACAddress=00:0d:3a:f8:06:ed\nKind=!*\n\n\
         [Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n\n[DHCPv4]\nRouteMetric=1124\n"
    );
}

#[test]
fn odd_documents() {
    for (text, want) in [
        (
            "{}",
            Ok(
                "0 keys, 0 interfaces; none; compute.vmId is missing, so a copy of this machine would take itself for this one",
            ),
        ),
        (
            r#"{"compute":{"vmId":"a","name":"b","userData":"!"}}"#,
            Ok(
                "instance a, host name b, 0 keys, 0 interfaces; failed: compute.userData should be base64, but isn't; ",
            ),
        ),
        (
            r#"{"compute":{"vmId":"a","publicKeys":[{}, 5]},"network":{"interface":[{"macAddress":"0"},7]}}"#,
            Ok(
                "instance a, 0 keys, 0 interfaces; none; an SSH key is left out: it has no keyData; an SSH key is left out: it \
             has no keyData; network.interface[0] is left out: a MAC address looks like 96:00:00:08:19:da; \
             network.interface[1] is left out: it has no MAC address",
            ),
        ),
        ("[]", Err("it should be an object, but it is a list")),
        ("", Err("it is nothing")),
    ] {
        match (parse(text.as_bytes()), want) {
            (Ok(found), Ok(want)) => assert_eq!(told(&found), want, "{text}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}
