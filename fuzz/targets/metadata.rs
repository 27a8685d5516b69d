//! The readers of clouds' documents, all of them on the same bytes, and what networkd is told then.
#![no_main]

use firstboot_agent::network::{Interface, networkd};
use firstboot_agent::source::{azure, digitalocean, gcp, hetzner, matchbox, openstack, oracle, scaleway, vultr};
use firstboot_agent::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let card = "52:54:00:00:00:01".parse().expect("this is a MAC address");
    let whole = [
        azure::parse(data),
        digitalocean::parse(data),
        hetzner::parse(data, Some(data)),
        openstack::parse(data),
        oracle::parse(data),
        scaleway::parse(data, &[card]),
        vultr::parse(data),
    ];
    whole.into_iter().flatten().for_each(|found| render(&found.network));
    let text = String::from_utf8_lossy(data);
    let mut found = matchbox::parse(&text);
    gcp::keys(&text, &mut found);
    openstack::take_network(data, &mut found);
    render(&found.network);
    render(&oracle::interfaces(data, &mut found.notes));
    if let Ok(node) = json::parse(data, 1 << 20) {
        render(&gcp::interfaces(&node, &mut found.notes));
    }
});

/// One line is one setting: nothing that a document says may begin another.
fn render(network: &[Interface]) {
    for (_, unit) in networkd::units(network) {
        let good = |line: &str| line.is_empty() || line.starts_with(['#', '[']) || line.contains('=');
        assert!(unit.lines().all(good), "{unit}");
    }
}
