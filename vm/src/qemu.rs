//! QEMU: finding it, and the command line of a guest.
//!
//! Everything specific to the guest's architecture is in [`Machine`]; a second one is a second constant,
//! and places in `firmware.rs`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use twinhull_sysutil::command::which;

use crate::accel::Chosen;
use crate::cloud::hetzner;
use crate::disk::Format;
use crate::exec;
use crate::firmware::Firmware;
use crate::options::{Console, Options};
use crate::smbios;

/// What QEMU says when KVM gives up on a guest, which then stands still.
pub(crate) const KVM_BROKEN: &str = "KVM internal error";

/// An architecture's QEMU.
struct Machine {
    program: &'static str,
    package: &'static str,
    /// `smm=off`: most firmware doesn't use it, and KVM inside a guest often cannot do it.
    machine: &'static [&'static str],
    /// For firmware that enforces Secure Boot: only code in SMM may write to its variables.
    secure: &'static [&'static str],
    /// Two watchdogs, as kernels for clouds have a driver for one of them only. The chipset's does
    /// nothing until its "no reboot" strap is off.
    watchdog: &'static [&'static str],
}

const X86_64: Machine = Machine {
    program: "qemu-system-x86_64",
    package: "`qemu-system-x86` (Debian, Ubuntu, Fedora) or `qemu-full` (Arch)",
    machine: &["-machine", "q35,smm=off"],
    secure: &["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"],
    watchdog: &["-device", "i6300esb", "-global", "ICH9-LPC.noreboot=off", "-action", "watchdog=reset"],
};

impl Machine {
    fn machine_for(&self, firmware: &Firmware) -> &'static [&'static str] {
        if firmware.secure { self.secure } else { self.machine }
    }
}

const BARE: &[&str] = &["-nodefaults", "-no-user-config", "-display", "none"];

/// QEMU's program.
pub(crate) fn find() -> Result<PathBuf> {
    let missing = || format!("{} was not found; install the package {}", X86_64.program, X86_64.package);
    which(X86_64.program).map(PathBuf::from).with_context(missing)
}

/// A prepared guest: [`Options`] with every path and port settled.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) options: &'a Options,
    pub(crate) program: PathBuf,
    pub(crate) accel: Chosen,
    pub(crate) firmware: Firmware,
    pub(crate) vars: PathBuf,
    /// The overlay.
    pub(crate) disk: PathBuf,
    /// More disks and their formats.
    pub(crate) extra: Vec<(PathBuf, Format)>,
    /// The `NoCloud` disk.
    pub(crate) cidata: Option<PathBuf>,
    /// The words QEMU starts for a connection to the metadata service.
    pub(crate) pipe: Option<String>,
    /// OEM strings.
    pub(crate) strings: Vec<String>,
    /// Where QEMU logs the serial console.
    pub(crate) serial: PathBuf,
    /// Our own directory.
    pub(crate) dir: PathBuf,
    /// Directory of the sockets of `--exec`.
    pub(crate) sockets: PathBuf,
}

/// Words of a command line, some of which hold paths that need not be UTF-8.
#[derive(Default)]
struct Words(Vec<OsString>);

impl Words {
    fn add<S: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = S>) {
        self.0.extend(words.into_iter().map(|w| w.as_ref().to_owned()));
    }

    /// An option whose value is `before`, a path, `after`.
    fn with_path(&mut self, option: &str, before: &str, path: &Path, after: &str) {
        let mut value = OsString::from(before);
        value.push(smbios::comma_escaped_path(path));
        value.push(after);
        self.add([OsString::from(option), value]);
    }
}

/// The file an OEM string travels in when it is too long for the command line.
fn string_file(dir: &Path, at: usize) -> PathBuf {
    dir.join(format!("oem-string-{at}"))
}

