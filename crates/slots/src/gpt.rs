//! The partition table of a disk in use: read from whichever copy is whole, changed in memory, and committed with one
//! write a copy.
//!
//! The crate `gpt`, with which images are made, writes entries one by one, headers last, and makes headers anew from
//! what it knows. Here a power cut between any two bytes must leave a table, and what we don't know must stay as it
//! is. So headers and entries are kept as bytes, and only labels, UUIDs and attributes of entries that exist change.
//!
//! [`Gpt::commit`] writes the copy that is *not* in use, waits for the disk, then writes the one that is. Each is
//! header and entries in one piece. If the first write is torn, the copy in use is whole and has the old content; if
//! the second is, the other is whole and has the new. With a sound disk the copy in use is the primary, as Linux reads
//! only that one (without `gpt` on its command line). A torn primary is repaired from the backup by firmware derived
//! from EDK II before anything starts, and by the next commit here.

use twinhull_disk::slot::LABEL_MAX;
use twinhull_disk::table::Partition;
use uuid::Uuid;

use crate::header::{Header, u64_at, uuid_at};
use crate::{Device, Error, Result, error};

/// What was wrong with a table that could still be read. The next [`Gpt::commit`] repairs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The backup is in use.
    #[error(
        "the primary partition table is damaged ({0}); the backup is used, and the next update repairs it"
    )]
    Primary(String),
    /// Only the primary is whole.
    #[error("the backup of the partition table is damaged ({0}); the next update repairs it")]
    Backup(String),
    /// Both are whole, and not the same: a commit was interrupted between them. The primary is used.
    #[error(
        "primary and backup partition table differ, as after a power cut; the next update makes them the same"
    )]
    Differ,
}

/// A partition table with its two copies.
#[derive(Debug)]
pub struct Gpt {
    sector: u64,
    primary: Header,
    backup: Header,
    entries: Vec<u8>,
    damage: Option<Damage>,
    changed: bool,
}

impl Gpt {
    /// Reads the table. The sector size is the device's, or the one with which a table is found.
    ///
    /// Returns [`Error::NoTable`] when neither copy is whole, and [`Error::Unsafe`] for a table that one write a copy
    /// can't replace: entries away from their header, or partitions over the table.
    pub fn read(device: &(impl Device + ?Sized)) -> Result<Self> {
        match device.sector() {
            Some(size) if size >= 512 && size.is_power_of_two() && size <= 65536 => {
                Self::read_with(device, size)
            }
            Some(size) => Err(Error::Unsafe(format!("the disk has sectors of {size} bytes"))),
            None => match Self::read_with(device, 512) {
                Err(Error::NoTable { primary, backup }) => {
                    Self::read_with(device, 4096).map_err(|e| match e {
                        Error::NoTable { .. } => Error::NoTable { primary, backup },
                        other => other,
                    })
                }
                result => result,
            },
        }
    }

    fn read_with(device: &(impl Device + ?Sized), sector: u64) -> Result<Self> {
        let sectors = device.len() / sector;
        let copy = |header: &Result<Header, String>| {
            let header = header.clone()?;
            let entries = header.read_entries(device)?;
            Ok::<_, String>((header, entries))
        };
        let header = Header::read(device, sector, 1, sectors);
        let places = backup_places(device, sectors, header.as_ref().ok());
        let mut backups = places.iter().map(|lba| copy(&Header::read(device, sector, *lba, sectors)));
        let first = backups.next().unwrap_or_else(|| Err("the disk is too small for one".into()));
        let backup = first.or_else(|reason| backups.find_map(Result::ok).ok_or(reason));

        let (primary, backup, entries, damage) = match (copy(&header), backup) {
            (Ok((primary, entries)), Ok((backup, others))) => {
                if entries == others && primary.is_copy_of(&backup) {
                    (primary, backup, entries, None)
                } else {
                    let (primary, backup) = with_backup(&primary, backup.lba())?;
                    (primary, backup, entries, Some(Damage::Differ))
                }
            }
            (Ok((primary, entries)), Err(reason)) => {
                let place = places.first().copied().unwrap_or_default();
                let (primary, backup) = with_backup(&primary, place)?;
                (primary, backup, entries, Some(Damage::Backup(reason)))
            }
            (Err(reason), Ok((backup, entries))) => {
                let primary = backup.moved(1, backup.lba(), 2);
                let backup = backup.moved(backup.lba(), 1, backup.entries_lba());
                (primary, backup, entries, Some(Damage::Primary(reason)))
            }
            (Err(primary), Err(backup)) => return Err(Error::NoTable { primary, backup }),
        };
        let gpt = Gpt { sector, primary, backup, entries, damage, changed: false };
        gpt.check_places()?;
        Ok(gpt)
    }

    /// Refuses what can't be written back in one piece, or would be written over a partition.
    fn check_places(&self) -> Result<()> {
        let (primary, backup) = (&self.primary, &self.backup);
        let count = primary.entry_sectors();
        let unsafe_ = |reason: &str| Err(Error::Unsafe(reason.to_owned()));
        // Both were checked to lie on the disk, so the sums don't overflow.
        if primary.entries_lba() != primary.lba() + 1 || backup.entries_lba() + count != backup.lba() {
            return unsafe_("the entries are not beside their header, so one write can't replace both");
        }
        let end = primary.entries_lba() + count;
        if end > primary.first_usable() || backup.entries_lba() <= backup.last_usable() {
            return unsafe_("there is no room for a copy of it beside the partitions");
        }
        for (number, entry) in self.used() {
            let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
            if first < end || first > last || last >= backup.entries_lba() {
                return unsafe_(&format!("partition {number} lies outside of the place for partitions"));
            }
        }
        Ok(())
    }

