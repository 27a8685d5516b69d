//! Says, in milliseconds, whether this machine is on a cloud the first-boot agent knows and whether asking it
//! needs the network.
//!
//! The answer is a word in /run/twinhull/source, and in the initrd a network only for sources that need one:
//! elsewhere the boot waits for nothing.

use crate::{Context, Result};

/// Where the answer is left for the agent.
pub const SOURCE: &str = "/run/twinhull/source";

/// A place a machine can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Hetzner Cloud, by its DMI vendor.
    Hetzner,
    /// NoCloud over the network, by the DMI serial number or the kernel command line.
    NocloudNet,
    /// Nothing that shows before disks do: the agent looks for a NoCloud disk.
    Local,
    /// The command line says not to look.
    Off,
}

impl Source {
    /// The word in [`SOURCE`].
    pub fn name(self) -> &'static str {
        match self {
            Source::Hetzner => "hetzner",
            Source::NocloudNet => "nocloud-net",
            Source::Local => "local",
            Source::Off => "off",
        }
    }

    fn needs_network(self) -> bool {
        matches!(self, Source::Hetzner | Source::NocloudNet)
    }
}

/// Finds out where the machine is from DMI and command line; `twinhull.source=` overrides.
pub fn detect(context: &Context) -> Source {
    match context.option("twinhull.source").as_deref() {
        Some("hetzner") => return Source::Hetzner,
        Some("nocloud-net") => return Source::NocloudNet,
        Some("local" | "nocloud") => return Source::Local,
        Some("off" | "none") => return Source::Off,
        _ => {}
    }
    let dmi = |field: &str| {
        let text =
            fs_err::read_to_string(context.path(&format!("/sys/class/dmi/id/{field}"))).unwrap_or_default();
        text.trim().to_owned()
    };
    if dmi("sys_vendor") == "Hetzner" {
        return Source::Hetzner;
    }
    let has_seed = |text: &str| {
        let mut parts = text.split(';');
        matches!(parts.next(), Some("ds=nocloud" | "ds=nocloud-net"))
            && parts.any(|p| p.starts_with("s=http") || p.starts_with("seedfrom=http"))
    };
    if has_seed(&dmi("product_serial")) || context.command_line().iter().any(|w| has_seed(w)) {
        return Source::NocloudNet;
    }
    Source::Local
}

/// The generator; it does its work in the initrd only.
pub fn generate(context: &Context) -> Result<()> {
    if !context.initrd || context.option("usrhash").is_none() {
        return Ok(());
    }
    let source = detect(context);
    fs_err::create_dir_all(context.path("/run/twinhull"))?;
    fs_err::write(context.path(SOURCE), source.name())?;
    context.pull_in("initrd-fs.target", "requires", "twinhull-firstboot.service")?;
    if source.needs_network() {
        // DHCP for IPv4, and link-local addresses for services that answer there; the agent waits itself.
        let network = context.path("/run/systemd/network");
        fs_err::create_dir_all(&network)?;
        fs_err::write(
            network.join("90-twinhull-initrd.network"),
            "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=yes\nIPv6AcceptRA=no\nLLDP=no\n\n\
             [Route]\nDestination=169.254.0.0/16\nScope=link\n\n\
             [DHCPv4]\nUseHostname=no\nUseDNS=no\nUseNTP=no\n",
        )?;
        context.pull_in("sysinit.target", "wants", "systemd-networkd.service")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(vendor: &str, serial: &str, cmdline: &str) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        for path in ["proc", "run", "units", "sys/class/dmi/id"] {
            fs_err::create_dir_all(root.join(path)).unwrap();
        }
        fs_err::write(root.join("proc/cmdline"), format!("usrhash=x {cmdline}")).unwrap();
        fs_err::write(root.join("sys/class/dmi/id/sys_vendor"), format!("{vendor}\n")).unwrap();
        fs_err::write(root.join("sys/class/dmi/id/product_serial"), format!("{serial}\n")).unwrap();
        let context = Context { units: root.join("units"), root, initrd: true };
        (dir, context)
    }

    #[test]
    fn detection() {
        for (vendor, serial, cmdline, want) in [
            ("Hetzner", "42", "", Source::Hetzner),
            ("Hetznerish", "", "", Source::Local),
            ("QEMU", "ds=nocloud;s=http://10.0.2.2/", "", Source::NocloudNet),
            ("QEMU", "", "ds=nocloud-net;s=http://10.0.2.2/", Source::NocloudNet),
            ("QEMU", "ds=nocloud", "", Source::Local),
            ("Hetzner", "", "twinhull.source=off", Source::Off),
            ("", "", "", Source::Local),
        ] {
            let (_dir, context) = context(vendor, serial, cmdline);
            assert_eq!(detect(&context), want, "{vendor} {serial} {cmdline}");
        }
    }

    #[test]
    fn only_a_network_source_brings_the_network_up() {
        for (vendor, network) in [("Hetzner", true), ("QEMU", false)] {
            let (_dir, context) = context(vendor, "", "");
            generate(&context).unwrap();
            assert_eq!(
                context.units.join("sysinit.target.wants/systemd-networkd.service").is_symlink(),
                network
            );
            assert!(context.units.join("initrd-fs.target.requires/twinhull-firstboot.service").is_symlink());
        }
    }
}