impl Plan<'_> {
    /// Writes the files the command line refers to.
    pub(crate) fn write_strings(&self) -> Result<()> {
        for (at, text) in self.strings.iter().enumerate().filter(|(_, t)| t.len() > smbios::INLINE_MAX) {
            fs_err::write(string_file(&self.dir, at), text)?;
        }
        Ok(())
    }

    /// The command line, the program first.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        let options = self.options;
        let mut words = Words::default();
        words.add([&self.program]);
        words.add(BARE);
        words.add(X86_64.machine_for(&self.firmware));
        words.add(self.accel.args());
        words.add(["-smp", &options.cpus.to_string()]);
        words.add(["-m", &format!("{}K", options.memory >> 10)]);
        words.add(X86_64.watchdog);
        words.add(["-device", "virtio-rng-pci"]);
        if options.no_reboot {
            words.add(["-no-reboot"]);
        }
        self.firmware(&mut words);
        self.disks(&mut words);
        self.network(&mut words);
        self.console(&mut words);
        self.dmi(&mut words);
        if options.exec.is_some() {
            exec_ports(&mut words, &self.sockets);
        }
        words.add(&options.qemu_args);
        words.0
    }

    fn firmware(&self, words: &mut Words) {
        let format = self.firmware.format;
        let code = format!("if=pflash,unit=0,format={format},readonly=on,file=");
        words.with_path("-drive", &code, &self.firmware.code, "");
        words.with_path("-drive", &format!("if=pflash,unit=1,format={format},file="), &self.vars, "");
    }

    fn disks(&self, words: &mut Words) {
        // A temporary overlay need not survive the host; a kept one goes by the usual rules.
        let cache = if self.options.persist.is_some() { "writeback" } else { "unsafe" };
        let after = format!(",cache={cache},discard=unmap,detect-zeroes=unmap");
        words.with_path("-drive", "if=none,id=disk0,format=qcow2,file=", &self.disk, &after);
        words.add(["-device", "virtio-blk-pci,drive=disk0,bootindex=1"]);
        for (at, (path, format)) in self.extra.iter().enumerate() {
            let id = at + 1;
            let before = format!("if=none,id=disk{id},format={},snapshot=on,file=", format.name());
            words.with_path("-drive", &before, path, ",discard=unmap");
            words.add(["-device", &format!("virtio-blk-pci,drive=disk{id}")]);
        }
        if let Some(path) = &self.cidata {
            words.with_path("-drive", "if=none,id=cidata,format=raw,readonly=on,file=", path, "");
            words.add(["-device", "virtio-blk-pci,drive=cidata"]);
        }
    }

    fn network(&self, words: &mut Words) {
        let options = self.options;
        if !options.network {
            words.add(["-nic", "none"]);
            return;
        }
        let mut netdev = String::from("user,id=net0");
        if let Some(pipe) = &self.pipe {
            netdev.push_str(&hetzner::netdev_options());
            netdev.push_str(",guestfwd=tcp:");
            netdev.push_str(hetzner::SERVICE);
            netdev.push_str(":80-cmd:");
            netdev.push_str(&smbios::comma_escaped(pipe));
        }
        if let Some(port) = options.ssh_port {
            netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{port}-:22"));
        }
        words.add(["-netdev", &netdev]);
        words.add(["-device", &format!("virtio-net-pci,netdev=net0,mac={},romfile=", options.mac())]);
    }

    fn console(&self, words: &mut Words) {
        if self.options.console == Console::Interactive {
            words.with_path("-chardev", "stdio,id=console,mux=on,signal=off,logfile=", &self.serial, "");
            words.add(["-serial", "chardev:console", "-mon", "chardev=console,mode=readline"]);
        } else {
            words.with_path("-chardev", "file,id=console,path=", &self.serial, "");
            words.add(["-serial", "chardev:console"]);
        }
    }

    fn dmi(&self, words: &mut Words) {
        if self.pipe.is_some() {
            words.add(["-smbios", &hetzner::dmi(self.options)]);
        }
        for (at, text) in self.strings.iter().enumerate() {
            if text.len() > smbios::INLINE_MAX {
                words.with_path("-smbios", "type=11,path=", &string_file(&self.dir, at), "");
            } else {
                words.add(["-smbios", &format!("type=11,value={}", smbios::comma_escaped(text))]);
            }
        }
    }
}

fn exec_ports(words: &mut Words, sockets: &Path) {
    words.add(["-device", "virtio-serial-pci,max_ports=4"]);
    for (id, socket, port) in exec::PORTS {
        words.with_path("-chardev", &format!("socket,id={id},path="), &sockets.join(socket), "");
        words.add(["-device", &format!("virtserialport,chardev={id},name={port}")]);
    }
}

