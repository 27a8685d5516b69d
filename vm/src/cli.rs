//! The command line: what can be said, and what it means as [`Options`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use twinhull_sysutil::finding::{self, Verdict};

use crate::cloud::fault::Fault;
use crate::moment::parse_duration;
use crate::options::{Accel, Cloud, Console, Options, Starts};
use crate::update_args::UpdateArgs;

const EXAMPLES: &str = "\
Examples:
  runvm demo.yaml
        builds the image of a spec and boots it, with its console in this terminal
  runvm server_1.raw --exec 'systemctl is-system-running --wait'
        runs a command in the guest and ends with its exit status
  runvm server_1.raw --persist state.qcow2 --disk-size 6G
        keeps what the guest writes for the next time; server_1.raw itself never changes
  runvm server_1.raw --cloud hetzner --user-data seed.txt --ssh-key ~/.ssh/id_ed25519.pub --ssh-port 2222
        boots as a Hetzner Cloud server would
  runvm server_1.raw --persist state.qcow2 --serve releases --kill-after 90s
        serves a release folder to the guest, and cuts its power in the middle of something

Exit status:
  that of the command of --exec; otherwise 0 when the guest powered off, 1 when something failed,
  2 when the arguments make no sense, 124 when --timeout was over, 125 when --kill-after cut the
  power, 128 and its number after a signal.

Standard output carries the guest's console or the command's output, standard error all else.";

/// Boots a Twinhull image in QEMU, with a cloud around it if asked for.
///
/// The image is never written to: changes go to a temporary overlay, or to the one named by --persist.
#[derive(Clone, Debug, Parser)]
#[command(name = "runvm", version, after_help = EXAMPLES)]
pub struct Args {
    /// The image to boot (raw, qcow2 or VMDK), or a spec (*.yaml) to build and boot
    #[arg(value_name = "SPEC|IMAGE")]
    image: PathBuf,

    /// Run CMD with /bin/sh in the guest, print what it prints, power off, and end with its exit status
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// With --exec: show the serial console on stderr
    #[arg(long, requires = "exec")]
    console: bool,

    /// Keep what the guest writes in FILE (a qcow2 overlay) and FILE.vars, for the next time
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    persist: Option<PathBuf>,

    /// What starts the disk
    #[arg(long, value_name = "FIRMWARE", value_enum, default_value_t, help_heading = "Machine")]
    firmware: Starts,

    /// Boot with Secure Boot on and the keys in DIR (PK.esl, KEK.esl and db.esl, as `image-builder secure-boot
    /// enroll-files` writes them)
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    secure_boot: Option<PathBuf>,

    /// Give the guest a TPM 2.0, made by swtpm; with --persist its state is kept in the folder FILE.tpm
    #[arg(long, help_heading = "Machine")]
    tpm: bool,

