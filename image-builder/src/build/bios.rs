//! What a disk has besides, to start on machines with a BIOS: GRUB's code in front of everything, and on the ESP the bridge,
//! which does what systemd-boot does with UEFI.

use anyhow::{Context as _, Result};
use twinhull_bios::{Core, Modules, SECTOR, Stock};
use twinhull_bridge::{FOLDER, INITRD, MODULES, Side, State, script};
use twinhull_compose::Error;
use twinhull_compose::hermetic::Hermetic;
use twinhull_disk::{ALIGN, esp_uuid};
use twinhull_spec::Spec;
use twinhull_tree::{Content, Node, Tree};
use uuid::Uuid;

use super::initrd;
use crate::kept::Kept;

/// Where the package grub-pc-bin has GRUB's images.
const GRUB: &str = "/usr/lib/grub/i386-pc";

/// Code for a BIOS, and a bridge.
#[derive(Debug)]
pub(super) struct Bios {
    core: Core,
    kernel: Vec<u8>,
    initrd: Vec<u8>,
}

impl Bios {
    /// Makes both for the hermetic tree and its kernel, if the spec wants them; `words` is the command line of the image,
    /// and `seed` what its identifiers are made from. Whatever the spec wants, GRUB's images then go from the tree.
    ///
    /// Returns [`Error::Lacks`] naming GRUB's package.
    pub(super) fn make(
        spec: &Spec,
        hermetic: &mut Hermetic,
        kernel: &[u8],
        words: &[String],
        seed: Uuid,
        kept: &Kept,
    ) -> Result<Option<Self>> {
        let wanted = spec.boot.has_bios(&spec.image.arch);
        let bios = wanted.then(|| {
            let script = script(&esp_uuid(seed).to_string(), &bridge_words(words));
            let core = core(&hermetic.tree, &script)?;
            let initrd = initrd::compose_bridge(spec, hermetic, kept)?;
            let mut node = Node::file(initrd.clone());
            node.meta.mtime.secs = hermetic.epoch;
            hermetic.tree.insert(format!("/usr/{INITRD}"), node)?;
            anyhow::Ok(Bios { core, kernel: kernel.to_vec(), initrd })
        });
        // Only bridges have the program, and nobody installs a boot loader on an immutable image.
        hermetic.tree.remove("/usr/lib/twinhull/twinhull-bridge");
        hermetic.tree.remove("/usr/lib/grub");
        bios.transpose()
    }

    /// Bytes of the partition for GRUB's code.
    pub(super) fn partition(&self) -> u64 {
        (self.core.size() as u64).next_multiple_of(ALIGN)
    }

    /// GRUB's code for the partition at byte `offset`, and the code for the first bytes of the disk.
    pub(super) fn install(&self, offset: u64) -> (Vec<u8>, [u8; twinhull_disk::table::BOOT_CODE]) {
        self.core.install(offset / SECTOR as u64)
    }

    /// Bytes of GRUB's code and of the bridge's kernel and initrd.
    pub(super) fn sizes(&self) -> [u64; 3] {
        [self.core.size() as u64, self.kernel.len() as u64, self.initrd.len() as u64]
    }

    /// Files on the ESP.
    pub(super) fn files(&self) -> Vec<(String, Content)> {
        let side = Side::A.name();
        vec![
            (format!("{FOLDER}/{}", State::FILE), State::new(Side::A).to_bytes().into()),
            (format!("{FOLDER}/{side}/linux"), self.kernel.clone().into()),
            (format!("{FOLDER}/{side}/initrd"), self.initrd.clone().into()),
        ]
    }

    /// Lengths in bytes of the files that there may be on the ESP: two bridges, a quarter larger than today's.
    pub(super) fn lengths(&self) -> Vec<(String, u64)> {
        let larger = |content: &[u8]| content.len() as u64 * 5 / 4;
        let bridge = |side: Side| {
            let name = side.name();
            [
                (format!("{FOLDER}/{name}/linux"), larger(&self.kernel)),
                (format!("{FOLDER}/{name}/initrd"), larger(&self.initrd)),
            ]
        };
        let state = (format!("{FOLDER}/{}", State::FILE), State::new(Side::A).to_bytes().len() as u64);
        [Side::A, Side::B].into_iter().flat_map(bridge).chain([state]).collect()
    }
}

/// GRUB's core with `script`.
fn core(tree: &Tree, script: &str) -> Result<Core> {
    let read = |name: &str| -> Result<Vec<u8>> {
        let path = format!("{GRUB}/{name}");
        if !tree.exists(&path) {
            return Err(Error::Lacks {
                what: "GRUB's image for machines with a BIOS",
                path,
                advice: "add the package grub-pc-bin to the tree, or set boot.firmware to [uefi]".into(),
            }
            .into());
        }
        Ok(tree.read(&path)?)
    };
    let [boot, diskboot, kernel] = [read("boot.img")?, read("diskboot.img")?, read("kernel.img")?];
    let decompressor = read("lzma_decompress.img")?;
    let list = String::from_utf8(read("moddep.lst")?).context("GRUB's moddep.lst is no text")?;
    let names = Modules::parse(&list).order(MODULES)?;
    let modules = names.iter().map(|name| read(&format!("{name}.mod"))).collect::<Result<Vec<_>>>()?;
    let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
    let stock = Stock { boot: &boot, diskboot: &diskboot, kernel: &kernel, decompressor: &decompressor };
    Ok(Core::new(&stock, &modules, script)?)
}

/// The words of the image's command line that the bridge needs as well: where people look, and when it restarts.
fn bridge_words(words: &[String]) -> String {
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "=,.:_/-".contains(c));
    let same =
        |word: &&String| ["console=", "panic="].iter().any(|name| word.starts_with(name)) && plain(word);
    let kept = words.iter().filter(same).map(String::as_str);
    kept.chain(["quiet", "softlockup_panic=1", "oops=panic"]).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_talks_where_the_image_does() {
        let words =
            ["root=tmpfs", "console=ttyS1,9600n8", "console=$x", "panic=5", "lsm=a"].map(str::to_owned);
        assert_eq!(bridge_words(&words), "console=ttyS1,9600n8 panic=5 quiet softlockup_panic=1 oops=panic");
    }

    #[test]
    fn without_grubs_images_the_package_is_named() {
        let error = core(&Tree::new(), "").unwrap_err().to_string();
        assert!(error.contains("grub-pc-bin") && error.contains("[uefi]"), "{error}");
    }
}
