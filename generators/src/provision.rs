//! Says, in milliseconds, whether this machine is on a cloud the first-boot agent knows and whether asking it
//! needs the network.
//!
//! The answer is a word in /run/twinhull/source, and in the initrd a network only for sources that need one:
//! elsewhere the boot waits for nothing.

use crate::{Context, Result};

/// Where the answer is left for the agent.
pub const SOURCE: &str = "/run/twinhull/source";

/// A cloud, and what its machines' firmware says.
#[derive(Debug)]
pub struct Platform {
    /// The word for it.
    pub name: &'static str,
    /// Fields below /sys/class/dmi/id, and values of each of which one is enough. `*` at a value's end is any rest.
    fields: &'static [(&'static str, &'static [&'static str])],
    /// Whether the way to its metadata may be one that only router advertisements know.
    advertisements: bool,
}

/// What asks VMware's hypervisor; only images with open-vm-tools have it.
const VMWARE_TOOL: &str = "/usr/bin/vmware-rpctool";

const OPENSTACK: &[&str] = &["OpenStack Nova", "OpenStack Compute"];

/// All clouds. The first one that matches is it; no machine matches two.
pub const PLATFORMS: &[Platform] = &[
    Platform { name: "hetzner", fields: &[("sys_vendor", &["Hetzner"])], advertisements: false },
    Platform {
        name: "aws",
        fields: &[("sys_vendor", &["Amazon EC2"]), ("chassis_asset_tag", &["Amazon EC2"])],
        advertisements: true,
    },
    Platform {
        name: "gcp",
        // On some machine types the product has another name.
        fields: &[
            ("product_name", &["Google Compute Engine", "Google"]),
            ("product_serial", &["GoogleCloud-*"]),
        ],
        advertisements: true,
    },
    Platform {
        name: "azure",
        fields: &[("chassis_asset_tag", &["7783-7084-3265-9085-8269-3286-77"])],
        advertisements: false,
    },
    Platform { name: "digitalocean", fields: &[("sys_vendor", &["DigitalOcean"])], advertisements: false },
    Platform { name: "vultr", fields: &[("sys_vendor", &["Vultr"])], advertisements: false },
    Platform { name: "scaleway", fields: &[("sys_vendor", &["Scaleway"])], advertisements: true },
    Platform { name: "oracle", fields: &[("chassis_asset_tag", &["OracleCloud.com"])], advertisements: true },
    Platform {
        name: "openstack",
        fields: &[
            ("product_name", OPENSTACK),
            ("chassis_asset_tag", OPENSTACK),
            (
                "chassis_asset_tag",
                &["OpenTelekomCloud", "HUAWEICLOUD", "SAP CCloud VM", "Samsung Cloud Platform"],
            ),
        ],
        advertisements: true,
    },
];

/// Where a machine can learn who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What is left in [`SOURCE`].
    pub word: String,
    /// Whether asking needs the network, and if so, whether router advertisements are heeded.
    network: Option<bool>,
}

impl Source {
    fn offline(word: impl Into<String>) -> Self {
        Source { word: word.into(), network: None }
    }

    fn online(word: &str, advertisements: bool) -> Self {
        Source { word: word.into(), network: Some(advertisements) }
    }

    fn platform(platform: &Platform) -> Self {
        Source::online(platform.name, platform.advertisements)
    }
}

/// Finds out where the machine is: what the command line says, or else what the firmware says, or else what
/// was handed to this machine alone.
pub fn detect(context: &Context) -> Source {
    let words = context.command_line();
    let serial = dmi(context, "product_serial");
    let seeds = || words.iter().map(String::as_str).chain([serial.as_str()]);
    let ipv6 = |url: &str| url.contains("://[");
    let nocloud = || Source::online("nocloud-net", seeds().any(ipv6));
    let matchbox = context.option("twinhull.matchbox");
    let from_matchbox = || Source::online("matchbox", true);
    match context.option("twinhull.source").as_deref() {
        Some("nocloud-net") => return nocloud(),
        Some("matchbox") => return from_matchbox(),
        Some("credentials") => return Source::offline("credentials"),
        Some("local" | "nocloud" | "config-drive") => return Source::offline("local"),
        Some("vmware") => return Source::offline("vmware"),
        Some("off" | "none") => return Source::offline("off"),
        Some(word) if word.starts_with("file:/") => return Source::offline(word),
        Some(word) => {
            if let Some(platform) = PLATFORMS.iter().find(|p| p.name == word) {
                return Source::platform(platform);
            }
        }
        None => {}
    }
    if matchbox.is_some() {
        return from_matchbox();
    }
    let says = |(field, values): &(&str, &[&str])| {
        let found = dmi(context, field);
        values.iter().any(|value| match value.strip_suffix('*') {
            Some(beginning) => found.starts_with(beginning),
            None => found == *value,
        })
    };
    if let Some(platform) = PLATFORMS.iter().find(|p| p.fields.iter().any(says)) {
        return Source::platform(platform);
    }
    if old_aws(context, &serial) {
        return Source::online("aws", true);
    }
    let credential = |name: &str| context.path(&format!("/run/credentials/@system/twinhull.{name}")).exists();
    if ["user-data", "meta-data", "network-config"].into_iter().any(credential) {
        return Source::offline("credentials");
    }
    if seeds().any(has_seed) {
        return nocloud();
    }
    if dmi(context, "sys_vendor").starts_with("VMware") && context.path(VMWARE_TOOL).exists() {
        return Source::offline("vmware");
    }
    Source::offline("local")
}

