//! From an OS tree to a hermetic /usr and to the initrd that boots it.
//!
//! Both are functions from tree to tree; nothing of the tree is run, and nothing of the host is looked
//! at. [`hermetic`] moves everything the distribution keeps outside /usr into /usr/share/factory and
//! writes what puts it back at boot; [`initrd`] picks what the first seconds of a boot need.

mod error;
pub mod hermetic;
pub mod initrd;
mod userdb;

pub use userdb::Numbers;

pub use error::{Error, Result};
