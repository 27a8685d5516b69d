//! What goes on the ESP: systemd-boot from the tree, its configuration, and the UKI.

use anyhow::Result;
use twinhull_compose::Error;
use twinhull_disk::types::Arch;
use twinhull_tree::{Content, Tree};
use twinhull_uki as uki;

use super::signing::Signing;

/// The boot loader, no menu, and nothing that would override its sorting: a `default` would match entries
/// whose tries are used up.
const LOADER_CONF: &str = "timeout 0\neditor no\nauto-firmware no\n";

/// Where systemd-boot looks for keys that it enrols by itself.
const KEYS: &str = "loader/keys/auto";

/// systemd-boot and the stub for UKIs, from the tree.
#[derive(Debug)]
pub(super) struct Loader {
    boot: Vec<u8>,
    /// Its length in bytes once it is signed, if it will be.
    boot_len: u64,
    conf: String,
    /// Files that machines in setup mode take their keys from.
    keys: Vec<(String, Content)>,
    fallback: String,
    second: String,
    /// The EFI stub that UKIs begin with.
    pub(super) stub: Vec<u8>,
}

impl Loader {
    /// Finds boot loader and stub for the tree's `kernel`.
    ///
    /// Returns [`Error::Lacks`] naming the package, and an error of `uki` when one is for another machine.
    pub(super) fn find(tree: &Tree, arch: Arch, kernel: &[u8]) -> Result<Self> {
        let dir = "/usr/lib/systemd/boot/efi";
        let read = |what: &'static str, path: String| -> Result<Vec<u8>> {
            if !tree.exists(&path) {
                return Err(Error::Lacks {
                    what,
                    path,
                    advice: "add the package systemd-boot-efi to the tree".into(),
                }
                .into());
            }
            Ok(tree.read(&path)?)
        };
        let suffix = arch.efi();
        let boot = read("boot loader", format!("{dir}/systemd-boot{suffix}.efi"))?;
        let loader = Loader {
            boot_len: boot.len() as u64,
            boot,
            conf: LOADER_CONF.into(),
            keys: Vec::new(),
            fallback: format!("EFI/BOOT/BOOT{}.EFI", suffix.to_uppercase()),
            second: format!("EFI/systemd/systemd-boot{suffix}.efi"),
            stub: read("EFI stub", format!("{dir}/linux{suffix}.efi.stub"))?,
        };
        for (role, data) in [("boot loader", &loader.boot), ("stub", &loader.stub)] {
            let found = uki::machine(role, data)?;
            if found.name() != arch.name() {
                return Err(uki::Error::WrongMachine {
                    role,
                    found: found.name(),
                    other: "spec's image.arch",
                    wanted: arch.name(),
                }
                .into());
            }
        }
        let (found, wanted) = (uki::kernel_machine(kernel)?, uki::machine("stub", &loader.stub)?);
        if found != wanted {
            return Err(uki::Error::WrongMachine {
                role: "kernel",
                found: found.name(),
                other: "stub",
                wanted: wanted.name(),
            }
            .into());
        }
        Ok(loader)
    }

    /// Signs the boot loader, or makes room for its signature, and adds what machines are to enrol.
    pub(super) fn secure(&mut self, signing: &Signing) -> Result<()> {
        self.boot_len = signing.signed_len("systemd-boot", &self.boot)?;
        self.boot = signing.sign("systemd-boot", std::mem::take(&mut self.boot))?;
        if let Some(enroll) = &signing.enroll {
            self.conf += &format!("secure-boot-enroll {}\n", enroll.mode.name());
            self.keys = enroll.files.iter().map(|(name, c)| (format!("{KEYS}/{name}"), c.clone())).collect();
        }
        Ok(())
    }

    /// Files of the boot loader on the ESP.
    pub(super) fn files(&self) -> Vec<(String, Content)> {
        let mut files = vec![
            (self.fallback.clone(), self.boot.clone().into()),
            (self.second.clone(), self.boot.clone().into()),
            ("loader/entries.srel".into(), "type1\n".into()),
            ("loader/loader.conf".into(), self.conf.clone().into()),
        ];
        files.extend(self.keys.iter().cloned());
        files
    }

    /// Their lengths in bytes, with every signature.
    pub(super) fn lengths(&self) -> Vec<(String, u64)> {
        let length = |path: &str, content: &Content| {
            if [&self.fallback, &self.second].iter().any(|p| *p == path) {
                self.boot_len
            } else {
                content.len()
            }
        };
        self.files().into_iter().map(|(path, c)| (path.clone(), length(&path, &c))).collect()
    }
}

/// The parts of a UKI.
#[derive(Debug)]
pub(super) struct Uki<'a> {
    pub(super) stub: &'a [u8],
    pub(super) kernel: &'a [u8],
    pub(super) initrd: &'a [u8],
    pub(super) uname: &'a str,
    pub(super) os_release: &'a str,
    /// Command line without the root hash.
    pub(super) cmdline: Vec<String>,
}

impl Uki<'_> {
    /// The command line with `root_hash` in hexadecimal.
    pub(super) fn cmdline(&self, root_hash: &str) -> String {
        format!("usrhash={root_hash} {}", self.cmdline.join(" "))
    }

    /// About how large it becomes, in bytes.
    pub(super) fn estimate(&self) -> u64 {
        (self.stub.len() + self.kernel.len() + self.initrd.len() + self.os_release.len() + (64 << 10)) as u64
    }

    /// Puts it together.
    pub(super) fn build(&self, root_hash: &str) -> uki::Result<Vec<u8>> {
        let cmdline = self.cmdline(root_hash);
        uki::build(
            self.stub,
            &[
                (".osrel", self.os_release.as_bytes()),
                (".cmdline", cmdline.as_bytes()),
                (".uname", self.uname.as_bytes()),
                (".initrd", self.initrd),
                (".linux", self.kernel),
            ],
        )
    }
}
