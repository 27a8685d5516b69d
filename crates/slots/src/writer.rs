//! Writes an image into a slot that is marked as free meanwhile, and gives it its name once it was read back and found
//! to be whole.
//!
//! Nothing here needs a state of its own: what was written before an interruption is still there when the next
//! [`SlotWriter`] begins, and can be read and kept.

use twinhull_disk::slot::{self, LABEL_MAX};
use twinhull_disk::table::Partition;
use twinhull_disk::types::{Arch, NO_AUTO, READ_ONLY};
use twinhull_fsimg::verity::{self, RootHash};

use crate::{Device, Error, Gpt, Result, Slot, Slots, error, name};

/// An image that is to be installed, as its release describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Architecture.
    pub arch: Arch,
    /// The image's name.
    pub id: String,
    /// The version.
    pub version: String,
    /// Root hash of `/usr`.
    pub root: RootHash,
    /// Length of `/usr` in bytes.
    pub data_len: u64,
    /// Length of the UKI in bytes.
    pub uki_len: u64,
    /// SHA-256 of the UKI.
    pub uki_sha256: [u8; 32],
}

impl Image {
    /// Refuses what could not be written to any machine.
    ///
    /// Returns [`Error::BadName`], [`Error::LabelTooLong`] and [`Error::BadLength`].
    pub fn check(&self) -> Result<()> {
        name::check_id(&self.id)?;
        name::check_version(&self.version)?;
        let label = slot::verity_label(&self.id, &self.version);
        // Names are ASCII.
        if label.len() > LABEL_MAX {
            return Err(Error::LabelTooLong { length: label.len(), label, limit: LABEL_MAX });
        }
        if self.data_len == 0 || !self.data_len.is_multiple_of(verity::BLOCK) {
            return Err(Error::BadLength(self.data_len));
        }
        Ok(())
    }

    /// Length of the hash tree with its superblock in bytes.
    pub fn tree_len(&self) -> u64 {
        verity::tree_len(self.data_len)
    }

    /// `NAME_VERSION`.
    pub(crate) fn label(&self) -> String {
        slot::label(&self.id, &self.version)
    }
}

/// Chooses the slot for an image; nothing is changed.
///
/// Besides the errors of [`Slots::target`], returns [`Error::TooSmall`], and [`Error::SameVersion`] or
/// [`Error::UuidTaken`] when the image is in a slot that stays.
pub(crate) fn choose(slots: &Slots, image: &Image, running: &RootHash, blessed: bool) -> Result<Slot> {
    let target = slots.target(running, blessed, &image.version)?;
    target.check_room(image.data_len)?;
    let mut kept = slots.iter().filter(|slot| slot.data.number != target.data.number);
    let same = |slot: &&Slot| slot.version().is_some_and(|found| name::same_version(found, &image.version));
    if let Some(same) = kept.find(same) {
        return Err(Error::SameVersion { version: image.version.clone(), number: same.data.number });
    }
    let (data, tree) = slot::uuids(&image.root);
    let ours = [target.data.number, target.tree.number];
    for part in slots.partitions().iter().filter(|part| !ours.contains(&part.number)) {
        if let Some(uuid) = [data, tree].into_iter().find(|uuid| *uuid == part.uuid) {
            return Err(Error::UuidTaken { uuid, number: part.number });
        }
    }
    Ok(target.clone())
}

/// A slot that is being written. On the disk it is free until it is finished.
#[derive(Debug)]
pub struct SlotWriter<'d, D: ?Sized> {
    device: &'d D,
    image: Image,
    slot: Slot,
}

