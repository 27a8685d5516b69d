//! Provisions a machine in its initrd from what its cloud says about it.
//!
//! [`source`] finds out and fetches, [`machine`] and [`userdata`] are what was said, checked; [`render`]
//! makes a plan of it, [`store`] keeps it, and [`initrd`] is the order of all that on one boot. [`outcome`] is
//! what became of it, and [`check_in`] what is done on the real root.

pub mod accounts;
pub mod check_in;
pub mod cli;
pub mod clock;
pub mod console;
mod error;
pub mod http;
pub mod identity;
pub mod image;
pub mod initrd;
pub mod json;
pub mod machine;
pub mod network;
pub mod outcome;
pub mod render;
pub mod rooted;
pub mod source;
pub mod store;
pub mod userdata;
pub mod yaml;

pub use error::{Error, Result};
