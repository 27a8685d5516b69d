//! Oracle tests: a foreign tool must accept what we wrote, and find in it what we put there.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod bill;
mod bios;
mod bridge;
mod databases;
mod differences;
mod erofs;
mod export;
mod ext4;
mod fleetlock;
mod https;
mod image;
mod install;
mod secure_boot;
mod service;
mod updates;
