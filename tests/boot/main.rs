//! Boot tests: the real firmware, the real systemd, our images. About a minute each under emulation, one at
//! a time: two guests would share the processors and only time out.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod clouds;
mod disks;
mod ext4;
mod failures;
mod fleet;
mod secure_boot;
mod support;
mod updates;
