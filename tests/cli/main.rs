//! The command line as its users see it: help, mistakes, and what is left behind after a failure.

mod bad_input;
mod snapshots;
