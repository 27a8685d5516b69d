//! The disk: which partitions there are, how large, and the GPT that says so.
//!
//! [`Layout`] is the plan of a Twinhull disk (ESP, slot A, slot B); [`table`] reads and writes
//! partition tables; [`slot`] knows the names and identifiers by which a slot is found at boot.

mod error;
mod layout;
pub mod slot;
pub mod table;
pub mod types;

pub use error::{Error, Result};
pub use layout::{ALIGN, Layout, Sizes, derive_uuid, esp_uuid};
