//! Writers of the file systems and archives an image is made of.
//!
//! Nothing here knows what an image is for: [`erofs`] and [`cpio`] take a [`twinhull_tree::Tree`],
//! [`fat`] takes a list of files, [`verity`] takes a range of a file. All are deterministic: time,
//! identifiers and salts are arguments.

pub mod cpio;
pub mod erofs;
mod error;
pub mod fat;
mod source;
pub mod verity;

pub use error::{Error, Result};
pub use source::{Part, ReadAt};
