//! What the machine makes on its disks at boot, beyond what every image has in units/repart.d.

use anyhow::Result;
use twinhull_spec::{Encryption, ForeignData, Spec};
use twinhull_tree::{Node, Tree};

use super::sizes;

/// Adds definitions and lists to `overlay`, which mirrors /usr.
pub(super) fn add(spec: &Spec, overlay: &mut Tree) -> Result<()> {
    let encrypted = spec.disk.encryption == Encryption::MachineKey;
    if let Some(size) = sizes::swap(spec)? {
        overlay.insert("lib/repart.d/55-swap.conf", Node::file(swap(size, encrypted)))?;
    }
    if encrypted {
        overlay.insert("lib/twinhull/encryption", Node::file(PCRS))?;
    }
    if !spec.data_disks.is_empty() {
        overlay.insert("lib/twinhull/data-disks", Node::file(data_disks(spec)))?;
    }
    Ok(())
}

/// What the machine must look like to its TPM for the key of /var. PCR 7 is Secure Boot's state and keys: it is the same
/// for every version signed with one key, and so outlives updates.
const PCRS: &str = "tpm2-pcrs=7\n";

/// systemd-repart drops it first where there isn't room for it and for the least /var. What is encrypted gets a new key, and
/// so its format, at every boot.
fn swap(size: u64, encrypted: bool) -> String {
    let format = if encrypted { "" } else { "Format=swap\n" };
    format!(
        "# Made on first boot, if there is room for it and /var.\n\
         [Partition]\n\
         Type=swap\n\
         Label=swap\n\
         {format}\
         SizeMinBytes={size}\n\
         SizeMaxBytes={size}\n\
         Priority=1000\n\
         Weight=0\n\
         PaddingWeight=0\n"
    )
}

/// A line a disk; the spec's checks leave no spaces in any of its words.
fn data_disks(spec: &Spec) -> String {
    let line = |disk: &twinhull_spec::DataDisk| {
        let foreign = match disk.foreign_data {
            ForeignData::Keep => "keep",
            ForeignData::Wipe => "wipe",
        };
        format!("{} {} {} {foreign}\n", disk.name, disk.disk, disk.mount)
    };
    spec.data_disks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The overlay of a spec with `more` behind what it needs.
    fn overlay(more: &str) -> Tree {
        let text = format!("image: {{id: x, version: 1}}\ntree: {{dir: .}}\n{more}\n");
        let mut tree = Tree::new();
        add(&twinhull_spec::from_str(&text).unwrap(), &mut tree).unwrap();
        tree
    }

    #[test]
    fn swap_is_defined_when_it_is_wanted() {
        let path = "lib/repart.d/55-swap.conf";
        assert!(!overlay("").exists(path));
        let text = overlay("disk: {swap: 100M}").read_text(path).unwrap();
        assert!(text.contains("Format=swap\nSizeMinBytes=104857600\nSizeMaxBytes=104857600\n"), "{text}");
    }

    #[test]
    fn an_encrypted_machine_makes_a_new_swap_at_every_boot() {
        let path = "lib/twinhull/encryption";
        assert!(!overlay("disk: {swap: 100M, encryption: none}").exists(path));
        let tree = overlay("disk: {swap: 100M, encryption: machine-key}");
        assert_eq!(tree.read_text(path).unwrap(), "tpm2-pcrs=7\n");
        assert!(!tree.read_text("lib/repart.d/55-swap.conf").unwrap().contains("Format="));
    }

    #[test]
    fn data_disks_have_a_line_each() {
        let path = "lib/twinhull/data-disks";
        assert!(!overlay("data-disks: []").exists(path));
        let spec = "data-disks:\n- {name: a, disk: /dev/disk/by-id/x, mount: /srv/a, foreign-data: wipe}\n\
                    - {name: b, disk: LABEL=old, mount: /mnt/b}";
        let text = overlay(spec).read_text(path).unwrap();
        assert_eq!(text, "a /dev/disk/by-id/x /srv/a wipe\nb LABEL=old /mnt/b keep\n");
    }
}
