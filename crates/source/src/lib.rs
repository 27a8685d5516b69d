//! Text that people write, read so that every mistake in it can be shown where it is.
//!
//! Specs and modules are both YAML that people write. What reads them shares this: a tree whose nodes know their
//! places ([`yaml`]), a report that collects mistakes and shows them with a snippet ([`diagnostic`]), and what a
//! wrong word may have been meant to be ([`suggest`]).

pub mod diagnostic;
pub mod suggest;
pub mod yaml;

pub use diagnostic::{Code, Diagnostic, Diagnostics, MAX_ITEMS, Place, Report, quoted};
