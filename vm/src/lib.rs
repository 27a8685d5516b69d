//! Boots a Twinhull image in QEMU, with as much of a cloud around it as the image asks for.
//!
//! The `runvm` program is [`cli`] around [`run`]; tests and the maintainers' tools call [`run`]
//! themselves:
//!
//! ```no_run
//! let outcome = runvm::run(&runvm::Options {
//!     image: "server_1.raw".into(),
//!     exec: Some("systemctl is-system-running --wait".into()),
//!     timeout: Some(std::time::Duration::from_secs(600)),
//!     capture: true,
//!     ..Default::default()
//! })?;
//! assert_eq!(outcome.output, b"running\n");
//! # anyhow::Ok(())
//! ```
//!
//! Nothing is left behind: the image is never written to, temporary files live in one directory that
//! goes away with the call, and QEMU dies with the thread that called [`run`].

mod accel;
mod attend;
pub mod cli;
mod cloud;
mod disk;
mod events;
mod exec;
mod fill;
mod firmware;
mod host;
mod moment;
mod options;
mod pipe;
mod process;
mod qemu;
mod qmp;
mod run;
mod signals;
mod smbios;
mod source;
mod streams;
mod tpm;
mod update_args;
mod web;

pub use cloud::fault::{Fault, Kind as FaultKind};
pub use host::findings;
pub use moment::Moment;
pub use options::{Accel, Cloud, Console, Options, Starts};
pub use pipe::{PIPE_WORD, pipe};
pub use run::{End, Outcome, dry_run, run};
pub use web::Web;
