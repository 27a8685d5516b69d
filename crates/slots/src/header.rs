//! One copy of a GPT (UEFI specification 2.10, section 5.3): its header, checked, and the entries it is of.

use uuid::Uuid;

use crate::Device;

/// Bytes of a header that have a meaning; the sector's rest is kept as it is.
const MIN_HEADER: u32 = 92;

/// Most bytes of entries that are read: 64 times what every tool writes.
const MAX_ENTRIES: u64 = 1 << 20;

/// The bytes in which two copies differ: checksum, own place and the other one's, place of the entries.
const OWN: [std::ops::Range<usize>; 3] = [16..20, 24..40, 72..80];

/// The sector of a header that was found to be whole.
#[derive(Debug, Clone)]
pub(crate) struct Header(Vec<u8>);

impl Header {
    /// A sector as it is.
    #[cfg(test)]
    pub(crate) fn of(sector: Vec<u8>) -> Self {
        Header(sector)
    }

    /// Reads and checks the header in sector `lba` of a disk with `sectors` sectors of `size` bytes. Says what is
    /// wrong.
    pub(crate) fn read(
        device: &(impl Device + ?Sized),
        size: u64,
        lba: u64,
        sectors: u64,
    ) -> Result<Self, String> {
        let mut bytes = vec![0; size as usize];
        device.read_at(&mut bytes, lba * size).map_err(|e| e.to_string())?;
        let header = Header(bytes);
        let length = header.u32(12);
        if header.0[..8] != *b"EFI PART" {
            return Err(format!("no header in sector {lba}"));
        }
        if length < MIN_HEADER || u64::from(length) > size {
            return Err(format!("a header of {length} bytes in sector {lba}"));
        }
        if header.checksum() != header.u32(16) {
            return Err(format!("the header in sector {lba} has a wrong checksum"));
        }
        if header.lba() != lba {
            return Err(format!("the header in sector {lba} says that it is in sector {}", header.lba()));
        }
        let (count, each) = (u64::from(header.u32(80)), u64::from(header.u32(84)));
        let regular = each >= 128 && each.is_power_of_two() && count > 0;
        if !regular || count.checked_mul(each).is_none_or(|total| total > MAX_ENTRIES) {
            return Err(format!("{count} entries of {each} bytes"));
        }
        let last = header.last_usable();
        if header.first_usable() > last || last >= sectors {
            return Err(format!("partitions may reach to sector {last}, the disk has {sectors}"));
        }
        if header.entries_lba().checked_add(header.entry_sectors()).is_none_or(|end| end > sectors) {
            return Err("the entries are outside of the disk".into());
        }
        Ok(header)
    }

    /// Reads the entries, in whole sectors, and checks them.
    pub(crate) fn read_entries(&self, device: &(impl Device + ?Sized)) -> Result<Vec<u8>, String> {
        let size = self.0.len() as u64;
        let mut entries = vec![0; (self.entry_sectors() * size) as usize];
        device.read_at(&mut entries, self.entries_lba() * size).map_err(|e| e.to_string())?;
        if self.entries_checksum(&entries) != self.u32(88) {
            return Err(format!("the entries of the header in sector {} have a wrong checksum", self.lba()));
        }
        Ok(entries)
    }

    /// The same table's header for another place.
    pub(crate) fn moved(&self, lba: u64, alternate: u64, entries_lba: u64) -> Self {
        let mut moved = self.clone();
        moved.set_places(lba, alternate, entries_lba);
        moved
    }

    fn set_places(&mut self, lba: u64, alternate: u64, entries_lba: u64) {
        for (at, value) in [(24, lba), (32, alternate), (72, entries_lba)] {
            self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The header's sector with the checksums for `entries`.
    pub(crate) fn sealed(&self, entries: &[u8]) -> Vec<u8> {
        let mut sealed = self.clone();
        let sum = sealed.entries_checksum(entries);
        sealed.0[88..92].copy_from_slice(&sum.to_le_bytes());
        let sum = sealed.checksum();
        sealed.0[16..20].copy_from_slice(&sum.to_le_bytes());
        sealed.0
    }

    /// Whether both are of the same table, as primary and backup have to be.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        let common = |header: &Self| {
            let mut bytes = header.0[..header.u32(12) as usize].to_vec();
            OWN.into_iter().for_each(|range| bytes[range].fill(0));
            bytes
        };
        self.lba() == other.alternate() && self.alternate() == other.lba() && common(self) == common(other)
    }

    fn checksum(&self) -> u32 {
        let mut bytes = self.0[..self.u32(12) as usize].to_vec();
        bytes[16..20].fill(0);
        crc32fast::hash(&bytes)
    }

    fn entries_checksum(&self, entries: &[u8]) -> u32 {
        crc32fast::hash(&entries[..self.count() * self.entry_size()])
    }

    /// The sector it is in.
    pub(crate) fn lba(&self) -> u64 {
        self.u64(24)
    }

    /// The sector that the other copy's header is in.
    pub(crate) fn alternate(&self) -> u64 {
        self.u64(32)
    }

    /// First sector for partitions.
    pub(crate) fn first_usable(&self) -> u64 {
        self.u64(40)
    }

    /// Last sector for partitions.
    pub(crate) fn last_usable(&self) -> u64 {
        self.u64(48)
    }

    /// The disk's UUID.
    pub(crate) fn disk(&self) -> Uuid {
        uuid_at(&self.0, 56)
    }

    /// First sector of the entries.
    pub(crate) fn entries_lba(&self) -> u64 {
        self.u64(72)
    }

    /// Number of entries, used or not.
    pub(crate) fn count(&self) -> usize {
        self.u32(80) as usize
    }

    /// Bytes of an entry.
    pub(crate) fn entry_size(&self) -> usize {
        self.u32(84) as usize
    }

    /// Sectors of the entries; at most [`MAX_ENTRIES`] bytes.
    pub(crate) fn entry_sectors(&self) -> u64 {
        (u64::from(self.u32(80)) * u64::from(self.u32(84))).div_ceil(self.0.len() as u64)
    }

    fn u32(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        u64_at(&self.0, at)
    }
}

/// A little-endian number.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// A UUID in GPT's order of bytes.
pub(crate) fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&bytes[at..at + 16]);
    Uuid::from_bytes_le(uuid)
}
