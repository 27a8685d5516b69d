//! CRC-32C as ext4 uses it: seeded with the UUID, then with what the checked thing belongs to, never inverted.

/// The checksum of `bytes` behind what `seed` is the checksum of.
pub(super) fn crc(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// Checksums of one file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksums {
    seed: u32,
}

impl Checksums {
    pub(super) fn new(uuid: &[u8; 16]) -> Self {
        Checksums { seed: crc(!0, uuid) }
    }

    /// Of a bitmap, or of anything that starts with its own number.
    pub(super) fn of(&self, bytes: &[u8]) -> u32 {
        crc(self.seed, bytes)
    }

    /// What the checksums of an inode, its directory blocks and its extent blocks begin with. All generations
    /// are 0.
    pub(super) fn of_inode(&self, number: u32) -> u32 {
        crc(crc(self.seed, &number.to_le_bytes()), &[0; 4])
    }
}
