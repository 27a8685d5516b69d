//! A larger disk with the same partitions: the backup table goes to the new end, and the file stays as it is.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::MemfdFlags;
use twinhull_disk::table;

use crate::disk::{Disk, Patch, SECTOR};
use crate::{Error, Result};

/// Bytes of protective MBR, primary header and entries: 34 sectors.
const PRIMARY: u64 = 34 * SECTOR;

/// Bytes of the backup entries and header at the disk's end: 33 sectors.
const BACKUP: u64 = 33 * SECTOR;

/// Bytes of boot code and disk signature in front of the MBR's partition records.
const BOOT_CODE: usize = 446;

impl Disk {
    /// This disk with `size` bytes instead, which must be more. The numbers, places and names of partitions and
    /// every identifier stay.
    ///
    /// Returns [`Error::Table`] when the table can't be written.
    pub(crate) fn grown(&self, size: u64) -> Result<Disk> {
        // The table's writer wants a whole disk; this one has holes only, and no name.
        let memory =
            rustix::fs::memfd_create("grown-disk", MemfdFlags::CLOEXEC).map_err(|e| Error::Io(e.into()))?;
        let mut memory = File::from(memory);
        memory.set_len(size)?;
        table::write(&mut memory, &self.table)?;
        let read = |offset, length: u64| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length as usize];
            memory.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        };
        let mut primary = read(0, PRIMARY)?;
        self.read_at(&mut primary[..BOOT_CODE], 0)?;
        let backup = read(size - BACKUP, BACKUP)?;
        // What is left of the old backup when the new one lies partly on it.
        let old = (self.length - BACKUP)..self.length.min(size - BACKUP);
        let patches = vec![
            Patch { offset: 0, bytes: primary },
            Patch { offset: old.start, bytes: vec![0; (old.end - old.start) as usize] },
            Patch { offset: size - BACKUP, bytes: backup },
        ];
        Ok(Disk {
            path: self.path.clone(),
            file: self.file.try_clone()?,
            length: self.length,
            size,
            table: self.table.clone(),
            patches,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};

    #[test]
    fn a_grown_disk_has_the_same_partitions_and_data() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), 6 << 20);
        let before = content(&disk);
        // The second is so little that the tables overlap.
        for size in [8 << 20, (6 << 20) + 4096] {
            let grown = disk.grown(size).unwrap();
            let bytes = content(&grown);
            assert_eq!(bytes.len() as u64, size);
            assert!(bytes[1 << 20..5 << 20] == before[1 << 20..5 << 20]);
            let path = dir.path().join("b.raw");
            fs_err::write(&path, &bytes).unwrap();
            assert_eq!(Disk::open(&path).unwrap().table, disk.table);
            assert_eq!(bytes.windows(8).filter(|w| w == b"EFI PART").count(), 2, "the old backup is gone");
            let chunks: u64 = grown.chunks(4096).map(|c| c.unwrap().data.len() as u64).sum();
            assert!(chunks < 400_000, "{chunks}");
        }
        assert!(content(&disk) == before, "the file is as it was");
    }
}