    /// Size of the guest's disk, at least the image's, such as 6G
    #[arg(long, value_name = "SIZE", value_parser = twinhull_sysutil::size::parse, help_heading = "Machine")]
    disk_size: Option<u64>,

    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = twinhull_sysutil::size::parse,
          help_heading = "Machine")]
    memory: u64,

    /// Number of processors of the guest
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Machine")]
    cpus: u32,

    /// How the processor is made; auto tries KVM for a moment and falls back to TCG
    #[arg(long, value_enum, default_value_t, help_heading = "Machine")]
    accel: Accel,

    /// Attach FILE as a further disk; changes to it are thrown away (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    extra_disk: Vec<PathBuf>,

    /// Add ARG to QEMU's command line (repeatable)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = "Machine")]
    qemu_arg: Vec<OsString>,

    /// End when the guest reboots for the first time
    #[arg(long, help_heading = "Machine")]
    no_reboot: bool,

    /// Kill the guest after this time, such as 90, 5m or 1h, and end with status 124
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Machine")]
    timeout: Option<Duration>,

    /// Keep the serial console's output in FILE
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    serial_log: Option<PathBuf>,

    /// Add STR to the kernel's command line, through systemd-stub
    #[arg(long, value_name = "STR", allow_hyphen_values = true, help_heading = "Guest")]
    cmdline_extra: Option<String>,

    /// Pass a system credential (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_credential, help_heading = "Guest")]
    credential: Vec<(String, Vec<u8>)>,

    /// Do not log root in on the serial console
    #[arg(long, help_heading = "Guest")]
    no_autologin: bool,

    /// Let port N of the host's loopback lead to the guest's SSH
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Network")]
    ssh_port: Option<u16>,

    /// Let port HOST of the host's loopback lead to port GUEST of the guest, such as 8080:80 (repeatable)
    #[arg(long, value_name = "HOST:GUEST", value_parser = parse_forward, help_heading = "Network")]
    forward: Vec<(u16, u16)>,

    /// Address of the guest's network card
    #[arg(long, value_name = "MAC", help_heading = "Network")]
    mac: Option<String>,

    /// Give the guest no network card
    #[arg(long, help_heading = "Network")]
    no_network: bool,

    /// The cloud the guest finds around itself
    #[arg(long, value_enum, help_heading = "Cloud")]
    cloud: Option<Cloud>,

    /// Metadata in place of the generated ones; @MAC@ becomes the network card's address
    #[arg(long, value_name = "FILE", help_heading = "Cloud")]
    metadata: Option<PathBuf>,

    /// Let the metadata service fail: refuse, delay, error, truncate or garbage, with :N for the first N requests or :TIME
    /// (60s, 2m) for the time after the first one
    #[arg(long, value_name = "KIND[:N|:TIME]", help_heading = "Cloud")]
    fault: Option<Fault>,

    /// The user data
    #[arg(long, value_name = "FILE", help_heading = "Cloud")]
    user_data: Option<PathBuf>,

    /// The network-config of NoCloud or the network_data.json of OpenStack; @MAC@ becomes the network card's address
    #[arg(long, value_name = "FILE", help_heading = "Cloud")]
    network_config: Option<PathBuf>,

    /// The host name, in the metadata or else as a credential
    #[arg(long, value_name = "NAME", help_heading = "Cloud")]
    hostname: Option<String>,

    /// The instance's id in the metadata
    #[arg(long, value_name = "ID", help_heading = "Cloud")]
    instance_id: Option<String>,

    /// A public key file, for the metadata or else for root (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Cloud")]
    ssh_key: Vec<PathBuf>,

    /// Print QEMU's command line instead of running it
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    updates: UpdateArgs,
}

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub struct Request {
    /// The guest.
    pub options: Options,
    /// Whether to print QEMU's command line only.
    pub dry_run: bool,
}

impl Args {
    /// The arguments as a guest; an error is a mistake in their combination.
    pub fn into_request(self) -> Result<Request> {
        let console = match (&self.exec, self.console) {
            (None, _) => Console::Interactive,
            (Some(_), true) => Console::Show,
            (Some(_), false) => Console::Quiet,
        };
        let mut options = Options {
            image: self.image,
            accel: self.accel,
            firmware: self.firmware,
            memory: self.memory,
            cpus: self.cpus,
            disk_size: self.disk_size,
            persist: self.persist,
            secure_boot: self.secure_boot,
            tpm: self.tpm,
            extra_disks: self.extra_disk,
            serial_log: self.serial_log,
            console,
            timeout: self.timeout,
            no_reboot: self.no_reboot,
            network: !self.no_network,
            mac: self.mac,
            ssh_port: self.ssh_port,
            forward: self.forward,
            cmdline_extra: self.cmdline_extra,
            credentials: self.credential,
            autologin: self.exec.is_none() && !self.no_autologin,
            cloud: self.cloud,
            metadata: self.metadata,
            fault: self.fault,
            user_data: self.user_data,
            network_config: self.network_config,
            hostname: self.hostname,
            instance_id: self.instance_id,
            ssh_keys: self.ssh_key,
            exec: self.exec,
            capture: false,
            qemu_args: self.qemu_arg,
            handle_signals: true,
            helper: std::env::current_exe().ok(),
            ..Options::default()
        };
        self.updates.add_to(&mut options);
        options.check()?;
        Ok(Request { options, dry_run: self.dry_run })
    }
}

