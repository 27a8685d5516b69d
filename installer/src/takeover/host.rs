//! What the machine must be like, and what is read from it. Nothing is changed here.

use std::path::{Path, PathBuf};

use twinhull_sysutil::command::Cmd;

use super::network::{self, Network};
use super::{Error, job};

/// Words of the kernel's command line that say how this hardware wants to be treated, or where people look.
const WORDS: &[&str] = &[
    "acpi",
    "amd_iommu",
    "console",
    "earlycon",
    "earlyprintk",
    "intel_iommu",
    "iommu",
    "irqpoll",
    "noapic",
    "nolapic",
    "nomodeset",
    "noxsave",
    "pci",
    "pcie_aspm",
];

/// Words of our own: people read how far it is and not what the kernel finds, a kernel that fails restarts the machine, and its root has no limit of half the memory.
const OWN: &str = "quiet panic=60 rootfstype=ramfs";

/// Refuses machines that can't be taken over. `root` is `/`.
///
/// Returns the first of [`Error`] that applies.
pub(super) fn check(root: &Path) -> Result<(), Error> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(Error::Processor(std::env::consts::ARCH));
    }
    if let Some(kind) = container(root) {
        return Err(Error::Container(kind));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let one = |path: &str| fs_err::read_to_string(root.join(path)).is_ok_and(|text| text.trim() == "1");
    if one("proc/sys/kernel/kexec_load_disabled") {
        return Err(Error::SwitchedOff);
    }
    if one("sys/kernel/kexec_loaded") {
        return Err(Error::Loaded);
    }
    Ok(())
}

/// What kind of container this is, if it is one.
fn container(root: &Path) -> Option<String> {
    let named = fs_err::read_to_string(root.join("run/systemd/container")).ok();
    let named = named.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let marks = [(".dockerenv", "docker"), ("run/.containerenv", "podman")];
    let marked = marks.iter().find(|(path, _)| root.join(path).exists());
    named.or_else(|| marked.map(|(_, kind)| (*kind).to_owned()))
}

/// The image of the running kernel, which is `release`.
///
/// Returns [`Error::NoKernel`].
pub(super) fn kernel(root: &Path, release: &str) -> Result<PathBuf, Error> {
    let tried = [
        root.join(format!("boot/vmlinuz-{release}")),
        root.join(format!("usr/lib/modules/{release}/vmlinuz")),
    ];
    tried.iter().find(|path| path.exists()).cloned().ok_or(Error::NoKernel { tried })
}

/// Has the running kernel load `kernel` and forget it again, so that one that doesn't do that says so before the image is fetched.
///
/// Returns [`Error::Kexec`], with why.
pub(super) fn try_kexec(kernel: &Path) -> Result<(), Error> {
    let failed = |e: std::io::Error| Error::Initrd(e.to_string());
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let initrd = std::fs::File::from(rustix::fs::memfd_create("none", flags).map_err(|e| failed(e.into()))?);
    initrd.set_len(512).map_err(failed)?;
    twinhull_kexec::load(fs_err::File::open(kernel).map_err(failed)?.file(), &initrd, OWN)?;
    Ok(twinhull_kexec::unload()?)
}

/// The command line of the installer's kernel, by that of the running one.
pub(super) fn command_line(running: &str) -> String {
    let kept = running
        .split_ascii_whitespace()
        .filter(|word| WORDS.contains(&word.split('=').next().unwrap_or_default()));
    kept.chain([OWN]).collect::<Vec<_>>().join(" ")
}

/// This program, if it can be an initrd's only one.
///
/// Returns [`Error::Libraries`] and [`Error::Initrd`].
pub(super) fn program() -> Result<Vec<u8>, Error> {
    let bytes = fs_err::read("/proc/self/exe").map_err(|e| Error::Initrd(e.to_string()))?;
    if wants_libraries(&bytes) { Err(Error::Libraries) } else { Ok(bytes) }
}