fn dmi(context: &Context, field: &str) -> String {
    let text =
        fs_err::read_to_string(context.path(&format!("/sys/class/dmi/id/{field}"))).unwrap_or_default();
    text.trim().to_owned()
}

/// Amazon's old machines: UUID and serial number are the same and begin with ec2. Some firmware has the UUID's
/// first four bytes the other way round. A random UUID begins like that, too, now and then, so the serial number
/// has to agree.
fn old_aws(context: &Context, serial: &str) -> bool {
    let uuid = dmi(context, "product_uuid").to_ascii_lowercase();
    let swapped: String = [6, 4, 2, 0].iter().filter_map(|&at| uuid.get(at..at + 2)).collect();
    let serial = serial.to_ascii_lowercase();
    (uuid.starts_with("ec2") && serial == uuid)
        || (swapped.starts_with("ec2")
            && serial.get(..8) == Some(&swapped)
            && serial.get(8..) == uuid.get(8..))
}

/// Whether a text is a NoCloud seed on the network.
fn has_seed(text: &str) -> bool {
    let mut parts = text.split(';');
    matches!(parts.next(), Some("ds=nocloud" | "ds=nocloud-net"))
        && parts.any(|p| p.starts_with("s=http") || p.starts_with("seedfrom=http"))
}

/// The initrd's network: DHCP for IPv4, and link-local addresses for services that answer there; the agent
/// waits itself.
fn network(source: &Source, advertisements: bool) -> String {
    let advertisements = if advertisements { "yes" } else { "no" };
    // Cards with these drivers are the insides of another one there, and have its address.
    let driver = if source.word == "azure" { "Driver=!mlx4_core mlx4_en mlx5_core mana\n" } else { "" };
    format!(
        "[Match]\nType=ether\nKind=!*\n{driver}\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=yes\n\
         IPv6AcceptRA={advertisements}\nLLDP=no\n\n[Route]\nDestination=169.254.0.0/16\nScope=link\n\n\
         [DHCPv4]\nUseHostname=no\nUseDNS=no\nUseNTP=no\n"
    )
}

