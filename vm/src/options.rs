//! What a caller can ask for, as plain data, and the checks that need nothing but this data.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::cloud::fault::Fault;
use crate::cloud::platform::Platform;
use crate::moment::Moment;
use crate::smbios;
use crate::web::Web;

/// How the guest's processor is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Accel {
    /// KVM when a short trial shows that it runs firmware here, TCG otherwise.
    #[default]
    Auto,
    /// The kernel's hypervisor.
    Kvm,
    /// QEMU's translator: slow, works everywhere.
    Tcg,
}

/// What starts the guest's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Starts {
    /// UEFI, which is OVMF.
    #[default]
    Uefi,
    /// A BIOS, which is SeaBIOS, as on many clouds' older types of machines.
    Bios,
}

/// The cloud the guest is to find around itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Cloud {
    /// Amazon EC2, with session tokens.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// OpenStack's config drive: a small read-only disk labelled `CONFIG-2`.
    ConfigDrive,
    /// DigitalOcean; its addresses are in the metadata, though there is DHCP here.
    Digitalocean,
    /// Google Compute Engine.
    Gcp,
    /// Hetzner Cloud.
    Hetzner,
    /// matchbox at `http://10.0.2.101`, which the kernel command line says.
    Matchbox,
    /// `NoCloud`: a small read-only disk labelled `CIDATA`.
    Nocloud,
    /// `NoCloud` at `http://10.0.2.101/`, which the firmware's serial number says.
    NocloudNet,
    /// OpenStack's metadata service.
    Openstack,
    /// Oracle Cloud.
    Oracle,
    /// Scaleway, with its service at `http://169.254.42.42`.
    Scaleway,
    /// Vultr.
    Vultr,
}

/// Where the guest's serial console goes, besides the serial log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Console {
    /// On runvm's stdin and stdout, with QEMU's monitor behind Ctrl-A C. Not with [`Options::exec`].
    Interactive,
    /// Nowhere.
    #[default]
    Quiet,
    /// Copied to stderr.
    Show,
}

