//! Finds the UEFI firmware, wherever the distribution puts it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The read-only code and the variables it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firmware {
    /// The code, mapped read-only.
    pub(crate) code: PathBuf,
    /// The template of the variable store.
    pub(crate) vars: PathBuf,
    /// QEMU's name of the files' format.
    pub(crate) format: &'static str,
}

/// Code, variables and format, the best first. None enforces Secure Boot: our machine has no SMM.
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

/// The firmware of this host.
pub(crate) fn find() -> Result<Firmware> {
    find_below(Path::new("/"))
}

fn find_below(root: &Path) -> Result<Firmware> {
    for (code, vars, format) in PLACES {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let (code, vars) = (below(code), below(vars));
        if code.is_file() && vars.is_file() {
            return Ok(Firmware { code, vars, format });
        }
    }
    bail!(
        "the UEFI firmware for the guest was found in none of the usual places, such as {}; install the \
         package `ovmf` (Debian, Ubuntu), `edk2-ovmf` (Fedora, Arch) or `qemu-ovmf-x86_64` (openSUSE)",
        PLACES[0].0
    )
}

impl Firmware {
    /// Puts a fresh variable store at `to`, writable whatever the template's mode is.
    pub(crate) fn copy_vars(&self, to: &Path) -> Result<()> {
        let bytes = fs_err::read(&self.vars).context("the firmware's variables could not be read")?;
        fs_err::write(to, bytes).context("the firmware's variables could not be copied")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_firmware_names_the_package() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find_below(dir.path()).unwrap_err().to_string().contains("`ovmf`"));
        let place = dir.path().join("usr/share/edk2/x64");
        fs_err::create_dir_all(&place).unwrap();
        fs_err::write(place.join("OVMF_CODE.4m.fd"), "code").unwrap();
        assert!(find_below(dir.path()).is_err(), "code alone is not enough");
        fs_err::write(place.join("OVMF_VARS.4m.fd"), "vars").unwrap();
        let found = find_below(dir.path()).unwrap();
        assert_eq!(found.code, place.join("OVMF_CODE.4m.fd"));
        found.copy_vars(&dir.path().join("v")).unwrap();
        assert_eq!(fs_err::read(dir.path().join("v")).unwrap(), b"vars");
    }
}