/// The command line of a guest that only shows whether KVM runs the firmware.
pub(crate) fn trial(program: &Path, firmware: &Firmware, serial: &Path) -> Vec<OsString> {
    let mut words = Words::default();
    words.add([program]);
    words.add(BARE);
    words.add(X86_64.machine_for(firmware));
    words.add(Chosen::Kvm.args());
    words.add(["-m", "256M", "-no-reboot"]);
    let format = firmware.format;
    let code = format!("if=pflash,unit=0,format={format},readonly=on,file=");
    words.with_path("-drive", &code, &firmware.code, "");
    let vars = format!("if=pflash,unit=1,format={format},snapshot=on,file=");
    words.with_path("-drive", &vars, &firmware.vars, "");
    words.with_path("-chardev", "file,id=console,path=", serial, "");
    words.add(["-serial", "chardev:console"]);
    words.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Cloud;

    fn line(options: &Options, change: impl FnOnce(&mut Plan<'_>)) -> String {
        let secure = options.secure_boot.is_some();
        let firmware = Firmware { code: "/fw/code".into(), vars: "/fw/vars".into(), format: "raw", secure };
        let mut plan = Plan {
            options,
            program: "qemu".into(),
            accel: Chosen::Tcg,
            firmware,
            vars: "/t/vars".into(),
            disk: "/t/a,b".into(),
            extra: Vec::new(),
            cidata: None,
            pipe: None,
            strings: Vec::new(),
            serial: "/t/serial".into(),
            dir: "/t".into(),
            sockets: "/t".into(),
        };
        change(&mut plan);
        plan.argv().join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn the_plain_guest() {
        let line = line(&Options::default(), |_| ());
        for want in [
            "qemu -nodefaults -no-user-config -display none -machine q35,smm=off -accel tcg,thread=multi -cpu max",
            "-smp 2 -m 2097152K",
            "-action watchdog=reset",
            "file=/t/a,,b,cache=unsafe",
            "mac=52:54:00:12:34:56",
            "-chardev file,id=console,path=/t/serial",
        ] {
            assert!(line.contains(want), "{want}: {line}");
        }
        for unwanted in ["-smbios", "virtserialport", "-no-reboot", "hostfwd", "guestfwd"] {
            assert!(!line.contains(unwanted), "{unwanted}: {line}");
        }
    }

    #[test]
    fn secure_boot_needs_smm() {
        let options = Options { secure_boot: Some("keys".into()), ..Options::default() };
        let line = line(&options, |_| ());
        assert!(
            line.contains("-machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on"),
            "{line}"
        );
    }

    #[test]
    fn hetzner_has_dmi_strings_and_a_forwarded_service() {
        let options = Options { cloud: Some(Cloud::Hetzner), ssh_port: Some(2222), ..Options::default() };
        let line = line(&options, |plan| plan.pipe = Some("'/a,b/runvm' internal-pipe 9".into()));
        for want in [
            "guestfwd=tcp:169.254.169.254:80-cmd:'/a,,b/runvm' internal-pipe 9",
            "manufacturer=Hetzner,product=vServer,serial=42",
            "mac=96:00:00:08:19:da",
            "hostfwd=tcp:127.0.0.1:2222-:22",
        ] {
            assert!(line.contains(want), "{want}: {line}");
        }
    }

    #[test]
    fn long_strings_travel_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(smbios::INLINE_MAX + 1);
        let options = Options::default();
        let line = line(&options, |plan| {
            plan.dir = dir.path().to_owned();
            plan.strings = vec!["a=b,c".into(), long.clone()];
            plan.write_strings().unwrap();
        });
        assert!(line.contains("-smbios type=11,value=a=b,,c -smbios type=11,path="), "{line}");
        assert_eq!(fs_err::read_to_string(string_file(dir.path(), 1)).unwrap(), long);
        assert!(!string_file(dir.path(), 0).exists());
    }

    #[test]
    fn exec_has_two_ports_and_disks_their_formats() {
        let options = Options {
            exec: Some("true".into()),
            persist: Some("p".into()),
            network: false,
            qemu_args: vec!["-foo".into()],
            no_reboot: true,
            ..Options::default()
        };
        let line = line(&options, |plan| {
            plan.extra = vec![("/e/one".into(), Format::Raw), ("/e/two".into(), Format::Qcow2)];
            plan.cidata = Some("/t/cidata".into());
        });
        for want in [
            "name=org.twinhull.exec.output",
            "name=org.twinhull.exec.status",
            "id=disk2,format=qcow2,snapshot=on,file=/e/two",
            "id=cidata,format=raw,readonly=on,file=/t/cidata",
            "cache=writeback",
            "-nic none",
            "-no-reboot",
        ] {
            assert!(line.contains(want), "{want}: {line}");
        }
        assert!(line.ends_with(" -foo"), "{line}");
    }
}