/// Everything [`crate::run`] can be told. `Options::default()` boots nothing until
/// [`Options::image`] is set.
#[derive(Clone, Debug)]
pub struct Options {
    /// A raw or qcow2 image, or a spec (`*.yaml`, `*.yml`) that is built first.
    pub image: PathBuf,
    /// How the processor is made.
    pub accel: Accel,
    /// What starts the disk.
    pub firmware: Starts,
    /// The guest's memory in bytes.
    pub memory: u64,
    /// The number of virtual processors.
    pub cpus: u32,
    /// Size of the disk the guest sees; at least the image's.
    pub disk_size: Option<u64>,
    /// A qcow2 overlay that keeps what the guest writes; the firmware's variables go to `FILE.vars`.
    pub persist: Option<PathBuf>,
    /// A folder with `PK.esl`, `KEK.esl` and `db.esl`: the firmware knows these keys and enforces Secure Boot.
    pub secure_boot: Option<PathBuf>,
    /// A TPM 2.0, made by swtpm; with [`Options::persist`] its state goes to the folder `FILE.tpm`.
    pub tpm: bool,
    /// More disks; what the guest writes to them is thrown away.
    pub extra_disks: Vec<PathBuf>,
    /// Keeps the serial console's output in this file.
    pub serial_log: Option<PathBuf>,
    /// Where the serial console is seen.
    pub console: Console,
    /// The guest is killed when it runs longer than this.
    pub timeout: Option<Duration>,
    /// Ends at the guest's first reboot.
    pub no_reboot: bool,
    /// Gives the guest a network card.
    pub network: bool,
    /// The network card's address; the default depends on the cloud.
    pub mac: Option<String>,
    /// This port of the host's loopback leads to the guest's port 22.
    pub ssh_port: Option<u16>,
    /// Further ports of the host's loopback, and those of the guest that they lead to.
    pub forward: Vec<(u16, u16)>,
    /// Fills the guest's `/var` before its services start, but for so many bytes.
    pub fill_disk: Option<u64>,
    /// A folder that is served to the guest.
    pub web: Option<Web>,
    /// When the guest's power is cut.
    pub kill_after: Option<Moment>,
    /// How long after that moment; at once when not given.
    pub kill_delay: Option<Duration>,
    /// When the guest's network cable is pulled out.
    pub network_cut: Option<Moment>,
    /// How long it stays out; for good when not given.
    pub network_back: Option<Duration>,
    /// Handed to systemd-stub, which adds it to the kernel's command line.
    pub cmdline_extra: Option<String>,
    /// System credentials: name and value.
    pub credentials: Vec<(String, Vec<u8>)>,
    /// Logs root in on the serial console.
    pub autologin: bool,
    /// The cloud around the guest.
    pub cloud: Option<Cloud>,
    /// Replaces the generated metadata; `@MAC@` in it becomes the network card's address.
    pub metadata: Option<PathBuf>,
    /// The user data.
    pub user_data: Option<PathBuf>,
    /// How the cloud's metadata service fails.
    pub fault: Option<Fault>,
    /// `NoCloud`'s `network-config` or OpenStack's `network_data.json`; `@MAC@` in it becomes the network card's address.
    pub network_config: Option<PathBuf>,
    /// The host name in the metadata, or the `system.hostname` credential when there is no cloud.
    pub hostname: Option<String>,
    /// The instance's id in the metadata.
    pub instance_id: Option<String>,
    /// Public key files for the metadata, or for root when there is no cloud.
    pub ssh_keys: Vec<PathBuf>,
    /// Runs this with `/bin/sh -c` in the guest, then powers it off.
    pub exec: Option<String>,
    /// Keeps the output of [`Options::exec`] in [`crate::Outcome::output`] instead of printing it.
    pub capture: bool,
    /// Further words for QEMU's command line.
    pub qemu_args: Vec<OsString>,
    /// Ends the guest and cleans up on SIGINT, SIGTERM and SIGHUP. These handlers belong to the whole
    /// process, so only programs that run one guest at a time want them.
    pub handle_signals: bool,
    /// The `runvm` program, which QEMU starts for connections to the metadata service; looked for
    /// beside the running program and in `PATH` when not given.
    pub helper: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            image: PathBuf::new(),
            accel: Accel::Auto,
            firmware: Starts::Uefi,
            memory: 2 << 30,
            cpus: 2,
            disk_size: None,
            persist: None,
            secure_boot: None,
            tpm: false,
            extra_disks: Vec::new(),
            serial_log: None,
            console: Console::Quiet,
            timeout: None,
            no_reboot: false,
            network: true,
            mac: None,
            ssh_port: None,
            forward: Vec::new(),
            fill_disk: None,
            web: None,
            kill_after: None,
            kill_delay: None,
            network_cut: None,
            network_back: None,
            cmdline_extra: None,
            credentials: Vec::new(),
            autologin: false,
            cloud: None,
            metadata: None,
            fault: None,
            user_data: None,
            network_config: None,
            hostname: None,
            instance_id: None,
            ssh_keys: Vec::new(),
            exec: None,
            capture: false,
            qemu_args: Vec::new(),
            handle_signals: false,
            helper: None,
        }
    }
}

impl Options {
    /// The network card's address.
    pub fn mac(&self) -> &str {
        match (&self.mac, self.cloud) {
            (Some(mac), _) => mac,
            (None, Some(Cloud::ConfigDrive)) => "fa:16:3e:ed:9a:59",
            (None, cloud) => cloud.and_then(Platform::of).map_or("52:54:00:12:34:56", |p| p.mac),
        }
    }

    /// Whether the image is a spec that has to be built first.
    pub fn is_spec(&self) -> bool {
        self.image.extension().is_some_and(|ext| ext == "yaml" || ext == "yml")
    }

