//! The command line as its users see it: help, mistakes, and what is left behind after a failure.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod bad_input;
mod doctor;
mod interrupted;
mod modules;
mod release;
mod snapshots;
