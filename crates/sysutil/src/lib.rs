//! What every binary needs of the host: child processes, atomic file replacement, ordered work on several
//! threads, keeping results, sizes for people.

pub mod atomic;
pub mod command;
pub mod digest;
pub mod finding;
pub mod ordered;
pub mod size;
pub mod sparse;
pub mod store;
