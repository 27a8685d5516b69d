//! Writers of the file systems and archives an image is made of.
//!
//! Nothing here knows what an image is for: [`erofs`], [`ext4`] and [`cpio`] take a [`twinhull_tree::Tree`],
//! [`fat`] takes a list of files, [`verity`] takes a range of a file. All are deterministic: time,
//! identifiers and salts are arguments.

pub mod cpio;
pub mod erofs;
mod error;
pub mod ext4;
pub mod fat;
mod filesystem;
mod numbered;
#[cfg(test)]
mod samples;
mod source;
mod unix;
pub mod verity;
mod walk;

pub use error::{Error, Result};
pub use filesystem::{FileSystem, Format, Inode};
pub use numbered::content_len;
pub use source::{Part, ReadAt};
pub use walk::{Entry, FileType};
