//! The slots of a machine's disk: what is in them, and how an update changes them so that a power cut at any moment
//! leaves a machine that boots.
//!
//! [`Gpt`] changes the partition table in use with one write a copy; [`Slots`] knows what each slot holds, which one
//! runs and which one may be written.

mod device;
mod error;
mod gpt;
mod header;
mod name;
mod slots;

pub use device::{Device, Disk};
pub use error::{Error, Result};
pub use gpt::{Damage, Gpt};
pub use name::{Assessment, EntryName, check_id, check_version};
pub use slots::{Slot, Slots, State};
