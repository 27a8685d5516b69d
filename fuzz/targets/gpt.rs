//! The readers of partition tables: the one of images, and the one that changes the table of a disk in use.
#![no_main]

use std::cell::RefCell;
use std::io::{ErrorKind, Result};

use libfuzzer_sys::fuzz_target;
use twinhull_slots::{Device, Gpt};

struct Memory(RefCell<Vec<u8>>);

impl Memory {
    fn range(&self, len: usize, offset: u64) -> Result<std::ops::Range<usize>> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from.checked_add(len).filter(|end| *end <= self.0.borrow().len());
        end.map(|end| from..end).ok_or(ErrorKind::UnexpectedEof.into())
    }
}

impl Device for Memory {
    fn len(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let range = self.range(buf.len(), offset)?;
        buf.copy_from_slice(&self.0.borrow()[range]);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let range = self.range(bytes.len(), offset)?;
        self.0.borrow_mut()[range].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// Makes the checksums of the header at `at` right, as no mutation gets past them.
fn seal(disk: &mut [u8], at: usize) -> Option<()> {
    let word = |disk: &[u8], field: usize| {
        Some(u32::from_le_bytes(disk.get(at + field..at + field + 4)?.try_into().ok()?) as usize)
    };
    disk.get(at..at + 92)?;
    let from = word(disk, 72)?.checked_mul(512)?;
    let len = word(disk, 80)?.checked_mul(word(disk, 84)?)?;
    let sum = crc32fast::hash(disk.get(from..from.checked_add(len)?)?);
    disk[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
    disk[at + 16..at + 20].fill(0);
    let sum = crc32fast::hash(disk.get(at..at.checked_add(word(disk, 12)?)?)?);
    disk[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// Reads a table, and changes and commits what can be read.
fn change(disk: Vec<u8>) {
    let memory = Memory(RefCell::new(disk));
    let Ok(mut gpt) = Gpt::read(&memory) else { return };
    if let Some(first) = gpt.partitions().first() {
        // Another partition may have the UUID.
        let _ = gpt.edit(first.number, "changed", uuid::Uuid::from_u128(7), 1);
    }
    gpt.commit(&memory).expect("the table lies on the disk");
    let after = Gpt::read(&memory).expect("the table is whole");
    assert_eq!((after.partitions(), after.damage()), (gpt.partitions(), None));
}

fuzz_target!(|disk: &[u8]| {
    let _ = twinhull_disk::table::read(std::path::Path::new("fuzz"), &twinhull_fuzz::file(disk));
    change(disk.to_vec());
    let mut disk = disk.to_vec();
    let last = (disk.len() / 512).saturating_sub(1) * 512;
    for at in [512, last] {
        let _ = seal(&mut disk, at);
    }
    change(disk);
});
