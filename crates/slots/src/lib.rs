//! The slots of a machine's disk: what is in them, and how an update changes them so that a power cut at any moment
//! leaves a machine that boots.
//!
//! [`Update`] is the whole order of an update. Below it, [`Gpt`] changes the partition table in use with one write a
//! copy, [`Slots`] knows what each slot holds, which one runs and which one may be written, [`SlotWriter`] fills one,
//! and boot files are kept on an [`Esp`]. Disk and ESP are traits: the tests cut the power at every write.

mod assess;
#[cfg(test)]
mod cuts;
mod device;
mod error;
mod esp;
mod gpt;
mod header;
mod menu;
mod name;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod sim;
mod slots;
mod update;
mod writer;

pub use assess::{
    BRIDGE, CMDLINE, ENTRY, ESP_PARTITION, bless, cmdline, count_try, counted, entry_of, give_back,
    is_counted, use_up,
};
pub use device::{Device, Disk};
pub use error::{Error, Result};
pub use esp::{Esp, EspDir, EspFile};
pub use gpt::{Damage, Gpt};
pub use menu::{BootFile, TRIES, boot_files, remove_entry};
pub use name::{Assessment, EntryName, check_id, check_version};
pub use slots::{Slot, Slots, State};
pub use update::{Update, staged};
pub use writer::{Image, SlotWriter};
