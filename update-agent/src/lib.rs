//! The update agent: finds out whether its image has a newer version, and moves the machine's other slot to it.
//!
//! What may be believed is decided by `twinhull-release`, what may be written by `twinhull-slots`, when to reboot by
//! `twinhull-reboot`. Here they meet the machine: [`config`] says what to follow, [`machine`] what runs, [`http`]
//! fetches, `assemble` reuses what is here already, [`memory`] remembers, and [`engine`] puts them in order.

mod assemble;
pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod machine;
pub mod memory;
