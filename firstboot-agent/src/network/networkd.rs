//! Interfaces as .network files.

use std::fmt::Write;

use super::Interface;

/// File names and contents, below /etc/systemd/network. They sort before the image's own.
pub fn units(interfaces: &[Interface]) -> Vec<(String, String)> {
    let named = |(n, interface)| (format!("10-twinhull-{n}.network"), unit(interface));
    interfaces.iter().enumerate().map(named).collect()
}

/// One .network file.
pub fn unit(interface: &Interface) -> String {
    let mut out =
        String::from("# Made by firstboot-agent from what the platform says; replaced on every boot.\n");
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String can't fail.
        let _ = writeln!(out, "{text}");
    };
    // Kind=!*: a bridge or VLAN on top of the card may have its MAC address, and isn't meant.
    line(format_args!("[Match]\nMACAddress={}\nKind=!*\n", interface.mac));
    if interface.mtu.is_some() || !interface.required {
        line(format_args!("[Link]"));
        if let Some(mtu) = interface.mtu {
            line(format_args!("MTUBytes={mtu}"));
        }
        if !interface.required {
            line(format_args!("RequiredForOnline=no"));
        }
        line(format_args!(""));
    }
    let dhcp = match (interface.dhcp4, interface.dhcp6) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    line(format_args!("[Network]\nDHCP={dhcp}"));
    if let Some(accept) = interface.accept_ra {
        line(format_args!("IPv6AcceptRA={}", if accept { "yes" } else { "no" }));
    }
    for address in &interface.addresses {
        line(format_args!("Address={address}"));
    }
    for server in &interface.dns {
        line(format_args!("DNS={server}"));
    }
    if !interface.search.is_empty() {
        line(format_args!("Domains={}", interface.search.join(" ")));
    }
    for route in &interface.routes {
        line(format_args!("\n[Route]"));
        if let Some(to) = route.to {
            line(format_args!("Destination={to}"));
        }
        if let Some(via) = route.via {
            line(format_args!("Gateway={via}"));
            if route.on_link {
                line(format_args!("GatewayOnLink=yes"));
            }
        }
        if let Some(metric) = route.metric {
            line(format_args!("Metric={metric}"));
        }
    }
    if interface.dhcp4 && interface.mtu.is_some() {
        line(format_args!("\n[DHCPv4]\nUseMTU=no"));
    }
    out
}