impl<'d, D: Device + ?Sized> SlotWriter<'d, D> {
    /// Marks the slot for `image` as free. Its bytes stay, so that what is there can be kept.
    ///
    /// Nothing may boot from the slot any more: its boot entries have to be gone. See [`choose`] for `running`,
    /// `blessed` and errors.
    pub(crate) fn begin(device: &'d D, image: &Image, running: &RootHash, blessed: bool) -> Result<Self> {
        let slot = locked(device, || {
            let mut gpt = Gpt::read(device)?;
            let target = choose(&Slots::new(&gpt, image.arch, &image.id)?, image, running, blessed)?;
            for part in [&target.data, &target.tree] {
                // The same whenever the slot is emptied, so a slot that is free already isn't written to.
                let uuid = twinhull_disk::derive_uuid(gpt.disk(), &format!("empty-{}", part.number));
                gpt.edit(part.number, slot::EMPTY, uuid, part.flags & !READ_ONLY | NO_AUTO)?;
            }
            gpt.commit(device)?;
            find(&gpt, image, target.data.number)
        })?;
        Ok(SlotWriter { device, image: image.clone(), slot })
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The slot.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Writes a part of `/usr`, from byte `offset` of it.
    ///
    /// Returns [`Error::Bounds`] for what is outside of the image, and [`Error::Disk`].
    pub fn write_data(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write(self.data(), bytes, offset)
    }

    /// Writes a part of the hash tree, of which the superblock is the first block; else as [`SlotWriter::write_data`].
    pub fn write_tree(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write(self.tree(), bytes, offset)
    }

    /// Reads what is in the slot, from byte `offset` of `/usr`: an earlier try may have written it already.
    ///
    /// Returns [`Error::Bounds`] for what is outside of the image, and [`Error::Disk`].
    pub fn read_data(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read(self.data(), buf, offset)
    }

    /// Reads what is where the hash tree belongs; else as [`SlotWriter::read_data`].
    pub fn read_tree(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read(self.tree(), buf, offset)
    }

    /// Waits until everything written is on the disk, for those who want to note how far they came.
    pub fn sync(&self) -> Result<()> {
        self.device.sync().map_err(error::disk("the slot", "flushed"))
    }

    /// Reads all of the slot back and checks it against the root hash. Right after the slot was begun, this says
    /// whether anything has to be written at all.
    ///
    /// Returns [`Error::NotVerified`] and [`Error::OtherLength`].
    pub fn verify(&self) -> Result<()> {
        self.sync()?;
        let (found, expected) = (self.slot.verify_as(self.device, &self.image.root)?, self.image.data_len);
        if found == expected { Ok(()) } else { Err(Error::OtherLength { found, expected }) }
    }

    /// Verifies the slot and gives it labels and UUIDs.
    ///
    /// Besides the errors of [`SlotWriter::verify`], returns [`Error::Changed`] when another program changed the slot's
    /// partitions meanwhile.
    pub(crate) fn finish(self) -> Result<Slot> {
        self.verify()?;
        let Image { id, version, root, .. } = &self.image;
        let number = self.slot.data.number;
        locked(self.device, || {
            let mut gpt = Gpt::read(self.device)?;
            if find(&gpt, &self.image, number)? != self.slot {
                return Err(Error::Changed { number });
            }
            let (data, tree) = slot::uuids(root);
            let flags = |part: &Partition| part.flags | READ_ONLY | NO_AUTO;
            gpt.edit(number, &self.image.label(), data, flags(&self.slot.data))?;
            gpt.edit(self.slot.tree.number, &slot::verity_label(id, version), tree, flags(&self.slot.tree))?;
            gpt.commit(self.device)?;
            find(&gpt, &self.image, number)
        })
    }

    fn data(&self) -> Place {
        Place { what: "data", start: self.slot.data.offset, room: self.image.data_len }
    }

    fn tree(&self) -> Place {
        Place { what: "hash tree", start: self.slot.tree.offset, room: self.image.tree_len() }
    }

    fn write(&self, place: Place, bytes: &[u8], offset: u64) -> Result<()> {
        let at = place.at(bytes.len(), offset)?;
        self.device.write_at(bytes, at).map_err(error::disk("the slot", "written"))
    }

    fn read(&self, place: Place, buf: &mut [u8], offset: u64) -> Result<()> {
        let at = place.at(buf.len(), offset)?;
        self.device.read_at(buf, at).map_err(error::disk("the slot", "read"))
    }
}

/// Where a part of the image lies on the disk, in bytes.
struct Place {
    what: &'static str,
    start: u64,
    room: u64,
}

impl Place {
    /// The disk's offset of `len` bytes from `offset` of this part.
    fn at(&self, len: usize, offset: u64) -> Result<u64> {
        let (what, room, len) = (self.what, self.room, len as u64);
        match offset.checked_add(len) {
            Some(end) if end <= room => Ok(self.start + offset),
            _ => Err(Error::Bounds { what, offset, len, room }),
        }
    }
}

/// The slot with the data partition `number`.
fn find(gpt: &Gpt, image: &Image, number: u32) -> Result<Slot> {
    let slots = Slots::new(gpt, image.arch, &image.id)?;
    slots.iter().find(|slot| slot.data.number == number).cloned().ok_or(Error::Changed { number })
}

/// Does `change` while no other program may change the table.
fn locked<T>(device: &(impl Device + ?Sized), change: impl FnOnce() -> Result<T>) -> Result<T> {
    device.lock().map_err(error::disk("the partition table", "locked"))?;
    let result = change();
    let unlocked = device.unlock().map_err(error::disk("the partition table", "unlocked"));
    result.and_then(|value| unlocked.map(|()| value))
}
