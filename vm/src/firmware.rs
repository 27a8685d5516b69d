//! What starts a guest: the BIOS that QEMU brings along, or the UEFI firmware, wherever the distribution puts it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_secureboot::{self as secureboot, Role};

use crate::options::{Options, Starts};

/// What starts a guest's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// The one that QEMU brings along.
    Bios,
    /// One that the distribution has.
    Uefi(Uefi),
}

impl Firmware {
    /// The firmware that `options` ask for.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        match options.firmware {
            Starts::Bios => Ok(Firmware::Bios),
            Starts::Uefi => find(options.secure_boot.is_some()).map(Firmware::Uefi),
        }
    }

    /// Whether it keeps its keys from the guest.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Firmware::Uefi(uefi) if uefi.secure)
    }
}

/// UEFI: the read-only code and the variables it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uefi {
    /// The code, mapped read-only.
    pub(crate) code: PathBuf,
    /// The template of the variable store.
    pub(crate) vars: PathBuf,
    /// QEMU's name of the files' format.
    pub(crate) format: &'static str,
    /// Whether it needs SMM, with which it keeps its keys from the guest.
    pub(crate) secure: bool,
}

/// Largest signature list that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// Code and variables of builds that enforce Secure Boot, all of them raw, the best first.
const SECURE_PLACES: &[(&str, &str)] = &[
    // Debian, Ubuntu
    ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    // Fedora
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    // Arch
    ("/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    // Gentoo
    ("/usr/share/edk2-ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2-ovmf/OVMF_VARS.fd"),
];

/// Code, variables and format of other builds, the best first.
const PLACES: &[(&str, &str, &str)] = &[
    // Debian, Ubuntu
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "raw"),
    // Fedora
    ("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2", "qcow2"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd", "raw"),
    // Arch
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd", "raw"),
    // openSUSE
    ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin", "raw"),
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin", "raw"),
    // Gentoo
    ("/usr/share/edk2-ovmf/OVMF_CODE.fd", "/usr/share/edk2-ovmf/OVMF_VARS.fd", "raw"),
    // Alpine, older Debian
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd", "raw"),
];

/// The firmware of this host; with `secure` one that enforces Secure Boot.
pub(crate) fn find(secure: bool) -> Result<Uefi> {
    find_below(Path::new("/"), secure)
}

fn find_below(root: &Path, secure: bool) -> Result<Uefi> {
    let places: Vec<(&str, &str, &'static str)> = if secure {
        SECURE_PLACES.iter().map(|(code, vars)| (*code, *vars, "raw")).collect()
    } else {
        PLACES.to_vec()
    };
    for (code, vars, format) in &places {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let (code, vars) = (below(code), below(vars));
        if code.is_file() && vars.is_file() {
            return Ok(Uefi { code, vars, format, secure });
        }
    }
    bail!(
        "the UEFI firmware for the guest was found in none of the usual places, such as {}; install the \
         package `ovmf` (Debian, Ubuntu), `edk2-ovmf` (Fedora, Arch) or `qemu-ovmf-x86_64` (openSUSE)",
        places[0].0
    )
}

/// The signature lists in the folder `dir`.
fn lists(dir: &Path) -> Result<Vec<(Role, Vec<u8>)>> {
    let read = |role: Role| -> Result<(Role, Vec<u8>)> {
        let path = dir.join(format!("{}.esl", role.name()));
        let length = fs_err::metadata(&path)
            .context("--secure-boot names a folder that `image-builder secure-boot enroll-files` wrote")?
            .len();
        ensure!(length <= MAX_LIST, "{} has {length} bytes; no signature list is that large", path.display());
        let list = fs_err::read(&path)?;
        let certificates = secureboot::certificates(&list, &path);
        ensure!(
            !certificates.with_context(|| format!("{} can't be used", path.display()))?.is_empty(),
            "{} has no certificate in it",
            path.display()
        );
        Ok((role, list))
    };
    Role::ALL.into_iter().map(read).collect()
}

impl Uefi {
    /// Puts a fresh variable store at `to`, writable whatever the template's mode is, with the keys in `keys`.
    pub(crate) fn copy_vars(&self, to: &Path, keys: Option<&Path>) -> Result<()> {
        let mut bytes = fs_err::read(&self.vars).context("the firmware's variables could not be read")?;
        if let Some(dir) = keys {
            bytes = secureboot::enroll(&bytes, &lists(dir)?)
                .with_context(|| format!("{} can't take the keys", self.vars.display()))?;
        }
        fs_err::write(to, bytes).context("the firmware's variables could not be copied")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_firmware_names_the_package() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find_below(dir.path(), false).unwrap_err().to_string().contains("`ovmf`"));
        let place = dir.path().join("usr/share/edk2/x64");
        fs_err::create_dir_all(&place).unwrap();
        fs_err::write(place.join("OVMF_CODE.4m.fd"), "code").unwrap();
        assert!(find_below(dir.path(), false).is_err(), "code alone is not enough");
        fs_err::write(place.join("OVMF_VARS.4m.fd"), "vars").unwrap();
        let found = find_below(dir.path(), false).unwrap();
        assert!(find_below(dir.path(), true).is_err(), "this one doesn't enforce anything");
        assert_eq!(found.code, place.join("OVMF_CODE.4m.fd"));
        found.copy_vars(&dir.path().join("v"), None).unwrap();
        assert_eq!(fs_err::read(dir.path().join("v")).unwrap(), b"vars");
    }
}