    /// Refuses what contradicts itself, with a sentence that says what to change.
    pub fn check(&self) -> Result<()> {
        ensure!(
            !self.image.as_os_str().is_empty(),
            "no image was named; give the path of an image or a spec"
        );
        ensure!(self.memory >= 64 << 20, "a guest needs at least 64M of memory; give more with --memory");
        ensure!((1..=255).contains(&self.cpus), "--cpus must be between 1 and 255");
        if let Some(mac) = &self.mac {
            check_mac(mac)?;
        }
        ensure!(
            self.firmware == Starts::Uefi || self.secure_boot.is_none(),
            "a BIOS knows no Secure Boot; leave out --firmware bios or --secure-boot"
        );
        if self.cloud.is_none() {
            for (flag, given) in [
                ("--metadata", self.metadata.is_some()),
                ("--user-data", self.user_data.is_some()),
                ("--instance-id", self.instance_id.is_some()),
            ] {
                ensure!(!given, "{flag} needs a cloud that hands it out; add --cloud with the cloud's name");
            }
        }
        let with_network =
            [Cloud::Nocloud, Cloud::NocloudNet, Cloud::ConfigDrive, Cloud::Openstack].map(Some);
        if self.network_config.is_some() && !with_network.contains(&self.cloud) {
            bail!(
                "--network-config is a file of NoCloud and OpenStack; add --cloud nocloud, nocloud-net, \
                 config-drive or openstack"
            );
        }
        let service = Platform::chosen(self);
        ensure!(
            self.fault.is_none() || service.is_some(),
            "--fault is for a metadata service; add --cloud with a cloud that has one, such as hetzner"
        );
        if let Some(web) = &self.web {
            web.check()?;
        }
        if !self.network {
            ensure!(self.web.is_none(), "--serve and --no-network exclude each other; drop one");
            ensure!(
                self.network_cut.is_none(),
                "--network-cut and --no-network exclude each other; drop one"
            );
            ensure!(self.ssh_port.is_none(), "--ssh-port and --no-network exclude each other; drop one");
            ensure!(self.forward.is_empty(), "--forward and --no-network exclude each other; drop one");
            ensure!(
                service.is_none(),
                "the cloud's metadata service needs the network; drop --no-network, or take --cloud nocloud or \
                 config-drive"
            );
        }
        if self.exec.is_some() {
            ensure!(
                self.console != Console::Interactive,
                "a command's output and an interactive console cannot share stdout; drop one of them"
            );
        }
        if let Some(name) = &self.hostname {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            ensure!(
                !name.is_empty() && name.len() <= 253 && name.chars().all(good),
                "{name:?} is not a host name; use letters, digits, dashes and dots"
            );
        }
        if let Some(id) = &self.instance_id {
            let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            ensure!(
                !id.is_empty() && id.len() <= 64 && id.chars().all(good),
                "{id:?} is not an instance id; use up to 64 letters, digits, dashes, dots and underscores"
            );
        }
        for (name, _) in &self.credentials {
            smbios::check_credential_name(name)?;
        }
        Ok(())
    }
}

fn check_mac(mac: &str) -> Result<()> {
    let octets: Vec<_> = mac.split(':').collect();
    let good = |o: &&str| o.len() == 2 && o.chars().all(|c| c.is_ascii_hexdigit());
    ensure!(
        octets.len() == 6 && octets.iter().all(good),
        "{mac:?} is not a network card's address; write it as 52:54:00:12:34:56"
    );
    let first = u8::from_str_radix(octets[0], 16)?;
    ensure!(first & 1 == 0, "{mac:?} is a multicast address; the lowest bit of its first octet must be 0");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { image: "x.raw".into(), ..Options::default() }
    }

    #[test]
    fn contradictions_are_refused() {
        options().check().unwrap();
        let bad = [
            Options { image: PathBuf::new(), ..options() },
            Options { mac: Some("52:54:00:12:34".into()), ..options() },
            Options { mac: Some("53:54:00:12:34:56".into()), ..options() },
            Options { metadata: Some("x".into()), ..options() },
            Options { network_config: Some("x".into()), cloud: Some(Cloud::Hetzner), ..options() },
            Options { fault: "error".parse().ok(), ..options() },
            Options { fault: "error".parse().ok(), cloud: Some(Cloud::Nocloud), ..options() },
            Options { network: false, ssh_port: Some(1), ..options() },
            Options { network: false, forward: vec![(8080, 80)], ..options() },
            Options { network: false, cloud: Some(Cloud::Hetzner), ..options() },
            Options { exec: Some("true".into()), console: Console::Interactive, ..options() },
            Options { hostname: Some("a b".into()), ..options() },
            Options { instance_id: Some("4,2".into()), ..options() },
            Options { credentials: vec![("a/b".into(), vec![])], ..options() },
            Options { cpus: 0, ..options() },
        ];
        for (at, options) in bad.iter().enumerate() {
            assert!(options.check().is_err(), "case {at}");
        }
    }

    #[test]
    fn a_spec_is_known_by_its_name() {
        for (name, want) in [("a.yaml", true), ("a.yml", true), ("a.raw", false), ("yaml", false)] {
            assert_eq!(Options { image: name.into(), ..Options::default() }.is_spec(), want, "{name}");
        }
    }
}
