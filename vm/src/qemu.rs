//! QEMU: finding it, and the command line of a guest.
//!
//! Everything specific to the guest's architecture is in [`Machine`]; a second one is a second constant,
//! and places in `firmware.rs`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use twinhull_sysutil::command::which;

use crate::accel::Chosen;
use crate::cloud::platform::{self, Platform};
use crate::disk::Format;
use crate::exec;
use crate::firmware::Firmware;
use crate::options::{Console, Options};
use crate::{qmp, smbios, web};

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
        if firmware.is_secure() { self.secure } else { self.machine }
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
    /// The disk that is the cloud.
    pub(crate) cidata: Option<PathBuf>,
    /// The words QEMU starts for a connection to the metadata service.
    pub(crate) pipe: Option<String>,
    /// The words QEMU starts for a connection to the web server.
    pub(crate) web: Option<String>,
    /// The socket of the TPM.
    pub(crate) tpm: Option<PathBuf>,
    /// OEM strings.
    pub(crate) strings: Vec<String>,
    /// Where QEMU logs the serial console.
    pub(crate) serial: PathBuf,
    /// Our own directory.
    pub(crate) dir: PathBuf,
    /// Directory of the sockets of `--exec`.
    pub(crate) sockets: PathBuf,
    /// Directory of the control socket.
    pub(crate) control: PathBuf,
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
        if let Some(socket) = &self.tpm {
            words.with_path("-chardev", "socket,id=tpm,path=", socket, "");
            words.add(["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]);
        }
        if options.exec.is_some() {
            exec_ports(&mut words, &self.sockets);
        }
        words.add(&options.qemu_args);
        words.0
    }

    fn firmware(&self, words: &mut Words) {
        let Firmware::Uefi(uefi) = &self.firmware else { return };
        let format = uefi.format;
        let code = format!("if=pflash,unit=0,format={format},readonly=on,file=");
        words.with_path("-drive", &code, &uefi.code, "");
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
        let mut netdev = format!("user,id={}", qmp::NETDEV);
        if let (Some(pipe), Some(platform)) = (&self.pipe, Platform::chosen(options)) {
            netdev.push_str(&platform.netdev());
            platform.services.iter().for_each(|address| forward(&mut netdev, address, pipe));
        }
        if let Some(pipe) = &self.web {
            forward(&mut netdev, &web::address(options), pipe);
        }
        for (host, guest) in options.ssh_port.map(|port| (port, 22)).iter().chain(&options.forward) {
            netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
        }
        words.add(["-netdev", &netdev]);
        words.add([
            "-device",
            &format!("virtio-net-pci,netdev={},mac={},romfile=", qmp::NETDEV, options.mac()),
        ]);
        if options.network_cut.is_some() {
            words.with_path(
                "-chardev",
                "socket,id=control,server=on,wait=off,path=",
                &self.control.join(qmp::SOCKET),
                "",
            );
            words.add(["-mon", "chardev=control,mode=control"]);
        }
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
        for text in platform::dmi(self.options) {
            words.add(["-smbios", &text]);
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

/// Leads port 80 of `address` to the command `pipe`, which is started anew for each connection.
fn forward(netdev: &mut String, address: &str, pipe: &str) {
    netdev.push_str(&format!(",guestfwd=tcp:{address}:80-cmd:{}", smbios::comma_escaped(pipe)));
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
    words.with_path("-chardev", "file,id=console,path=", serial, "");
    match firmware {
        Firmware::Uefi(uefi) => {
            let format = uefi.format;
            let code = format!("if=pflash,unit=0,format={format},readonly=on,file=");
            words.with_path("-drive", &code, &uefi.code, "");
            let vars = format!("if=pflash,unit=1,format={format},snapshot=on,file=");
            words.with_path("-drive", &vars, &uefi.vars, "");
            words.add(["-serial", "chardev:console"]);
        }
        // SeaBIOS talks to a port for debugging.
        Firmware::Bios => words.add(["-device", "isa-debugcon,iobase=0x402,chardev=console"]),
    }
    words.0
}

#[cfg(test)]
mod tests;
