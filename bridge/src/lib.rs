//! The bridge: what a Twinhull disk starts with on a machine with a BIOS.
//!
//! ```text
//!  BIOS ──► GRUB's code ──► bridge: kernel, initrd ──► UKI's kernel, initrd, command line
//!           [`script`]      [`init`]: boot counting     by kexec
//! ```
//!
//! GRUB is only told where a kernel and an initrd are. The program in that initrd chooses a boot entry by the order that
//! systemd-boot has ([`order`]), counts its try in its name, and starts its kernel. So there is one place for what is known
//! of a version, whatever the firmware: the names on the ESP.
//!
//! There are two bridges on an ESP, [`Side`] A and B, and [`State`] says which one GRUB starts. A new version brings its
//! bridge along; once it has proved to be good, [`update`] puts that bridge on the other side, and GRUB tries it once.

mod error;
pub mod init;
mod order;
mod script;
mod state;
mod update;

pub use error::{Error, Result};
pub use order::order;
pub use script::{MODULES, script};
pub use state::{Side, State};
pub use update::{Done, update};

/// Folder of the ESP with both bridges and their state.
pub const FOLDER: &str = "twinhull";

/// The initrd of a version's bridge, below /usr; its kernel is the UKI's.
pub const INITRD: &str = "lib/twinhull/bridge.cpio.zst";
