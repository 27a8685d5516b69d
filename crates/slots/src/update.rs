//! An update from its first change of the disk to its last, in the one order that leaves a machine that boots whenever
//! the power fails:
//!
//! | Step | Slot | Boot entries | After a power cut the machine boots |
//! |---|---|---|---|
//! | [`Update::begin`] removes the stale UKI | old fallback, whole | running | the running version |
//! | and marks the slot as free | free | running | the running version |
//! | data and hash tree are written | free | running | the running version |
//! | [`Update::finish`] reads it back and labels it | new version, whole | running | the running version |
//! | and makes the new UKI's entry | new version, whole | running, new | either |
//!
//! Whatever was interrupted, [`Update::begin`] takes it up again.

use std::io::Read;

use twinhull_fsimg::verity::RootHash;

use crate::menu::{self, Menu};
use crate::writer::choose;
use crate::{Assessment, BootFile, Device, Error, Esp, Image, Result, Slot, SlotWriter, Slots, State};

/// Bytes of the ESP that stay free: for the UKI's last cluster, and as systemd-boot can't count the tries on an ESP
/// that has no room for another name.
const SLACK: u64 = 64 << 10;

/// An update that has begun. Dropped, it leaves a slot that is free and can be taken up again.
#[derive(Debug)]
pub struct Update<'a, D: ?Sized, E: ?Sized> {
    esp: &'a E,
    running: Slot,
    writer: SlotWriter<'a, D>,
}

impl<'a, D: Device + ?Sized, E: Esp + ?Sized> Update<'a, D, E> {
    /// Looks at disk and ESP, refuses whatever speaks against the update, and only then removes the boot entry of the
    /// slot that will be overwritten and marks that slot as free. `running` is what `usrhash=` on the machine's command
    /// line says.
    ///
    /// Nothing was changed after [`Error::NotBlessed`], [`Error::NoEntry`], [`Error::TooSmall`], [`Error::EspFull`],
    /// [`Error::SameVersion`], [`Error::UuidTaken`], [`Error::OneFile`], and all that says that image, disk or table
    /// aren't what they should be. [`Error::Disk`] and [`Error::Esp`] can come at any time.
    pub fn begin(device: &'a D, esp: &'a E, image: &Image, running: &RootHash) -> Result<Self> {
        image.check()?;
        let slots = Slots::read(device, image.arch, &image.id)?;
        let (running_slot, menu) = (slots.running(running)?.clone(), Menu::read(esp)?);
        let version = running_slot.version().unwrap_or_default();
        let blessed = match menu.assessment(&image.id, version) {
            Some(assessment) => assessment == Assessment::Blessed,
            None => return Err(Error::NoEntry { version: version.to_owned() }),
        };
        let target = choose(&slots, image, running, blessed)?;
        let kept = slots.iter().filter(|slot| slot.version().is_some() && **slot != target);
        let kept: Vec<&str> = kept.map(|slot| slot.data.label.as_str()).collect();
        let leftovers = menu.leftovers(&image.id, &kept, &target.data.label)?;
        let free = esp.free().map_err(menu::failed("EFI/Linux", "read"))?;
        let free = leftovers.iter().fold(free, |free, file| free.saturating_add(file.len));
        let needed = image.uki_len.saturating_add(SLACK);
        if free < needed {
            return Err(Error::EspFull { needed, free });
        }
        menu::remove(esp, &leftovers)?;
        let writer = SlotWriter::begin(device, image, running, blessed)?;
        Ok(Update { esp, running: running_slot, writer })
    }

    /// The slot that runs, to take from what hasn't changed.
    pub fn running(&self) -> &Slot {
        &self.running
    }

    /// The slot to write data and hash tree to, in any order. What is there from an earlier try can be read and kept.
    pub fn writer(&self) -> &SlotWriter<'a, D> {
        &self.writer
    }

    /// Verifies what was written, gives the slot its name, and makes the boot entry from `uki`. The machine boots the
    /// new version from now on.
    ///
    /// After [`Error::NotVerified`] and errors of the UKI, begin again: what is right is kept.
    pub fn finish(self, uki: &mut dyn Read) -> Result<BootFile> {
        let image = self.writer.image().clone();
        self.writer.finish()?;
        menu::install(self.esp, &image, uki)
    }
}

/// Whether an update to `image` is done already, so that the machine only has to reboot: the slot has its name, and
/// there is a boot entry, of which boot counting says what is returned.
///
/// Returns the errors of [`Slots::read`], and [`Error::Esp`].
pub fn staged<D, E>(device: &D, esp: &E, image: &Image) -> Result<Option<Assessment>>
where
    D: Device + ?Sized,
    E: Esp + ?Sized,
{
    image.check()?;
    let slots = Slots::read(device, image.arch, &image.id)?;
    let filled = State::Filled { version: image.version.clone(), root: image.root };
    if slots.iter().all(|slot| slot.state != filled) {
        return Ok(None);
    }
    Ok(Menu::read(esp)?.assessment(&image.id, &image.version))
}

#[cfg(test)]
mod tests;