/// Whether an ELF program of 64 bits asks for a loader.
fn wants_libraries(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| -> Option<usize> {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(elf.get(at..at + length)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let Some((at, size, count)) =
        number(32, 8).zip(number(54, 2)).zip(number(56, 2)).map(|((a, b), c)| (a, b, c))
    else {
        return true;
    };
    (0..count).any(|n| number(at.saturating_add(n * size), 4).is_none_or(|kind| kind == INTERPRETER as usize))
}

/// The disk that the running system is on.
///
/// Returns [`Error::WhichDisk`].
pub(super) fn disk(root: &Path) -> Result<PathBuf, Error> {
    let mounts = fs_err::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let number_of = |path: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let number = fs_err::metadata(path).ok()?.rdev();
        Some((rustix::fs::major(number), rustix::fs::minor(number)))
    };
    job::below(root, &mounts, &number_of).map(|name| root.join("dev").join(name))
}

/// How the machine is reached.
///
/// Returns [`Error::Ip`].
pub(super) fn network(root: &Path) -> Result<Network, Error> {
    let ip = |args: &[&str]| -> Result<String, Error> {
        let cmd = Cmd::new("ip").args(args);
        let command = cmd.argv();
        let output = cmd.output_of_stdout().map_err(|e| Error::Ip { command, reason: e.to_string() })?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    };
    let addresses = ip(&["-json", "-details", "addr"])?;
    let routes = [ip(&["-4", "-json", "route"])?, ip(&["-6", "-json", "route"])?];
    let text = |path: &str| fs_err::read_to_string(root.join(path)).unwrap_or_default();
    let resolver = network::name_servers(&text("etc/resolv.conf"), &text("run/systemd/resolve/resolv.conf"));
    network::parse(&addresses, &[&routes[0], &routes[1]], &resolver)
        .map_err(|e| Error::Ip { command: "ip -json".into(), reason: e.to_string() })
}

/// The machine's name, if it has one.
pub(super) fn hostname() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let known = !matches!(name.as_str(), "" | "localhost" | "(none)" | "localhost.localdomain");
    known.then_some(name)
}

/// Shuts the system down into the loaded kernel.
///
/// Returns [`Error::Restart`].
pub(super) fn restart(root: &Path) -> Result<(), Error> {
    if root.join("run/systemd/system").is_dir() {
        let done = Cmd::new("systemctl").arg("kexec").inherit_env().output();
        return done.map(drop).map_err(|e| Error::Restart(e.to_string()));
    }
    rustix::fs::sync();
    rustix::system::reboot(rustix::system::RebootCommand::Kexec).map_err(|e| Error::Restart(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_from_containers() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        assert_eq!(container(root.path()), None);
        put(".dockerenv", "");
        assert_eq!(container(root.path()).as_deref(), Some("docker"));
        put("run/systemd/container", "lxc\n");
        assert_eq!(container(root.path()).as_deref(), Some("lxc"));
        let error = kernel(root.path(), "6.1").unwrap_err().to_string();
        assert!(error.contains("boot/vmlinuz-6.1") && error.contains("Restart"), "{error}");
        put("usr/lib/modules/6.1/vmlinuz", "");
        assert!(kernel(root.path(), "6.1").unwrap().ends_with("usr/lib/modules/6.1/vmlinuz"));
    }

    #[test]
    fn words_that_are_about_the_hardware_stay() {
        let running = "BOOT_IMAGE=/vmlinuz root=UUID=1 ro console=tty0 console=ttyS0,115200 quiet nomodeset systemd.x=1\n";
        assert_eq!(
            command_line(running),
            "console=tty0 console=ttyS0,115200 nomodeset quiet panic=60 rootfstype=ramfs"
        );
        assert_eq!(command_line(""), OWN);
    }

    #[test]
    fn programs_that_want_libraries_are_known() {
        let elf = |kind: u32| {
            let mut bytes = vec![0; 64];
            bytes[32] = 64;
            bytes[54] = 56;
            bytes[56] = 2;
            for kind in [1, kind] {
                let mut header = vec![0; 56];
                header[..4].copy_from_slice(&kind.to_le_bytes());
                bytes.extend(header);
            }
            bytes
        };
        assert!(wants_libraries(&elf(3)) && !wants_libraries(&elf(2)));
        assert!(wants_libraries(b"#!/bin/sh") && wants_libraries(&elf(2)[..100]));
    }
}