/// The generator; it does its work in the initrd only.
pub fn generate(context: &Context) -> Result<()> {
    if !context.initrd || context.option("usrhash").is_none() {
        return Ok(());
    }
    let source = detect(context);
    fs_err::create_dir_all(context.path("/run/twinhull"))?;
    fs_err::write(context.path(SOURCE), &source.word)?;
    context.pull_in("initrd-fs.target", "requires", "twinhull-firstboot.service")?;
    if let Some(advertisements) = source.network {
        let folder = context.path("/run/systemd/network");
        fs_err::create_dir_all(&folder)?;
        fs_err::write(folder.join("90-twinhull-initrd.network"), network(&source, advertisements))?;
        context.pull_in("sysinit.target", "wants", "systemd-networkd.service")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose firmware says `fields`, in the initrd.
    fn context(fields: &[(&str, &str)], cmdline: &str) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        for path in ["proc", "run", "units", "sys/class/dmi/id"] {
            fs_err::create_dir_all(root.join(path)).unwrap();
        }
        fs_err::write(root.join("proc/cmdline"), format!("usrhash=x {cmdline}")).unwrap();
        for (field, value) in fields {
            fs_err::write(root.join("sys/class/dmi/id").join(field), format!("{value}\n")).unwrap();
        }
        let context = Context { units: root.join("units"), root, initrd: true };
        (dir, context)
    }

    #[test]
    fn detection() {
        let azure = "7783-7084-3265-9085-8269-3286-77";
        let uuid = "ec2e1916-9099-7caf-fd21-012345abcdef";
        for (fields, cmdline, want) in [
            (&[("sys_vendor", "Hetzner"), ("product_serial", "42")][..], "", "hetzner +"),
            (&[("sys_vendor", "Hetznerish")], "", "local"),
            (&[("sys_vendor", "Amazon EC2"), ("product_name", "t3.micro")], "", "aws ra"),
            (&[("sys_vendor", "Xen"), ("product_uuid", uuid), ("product_serial", uuid)], "", "aws ra"),
            (
                &[
                    ("product_uuid", "45E12AEC-DCD1-B213-94ED-012345ABCDEF"),
                    ("product_serial", "ec2ae145-dcd1-b213-94ed-012345abcdef"),
                ],
                "",
                "aws ra",
            ),
            (&[("product_uuid", uuid)], "", "local"),
            (&[("sys_vendor", "Google"), ("product_name", "Google Compute Engine")], "", "gcp ra"),
            (&[("sys_vendor", "Google"), ("product_name", "Eve")], "", "local"),
            (&[("product_name", "Izumi"), ("product_serial", "GoogleCloud-0123456789ABCDEF")], "", "gcp ra"),
            (&[("product_serial", "NotGoogleCloud-01")], "", "local"),
            (&[("product_serial", "GoogleCloud")], "", "local"),
            (&[("sys_vendor", "Microsoft Corporation"), ("chassis_asset_tag", azure)], "", "azure +"),
            (&[("sys_vendor", "Microsoft Corporation")], "", "local"),
            (&[("sys_vendor", "DigitalOcean"), ("product_name", "Droplet")], "", "digitalocean +"),
            (&[("sys_vendor", "Vultr")], "", "vultr +"),
            (&[("sys_vendor", "Scaleway")], "", "scaleway ra"),
            (&[("sys_vendor", "QEMU"), ("chassis_asset_tag", "OracleCloud.com")], "", "oracle ra"),
            (&[("product_name", "OpenStack Nova")], "", "openstack ra"),
            (&[("product_name", "OpenStack Compute")], "", "openstack ra"),
            (&[("chassis_asset_tag", "HUAWEICLOUD")], "", "openstack ra"),
            (&[("chassis_asset_tag", "OpenTelekomCloud")], "", "openstack ra"),
            (
                &[("sys_vendor", "QEMU"), ("product_serial", "ds=nocloud;s=http://10.0.2.2/")],
                "",
                "nocloud-net +",
            ),
            (&[("sys_vendor", "QEMU")], "ds=nocloud-net;s=http://[fd00::2]/", "nocloud-net ra"),
            (&[("product_serial", "ds=nocloud")], "", "local"),
            (&[], "twinhull.matchbox=http://10.0.0.2:8080", "matchbox ra"),
            (&[("sys_vendor", "Hetzner")], "twinhull.source=off", "off"),
            (&[("sys_vendor", "Hetzner")], "twinhull.source=nonsense", "hetzner +"),
            (&[("sys_vendor", "Hetzner")], "twinhull.source=digitalocean", "digitalocean +"),
            (&[], "twinhull.source=file:/var/lib/seed", "file:/var/lib/seed"),
            (&[], "twinhull.source=config-drive", "local"),
            (&[], "", "local"),
        ] {
            let (_dir, context) = context(fields, cmdline);
            let Source { word, network } = detect(&context);
            let network = network.map_or("", |ra| if ra { " ra" } else { " +" });
            assert_eq!(word + network, want, "{fields:?} {cmdline}");
        }
    }

    #[test]
    fn credentials_are_a_source_where_no_cloud_is() {
        for (vendor, want) in [("QEMU", "credentials"), ("Hetzner", "hetzner")] {
            let (_dir, context) = context(&[("sys_vendor", vendor)], "");
            let folder = context.path("/run/credentials/@system");
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join("twinhull.user-data"), "#twinhull\n").unwrap();
            assert_eq!(detect(&context).word, want);
        }
    }

    #[test]
    fn vmware_is_asked_by_its_tool() {
        for (vendor, tool, cmdline, want) in [
            ("VMware, Inc.", true, "", "vmware"),
            ("VMware, Inc.", false, "", "local"),
            ("QEMU", true, "", "local"),
            ("QEMU", true, "twinhull.source=vmware", "vmware"),
            ("VMware, Inc.", true, "ds=nocloud;s=http://10.0.0.2/", "nocloud-net"),
        ] {
            let (_dir, context) = context(&[("sys_vendor", vendor)], cmdline);
            if tool {
                fs_err::create_dir_all(context.path("/usr/bin")).unwrap();
                fs_err::write(context.path(VMWARE_TOOL), "").unwrap();
            }
            assert_eq!(detect(&context).word, want, "{vendor} {tool} {cmdline}");
        }
    }

    #[test]
    fn only_a_network_source_brings_the_network_up() {
        for (vendor, network, advertisements) in
            [("Hetzner", true, "no"), ("Scaleway", true, "yes"), ("QEMU", false, "")]
        {
            let (_dir, context) = context(&[("sys_vendor", vendor)], "");
            generate(&context).unwrap();
            assert_eq!(
                context.units.join("sysinit.target.wants/systemd-networkd.service").is_symlink(),
                network
            );
            assert!(context.units.join("initrd-fs.target.requires/twinhull-firstboot.service").is_symlink());
            let text =
                fs_err::read_to_string(context.path("/run/systemd/network/90-twinhull-initrd.network"));
            let line = format!("IPv6AcceptRA={advertisements}\n");
            assert_eq!(text.is_ok_and(|t| t.contains(&line)), network);
        }
    }
}
