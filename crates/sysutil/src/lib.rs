//! What every binary needs of the host: child processes, atomic file replacement, sizes for people.

pub mod atomic;
pub mod command;
pub mod digest;
pub mod size;
