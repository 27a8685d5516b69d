//! The image builder as a library: the command line, and one module a command.

pub mod build;
mod check;
pub mod cli;
mod convert;
mod guest;
pub mod inspect;
pub mod kept;
mod packages;
mod progress;
mod reproduce;
pub mod source;
