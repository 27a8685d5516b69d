//! Modules: typed service templates, checked and rendered into files and units.
//!
//! A module is a folder: `module.yaml` says what its templates take (typed [`kind`]s), what they let others know
//! and what they make; `templates/` has the texts. [`library`] finds modules, [`load`] reads one and refuses what
//! isn't documented, and [`plan`] turns the services of a spec into an [`output::Output`]: files, units, needed
//! commands. Nothing here touches an image; configuration goes in as data and comes out as data.

pub mod builtin;
pub mod case;
pub mod docs;
mod engine;
pub mod format;
pub mod kind;
pub mod library;
pub mod load;
pub mod machine;
mod merge;
pub mod model;
pub mod output;
pub mod plan;
mod reader;
mod sandbox;
mod secret;
mod write;

pub use model::Module;
pub use output::{Copied, Output};
pub use plan::{Request, plan};
