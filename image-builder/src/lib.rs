//! The image builder as a library: the command line, and one module a command.

pub mod build;
mod check;
pub mod cli;
mod convert;
mod diff;
mod doctor;
mod dpkg;
mod explain;
mod graph;
mod guest;
mod image;
pub mod inspect;
pub mod kept;
mod modules;
mod new_module;
mod numbers;
mod packages;
mod progress;
mod release;
mod reproduce;
mod sbom;
mod secure_boot;
mod signatures;
pub mod source;
mod svg;
mod test_module;
mod usage;
