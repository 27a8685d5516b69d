//! The plan of a Twinhull disk: where each partition starts and how large it is.
//!
//! Order on disk: boot code for a BIOS, ESP, usr A, hash tree A, usr B, hash tree B, then the room where systemd-repart
//! makes /var on first boot. Everything starts on a whole MiB.

use serde::Serialize;
use uuid::Uuid;

use crate::table::Partition;
use crate::{Error, Result, slot, types};

/// Alignment of every partition in bytes.
pub const ALIGN: u64 = 1 << 20;

/// Sizes in bytes, all multiples of [`ALIGN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Partition with the boot code for machines with a BIOS; 0 when there is none.
    pub bios: u64,
    /// EFI system partition.
    pub esp: u64,
    /// Each of the two usr slots.
    pub usr: u64,
    /// Each of the two hash-tree slots.
    pub verity: u64,
    /// Room left behind the slots for /var, so that the image boots without being enlarged.
    pub var: u64,
}

impl Sizes {
    /// The hash-tree slot for a usr slot of `usr` bytes, rounded up to whole MiB.
    pub fn verity_for(usr: u64) -> u64 {
        // 128 hashes a block of 4096 bytes, level upon level, and the superblock.
        let (mut level, mut blocks) = (usr.div_ceil(4096), 1);
        while level > 1 {
            level = level.div_ceil(128);
            blocks += level;
        }
        (blocks * 4096).max(usr.div_ceil(127)).next_multiple_of(ALIGN)
    }
}

/// A disk with its partitions placed.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Sizes it was made from.
    pub sizes: Sizes,
    /// Length of the disk in bytes.
    pub disk: u64,
}

impl Layout {
    /// Places partitions of the given sizes.
    pub fn new(sizes: Sizes) -> Self {
        // One MiB before the first partition, one behind the last for the backup table.
        let disk = 2 * ALIGN + sizes.bios + sizes.esp + 2 * (sizes.usr + sizes.verity) + sizes.var;
        Layout { sizes, disk }
    }

    /// Byte offset of the boot code for a BIOS, if there is some.
    pub fn bios(&self) -> Option<u64> {
        (self.sizes.bios > 0).then_some(ALIGN)
    }

    /// Byte offset of the ESP.
    pub fn esp(&self) -> u64 {
        ALIGN + self.sizes.bios
    }

    /// Byte offset of usr slot 0 (A) or 1 (B).
    pub fn usr(&self, slot: u64) -> u64 {
        self.esp() + self.sizes.esp + slot * (self.sizes.usr + self.sizes.verity)
    }

    /// Byte offset of hash-tree slot 0 (A) or 1 (B).
    pub fn verity(&self, slot: u64) -> u64 {
        self.usr(slot) + self.sizes.usr
    }

    /// The partitions with slot A filled by the image `id` `version` whose root hash is `root`. The
    /// UUIDs of ESP and free slots are made from `seed`.
    ///
    /// Returns [`Error::LabelTooLong`].
    pub fn partitions(
        &self,
        arch: types::Arch,
        id: &str,
        version: &str,
        root: &[u8; 32],
        seed: Uuid,
    ) -> Result<Vec<Partition>> {
        let (data_uuid, verity_uuid) = slot::uuids(root);
        let made = |role: &str| derive_uuid(seed, role);
        let esp = esp_uuid(seed);
        let partition = |kind, uuid, offset, size, label: &str, flags| Partition {
            number: 0,
            kind,
            uuid,
            offset,
            size,
            label: label.to_owned(),
            flags,
        };
        let (usr, verity) = (types::usr(arch), types::usr_verity(arch));
        let filled = types::READ_ONLY | types::NO_AUTO;
        let sizes = &self.sizes;
        let mut all = vec![
            partition(types::ESP, esp, self.esp(), sizes.esp, "esp", 0),
            partition(usr, data_uuid, self.usr(0), sizes.usr, &slot::label(id, version), filled),
            partition(
                verity,
                verity_uuid,
                self.verity(0),
                sizes.verity,
                &slot::verity_label(id, version),
                filled,
            ),
            partition(usr, made("usr-b"), self.usr(1), sizes.usr, slot::EMPTY, types::NO_AUTO),
            partition(
                verity,
                made("usr-verity-b"),
                self.verity(1),
                sizes.verity,
                slot::EMPTY,
                types::NO_AUTO,
            ),
        ];
        // Behind the others, whose numbers are then the same with and without it.
        if let Some(offset) = self.bios() {
            all.push(partition(types::BIOS_BOOT, made("bios"), offset, sizes.bios, "bios", types::NO_AUTO));
        }
        for (index, partition) in all.iter_mut().enumerate() {
            partition.number = index as u32 + 1;
        }
        check_labels(&all)?;
        Ok(all)
    }
}

/// UUID of the ESP of a disk whose identifiers are made from `seed`.
pub fn esp_uuid(seed: Uuid) -> Uuid {
    derive_uuid(seed, "esp")
}

/// A random-looking version 8 UUID that depends only on `seed` and `role`.
pub fn derive_uuid(seed: Uuid, role: &str) -> Uuid {
    use sha2::{Digest, Sha256};
    let hash = Sha256::new().chain_update(seed.as_bytes()).chain_update(role).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn check_labels(partitions: &[Partition]) -> Result<()> {
    for Partition { label, .. } in partitions {
        let length = label.encode_utf16().count();
        if length > slot::LABEL_MAX {
            return Err(Error::LabelTooLong { label: label.clone(), length, limit: slot::LABEL_MAX });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_aligned_and_do_not_overlap() {
        let usr = 700 << 20;
        let sizes =
            Sizes { bios: 1 << 20, esp: 256 << 20, usr, verity: Sizes::verity_for(usr), var: 512 << 20 };
        let layout = Layout::new(sizes);
        let all = layout.partitions(types::Arch::X86_64, "box", "1", &[7; 32], Uuid::nil()).unwrap();
        let (bios, rest) = all.split_last().unwrap();
        assert_eq!((bios.number, bios.offset, bios.offset + bios.size), (6, ALIGN, layout.esp()));
        for pair in rest.windows(2) {
            assert_eq!(pair[0].offset + pair[0].size, pair[1].offset);
        }
        let without = Layout::new(Sizes { bios: 0, ..sizes });
        assert_eq!((without.bios(), without.esp(), without.disk), (None, ALIGN, layout.disk - (1 << 20)));
        assert!(all.iter().all(|p| p.offset % ALIGN == 0 && p.size % ALIGN == 0));
        assert!(all[4].offset + all[4].size + sizes.var < layout.disk);
        assert!(sizes.verity >= usr / 127);
        let long = "x".repeat(30);
        assert!(layout.partitions(types::Arch::X86_64, &long, "1", &[7; 32], Uuid::nil()).is_err());
    }
}
