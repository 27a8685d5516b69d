//! Reading and writing GUID partition tables, through the `gpt` crate.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type};
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Result};

const SECTOR: u64 = 512;

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Number, from 1.
    pub number: u32,
    /// Type UUID.
    #[serde(rename = "type", serialize_with = "as_text")]
    pub kind: Uuid,
    /// The partition's own UUID.
    #[serde(serialize_with = "as_text")]
    pub uuid: Uuid,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
    /// Label.
    pub label: String,
    /// Attribute bits.
    pub flags: u64,
}

fn as_text<S: serde::Serializer>(uuid: &Uuid, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(uuid)
}

/// A whole table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The disk's UUID.
    #[serde(serialize_with = "as_text")]
    pub uuid: Uuid,
    /// Used partitions by number.
    pub partitions: Vec<Partition>,
}

/// Bytes of the first sector that a BIOS runs.
pub const BOOT_CODE: usize = 440;

/// Writes what a BIOS runs: the first bytes of a disk that has its table.
///
/// Returns [`Error::Io`].
pub fn write_boot_code(file: &File, code: &[u8; BOOT_CODE]) -> Result<()> {
    Ok(file.write_all_at(code, 0)?)
}

/// Writes protective MBR, primary and backup table to `file`, whose length is the disk's.
///
/// Returns [`Error::Write`] when a partition lies outside the disk or on another.
pub fn write(file: &mut File, table: &Table) -> Result<()> {
    let bytes = file.metadata()?.len();
    let failed = |e: &dyn std::fmt::Display| Error::Write(e.to_string());
    let sectors = u32::try_from(bytes / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(file).map_err(|e| failed(&e))?;
    let mut entries = BTreeMap::new();
    for partition in &table.partitions {
        entries.insert(
            partition.number,
            gpt::partition::Partition {
                part_type_guid: Type { guid: partition.kind, os: OperatingSystem::None },
                part_guid: partition.uuid,
                first_lba: partition.offset / SECTOR,
                last_lba: (partition.offset + partition.size) / SECTOR - 1,
                flags: partition.flags,
                name: partition.label.clone(),
            },
        );
    }
    let mut disk = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(&mut *file, Some(table.uuid))
        .map_err(|e| failed(&e))?;
    disk.update_partitions(entries).map_err(|e| failed(&e))?;
    disk.write_inplace().map_err(|e| failed(&e))?;
    Ok(())
}

/// Reads the table of a disk or image with sectors of 512 or 4096 bytes.
///
/// Returns [`Error::NoTable`].
pub fn read(path: &Path, file: &File) -> Result<Table> {
    let mut magic = [0; 8];
    let found = [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096]
        .into_iter()
        .find(|size| file.read_exact_at(&mut magic, u64::from(*size)).is_ok() && &magic == b"EFI PART");
    let Some(size) = found else {
        return Err(Error::NoTable {
            path: path.to_owned(),
            reason: "neither at sector size 512 nor at 4096 there is a header; is this a disk image?".into(),
        });
    };
    let sector = u64::from(size);
    let disk = gpt::GptConfig::new()
        .writable(false)
        .logical_block_size(size)
        .open_from_device(file.try_clone()?)
        .map_err(|e| Error::NoTable { path: path.to_owned(), reason: e.to_string() })?;
    let partitions = disk
        .partitions()
        .iter()
        .filter(|(_, p)| p.is_used())
        .map(|(number, p)| Partition {
            number: *number,
            kind: p.part_type_guid.guid,
            uuid: p.part_guid,
            offset: p.first_lba.saturating_mul(sector),
            size: p.last_lba.saturating_add(1).saturating_sub(p.first_lba).saturating_mul(sector),
            label: p.name.clone(),
            flags: p.flags,
        })
        .collect();
    Ok(Table { uuid: *disk.guid(), partitions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    #[test]
    fn what_was_written_is_read_back() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let mut file = temp.reopen().unwrap();
        file.set_len(64 << 20).unwrap();
        let table = Table {
            uuid: Uuid::from_bytes([5; 16]),
            partitions: vec![Partition {
                number: 1,
                kind: types::ESP,
                uuid: Uuid::from_bytes([6; 16]),
                offset: 1 << 20,
                size: 40 << 20,
                label: "esp".into(),
                flags: types::NO_AUTO,
            }],
        };
        write(&mut file, &table).unwrap();
        assert_eq!(read(temp.path(), &file).unwrap(), table);
        file.set_len(0).unwrap();
        assert!(read(temp.path(), &file).unwrap_err().to_string().contains("no valid GPT"));
    }
}
