//! The update agent: finds out whether its image has a newer version, moves the machine's other slot to it, and reboots
//! when that is allowed.
//!
//! What may be believed is decided by `twinhull-release`, what may be written by `twinhull-slots`, when to reboot by
//! `twinhull-reboot`. Here they meet the machine: [`config`] says what to follow, [`machine`] what runs, [`http`]
//! fetches, `assemble` reuses what is here already, [`memory`] remembers, [`engine`] puts them in order, and [`ops`] is
//! all that can be asked for. [`service`] does it unattended; [`cli`] does it for people.

mod assemble;
pub mod cli;
mod client;
pub mod config;
pub mod engine;
pub mod http;
pub mod journal;
pub mod machine;
pub mod memory;
mod next_root;
pub mod ops;
pub mod restart;
pub mod service;
pub mod status;
