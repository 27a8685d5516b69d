//! An OS tree in memory: names, metadata and lazily read content.
//!
//! Everything the builder does is a function from one [`Tree`] to another. A tree never touches the
//! host's file system owners or modes, which is what lets a build run without privileges: owners,
//! device nodes and extended attributes are data here, not properties of files on disk.

mod content;
mod error;
mod model;
mod path;
pub mod source;

pub use content::Content;
pub use error::{Error, Result};
pub use model::{DeviceNumber, FileData, Kind, Metadata, Node, Timestamp, Tree};
pub use path::normalize;