/// Does what was asked for and returns the exit status.
pub fn act(request: &Request) -> Result<u8> {
    if request.dry_run {
        println!("{}", crate::dry_run(&request.options)?);
        return Ok(0);
    }
    Ok(crate::run(&request.options)?.status)
}

/// Says what this host lacks, if that may be why a guest didn't run.
pub fn diagnose() {
    let found = crate::host::needs();
    let bad: Vec<_> = found.iter().filter(|finding| finding.verdict == Verdict::Bad).collect();
    if !bad.is_empty() {
        eprint!("runvm: this host lacks what guests need\n{}", finding::render(bad));
    }
}

fn parse_credential(text: &str) -> Result<(String, Vec<u8>)> {
    let (name, value) = text.split_once('=').context("a credential is written as NAME=VALUE")?;
    crate::smbios::check_credential_name(name)?;
    Ok((name.to_owned(), value.as_bytes().to_vec()))
}

fn parse_forward(text: &str) -> Result<(u16, u16)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports = text.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
    ports.context("ports are written as HOST:GUEST, such as 8080:80, each from 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Request> {
        Args::try_parse_from(["runvm"].iter().chain(words))?.into_request()
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn forwarded_ports_come_in_pairs() {
        let options = parse(&["a.raw", "--forward", "8080:80", "--forward", "8443:443"]).unwrap().options;
        assert_eq!(options.forward, [(8080, 80), (8443, 443)]);
        for wrong in ["80", "80:", ":80", "0:80", "80:65536", "a:b", "127.0.0.1:80:80"] {
            assert!(parse(&["a.raw", "--forward", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_become_options() {
        let options = parse(&["a.raw"]).unwrap().options;
        assert_eq!((options.memory, options.cpus, options.autologin), (2 << 30, 2, true));
        assert_eq!(options.console, Console::Interactive);
        let words = [
            "a.raw",
            "--exec",
            "true",
            "--timeout",
            "5m",
            "--credential",
            "a=b=c",
            "--qemu-arg",
            "-S",
            "--cloud",
            "hetzner",
            "--disk-size",
            "6G",
            "--serve",
            "/",
            "--serve-rate",
            "10K",
            "--kill-after",
            "login:",
            "--kill-delay",
            "1.3s",
            "--fill-disk",
            "10M",
        ];
        let options = parse(&words).unwrap().options;
        assert_eq!(options.timeout, Some(Duration::from_secs(300)));
        assert_eq!(options.credentials, [("a".to_owned(), b"b=c".to_vec())]);
        assert_eq!(options.qemu_args, ["-S"]);
        assert_eq!(options.disk_size, Some(6 << 30));
        assert_eq!(options.web.unwrap().rate, Some(10 << 10));
        assert_eq!(options.kill_after, Some(crate::Moment::Text("login:".into())));
        assert_eq!(options.kill_delay, Some(Duration::from_millis(1300)));
        assert_eq!(options.fill_disk, Some(10 << 20));
        assert_eq!((options.console, options.autologin), (Console::Quiet, false));
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &[][..],
            &["a", "--console"],
            &["a", "--user-data", "f"],
            &["a", "--timeout", "0"],
            &["a", "--timeout", "5d"],
            &["a", "--credential", "a"],
            &["a", "--ssh-port", "0"],
            &["a", "--memory", "lots"],
            &["a", "--serve-log", "f"],
            &["a", "--serve", "/no/such/folder"],
            &["a", "--network-back", "5s"],
            &["a", "--network-cut", "5s", "--no-network"],
            &["a", "--kill-after", ""],
            &["a", "--kill-delay", "5s"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
