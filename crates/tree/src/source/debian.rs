//! Gets a tree of Debian packages with mmdebstrap, as a tar archive.
//!
//! This is the one step of a build that may use the network and the distribution's own programs. It
//! works as root or in a user namespace, and its result is cached by the caller.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use twinhull_sysutil::command::{Cmd, which};

use crate::{Error, Result};

/// Packages every image needs to boot the way Twinhull boots. docs/reference/base-packages.md says why
/// each is here.
pub const BASE_PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "systemd-boot",
    "systemd-boot-efi",
    "systemd-cryptsetup",
    "systemd-repart",
    "systemd-resolved",
    "systemd-timesyncd",
    "udev",
    "dmsetup",
    "kmod",
    "dbus-broker",
    "libpam-systemd",
    "login",
    "passwd",
    "mount",
    "util-linux",
    "e2fsprogs",
    "dosfstools",
    "iproute2",
    "ca-certificates",
];

/// Packages for a machine whose TPM keeps a key: what systemd opens by itself. Later suites have them under longer names and
/// provide these.
pub const TPM_PACKAGES: &[&str] = &["libtss2-esys-3.0.2-0", "libtss2-rc0", "libtss2-tcti-device0"];

/// GRUB's images, for disks that start with a BIOS, too.
pub const BIOS_PACKAGE: &str = "grub-pc-bin";

/// What determines a Debian tree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Request {
    /// Suite, for example `trixie`.
    pub suite: String,
    /// Debian's architecture name, for example `amd64`.
    pub arch: String,
    /// Packages besides [`BASE_PACKAGES`], with the kernel.
    pub packages: Vec<String>,
    /// Packages of which only the files are needed, without what they depend on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alone: Vec<String>,
    /// Mirror, or mmdebstrap's own default.
    pub mirror: Option<String>,
}

impl Request {
    /// Everything that determines the tree, as text to be hashed into a cache key. A new package
    /// version on the mirror does not change it: `--refresh` fetches the tree again.
    pub fn key_text(&self) -> String {
        let mut packages: Vec<&str> = BASE_PACKAGES.to_vec();
        packages.extend(self.packages.iter().map(String::as_str));
        packages.sort_unstable();
        packages.dedup();
        let alone =
            if self.alone.is_empty() { String::new() } else { format!("alone={}\n", self.alone.join(",")) };
        format!(
            "debian/1\nsuite={}\narch={}\nmirror={}\npackages={}\n{alone}",
            self.suite,
            self.arch,
            self.mirror.as_deref().unwrap_or("default"),
            packages.join(",")
        )
    }

    /// Runs mmdebstrap and writes the tree as a tar archive to `out`. `progress` gets one short line
    /// for each step.
    ///
    /// Returns [`Error::Source`] with what mmdebstrap said, and the package's name when a package
    /// doesn't exist.
    pub fn fetch(&self, out: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
        if which("mmdebstrap").is_none() {
            return Err(Error::Source(
                "mmdebstrap is not installed, and a `debian:` tree needs it: apt install mmdebstrap".into(),
            ));
        }
        let include: Vec<&str> =
            BASE_PACKAGES.iter().copied().chain(self.packages.iter().map(String::as_str)).collect();
        let mut cmd = Cmd::new("mmdebstrap")
            // The kernel package would make an initrd of its own; ours is composed by the builder.
            .env("INITRD", "No")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["--variant=essential", "--format=tar", "--components=main"])
            .arg(format!("--architectures={}", self.arch))
            .arg("--aptopt=APT::Install-Recommends \"false\"")
            .arg("--aptopt=Acquire::Retries \"3\"")
            // NAME=VERSION may be older than what essential packages have brought.
            .arg("--aptopt=APT::Get::allow-downgrades \"true\"")
            .arg("--dpkgopt=force-confold")
            .arg("--essential-hook=mkdir -p \"$1/etc/initramfs-tools\" && echo update_initramfs=no >\"$1/etc/initramfs-tools/update-initramfs.conf\"")
            .arg(format!("--include={}", include.join(",")))
            .args(self.alone.iter().map(|package| format!("--customize-hook={}", alone(package))))
            .arg(&self.suite)
            .arg(out);
        if let Some(mirror) = &self.mirror {
            cmd = cmd.arg(mirror);
        }
        let argv = cmd.argv();
        let mut child = cmd
            .into_inner()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Error::Source(format!("mmdebstrap could not be started: {e}")))?;
        let mut log = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
                if let Some(step) = step(&line) {
                    progress(step);
                }
                log.push(line);
            }
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Source(explain(&log).unwrap_or_else(|| {
            let tail = &log[log.len().saturating_sub(25)..];
            format!("`{argv}` failed with {status}; its last lines:\n{}", tail.join("\n"))
        })))
    }
}

