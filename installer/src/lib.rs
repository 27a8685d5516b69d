//! The installer: a compressed disk image from a web server, a file or a pipe onto a disk, as one static program for rescue
//! systems, which have little memory, no room for the image, and none of our libraries.
//!
//! The image is never anywhere but in a few buffers. So it is written before all of it was seen, and what makes a disk boot,
//! its partition table, is written last, when length and digest are those that were signed. [`document`] says what may be
//! believed, [`disk`] what may be overwritten, [`source`] where bytes come from, and [`write()`] puts them together.
//! [`cli`] is for people. [`takeover`] does the same to the disk of the running system, from a kernel without a system.

pub mod cli;
pub mod disk;
pub mod document;
mod download;
mod error;
mod names;
mod pipeline;
mod progress;
pub mod source;
mod table;
pub mod takeover;
mod users;
mod write;
mod zeros;

pub use error::{Error, Result};
pub use write::{Written, write};
