//! When may this machine reboot into an update that is staged?
//!
//! Everything here answers from what it is given: the time, the settings, who is logged in, what a lock server
//! said. Nothing looks at the machine, waits or reboots; that is the update agent's part. [`decide`] puts the
//! answers together, in the sentences that people read who ask why nothing happens.

mod error;
pub mod fleetlock;
mod machine;
mod rollout;
mod sessions;
mod strategy;
mod text;
mod window;
mod zone;

pub use error::{Error, Result};
pub use machine::{AppId, MachineId};
pub use rollout::{Admission, Place, Rollout};
pub use sessions::{Blockers, GRACE, Inhibitor, People, Session, blockers};
pub use strategy::{Decision, FleetLockText, Lock, Strategy, StrategyText, Urge, decide};
pub use window::{Day, WindowText, Windows, WindowsText};
pub use zone::Zones;