    /// What was wrong when the table was read.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// The disk's UUID.
    pub fn disk(&self) -> Uuid {
        self.primary.disk()
    }

    /// The partitions in use, by number. Labels that aren't UTF-16 have replacement characters.
    pub fn partitions(&self) -> Vec<Partition> {
        let partition = |(number, entry): (u32, &[u8])| {
            let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
            let units = entry[56..128].chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            Partition {
                number,
                kind: uuid_at(entry, 0),
                uuid: uuid_at(entry, 16),
                offset: first * self.sector,
                size: (last - first + 1) * self.sector,
                label: char::decode_utf16(units.take_while(|unit| *unit != 0))
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
                flags: u64_at(entry, 48),
            }
        };
        self.used().map(partition).collect()
    }

    fn used(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let entries = self.entries.chunks_exact(self.primary.entry_size()).take(self.primary.count());
        (1..).zip(entries).filter(|(_, entry)| entry[..16] != [0; 16])
    }

    /// Gives a partition another label, UUID and attribute bits, in memory.
    ///
    /// Returns [`Error::NoPartition`], [`Error::LabelTooLong`] and, when another partition has `uuid`,
    /// [`Error::UuidTaken`].
    pub fn edit(&mut self, number: u32, label: &str, uuid: Uuid, flags: u64) -> Result<()> {
        let units: Vec<u8> = label.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if units.len() > 2 * LABEL_MAX {
            let (label, length) = (label.to_owned(), units.len() / 2);
            return Err(Error::LabelTooLong { label, length, limit: LABEL_MAX });
        }
        if let Some((number, _)) = self.used().find(|(n, entry)| *n != number && uuid_at(entry, 16) == uuid) {
            return Err(Error::UuidTaken { uuid, number });
        }
        if self.used().all(|(n, _)| n != number) {
            return Err(Error::NoPartition { number });
        }
        let at = (number as usize - 1) * self.primary.entry_size();
        let entry = &mut self.entries[at..at + 128];
        let old = entry.to_vec();
        entry[16..32].copy_from_slice(&uuid.to_bytes_le());
        entry[48..56].copy_from_slice(&flags.to_le_bytes());
        entry[56..].fill(0);
        entry[56..56 + units.len()].copy_from_slice(&units);
        self.changed |= *entry != old;
        Ok(())
    }

    /// Writes both copies and waits for the disk after each. Without a change and without damage nothing is written.
    ///
    /// After an error, what is on the disk is the old or the new table; read it again.
    pub fn commit(&mut self, device: &(impl Device + ?Sized)) -> Result<()> {
        if !self.changed && self.damage.is_none() {
            return Ok(());
        }
        let (head, tail) = (self.primary.sealed(&self.entries), self.backup.sealed(&self.entries));
        let primary = (self.primary.lba(), [&head[..], &self.entries].concat());
        let backup = (self.backup.entries_lba(), [&self.entries[..], &tail].concat());
        let order = match self.damage {
            Some(Damage::Primary(_)) => [primary, backup],
            _ => [backup, primary],
        };
        for (lba, bytes) in order {
            device
                .write_at(&bytes, lba * self.sector)
                .map_err(error::disk("the partition table", "written"))?;
            device.sync().map_err(error::disk("the partition table", "flushed"))?;
        }
        (self.changed, self.damage) = (false, None);
        Ok(())
    }
}

/// A whole primary's header, and one made from it for the backup's place.
fn with_backup(primary: &Header, place: u64) -> Result<(Header, Header)> {
    let entries = place
        .checked_sub(primary.entry_sectors())
        .ok_or_else(|| Error::Unsafe("there is no room for the backup".into()))?;
    Ok((primary.moved(1, place, primary.entries_lba()), primary.moved(place, 1, entries)))
}

/// Where the backup's header may be: where the primary's says, as a disk that has grown has it somewhere in the
/// middle. Without a primary, at the end of the disk, or where the protective MBR says that the disk ended.
fn backup_places(device: &(impl Device + ?Sized), sectors: u64, primary: Option<&Header>) -> Vec<u64> {
    let inside = |lba: &u64| *lba > 2 && *lba < sectors;
    let last = sectors.saturating_sub(1);
    if let Some(primary) = primary {
        let known = Some(primary.alternate()).filter(inside);
        return known.or(Some(last)).filter(inside).into_iter().collect();
    }
    let mut mbr = [0; 512];
    let mut places = vec![last];
    if device.read_at(&mut mbr, 0).is_ok() && mbr[450] == 0xee {
        let word = |at: usize| u32::from_le_bytes([mbr[at], mbr[at + 1], mbr[at + 2], mbr[at + 3]]);
        places.push(u64::from(word(454)) + u64::from(word(458)).saturating_sub(1));
    }
    places.retain(inside);
    places
}

#[cfg(test)]
mod tests;