/// Shell commands that unpack a package into the tree `$1`, and nothing that it depends on. dpkg knows of it, so that bills
/// of materials have it.
fn alone(package: &str) -> String {
    format!(
        "cd \"$1/tmp\" && APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get -q download {package} && \
         chroot \"$1\" sh -c 'dpkg --force-depends --install /tmp/{package}_*.deb && rm /tmp/{package}_*.deb'"
    )
}

/// The part of a mmdebstrap or dpkg line that is worth a progress message.
fn step(line: &str) -> Option<&str> {
    if let Some(step) = line.strip_prefix("I: ") {
        return Some(step.trim_end_matches("...")).filter(|s| s.len() < 60);
    }
    ["Get:", "Unpacking ", "Setting up "].iter().any(|p| line.starts_with(p)).then(|| {
        let end = line.char_indices().nth(60).map_or(line.len(), |(i, _)| i);
        &line[..end]
    })
}

/// The one sentence behind the commonest failures.
fn explain(log: &[String]) -> Option<String> {
    let missing: Vec<&str> = log
        .iter()
        .filter_map(|l| l.split_once("Unable to locate package ").or(l.split_once("E: Package '")))
        .map(|(_, rest)| rest.split(['\'', ' ']).next().unwrap_or(rest))
        .collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Some(format!(
            "Debian has no package {names} in this suite; check the spelling under tree.debian.packages"
        ));
    }
    let has = |text: &str| log.iter().any(|l| l.contains(text));
    if has("No space left on device") {
        return Some(
            "no space left while the tree was unpacked; free some in TMPDIR and in the cache folder".into(),
        );
    }
    if has("unable to pick a mode") || has("unshare: ") || has("newuidmap") && has("not ") {
        return Some(
            "mmdebstrap needs root or user namespaces; install the package uidmap and give the user a range in \
             /etc/subuid and /etc/subgid, or run the tree step as root"
                .into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_depends_on_what_determines_the_tree_and_not_on_order() {
        let request = |packages: &[&str], mirror: Option<&str>| Request {
            suite: "trixie".into(),
            arch: "amd64".into(),
            packages: packages.iter().map(|p| (*p).to_owned()).collect(),
            alone: Vec::new(),
            mirror: mirror.map(Into::into),
        };
        assert_eq!(request(&["b", "a"], None).key_text(), request(&["a", "b", "udev"], None).key_text());
        assert_ne!(request(&["a"], None).key_text(), request(&["a"], Some("http://m")).key_text());
        let with_grub = Request { alone: vec![BIOS_PACKAGE.into()], ..request(&["a"], None) };
        assert_ne!(with_grub.key_text(), request(&["a"], None).key_text());
    }

    #[test]
    fn a_missing_package_is_named() {
        let log = vec!["E: Unable to locate package nginxx".to_owned()];
        assert!(explain(&log).unwrap().contains("nginxx"));
        assert!(explain(&["E: something".to_owned()]).is_none());
    }
}
