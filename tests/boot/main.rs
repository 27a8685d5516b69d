//! Boot tests: the real firmware, the real systemd, our images. About a minute for a boot under emulation, two guests at a
//! time with a processor each.
//!
//! Tests start in the order of their names: what takes long is in `long` and what doesn't in `short`, so that no processor
//! waits for a single test at the end.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod long {
    mod bad_versions;
    mod bios;
    mod fleet;
    mod kexec;
    mod power;
    mod takeover;
    mod updates;
}
mod short {
    mod both;
    mod clouds;
    mod disks;
    mod edits;
    mod ext4;
    mod failures;
    mod networks;
    mod runvm;
    mod secure_boot;
    mod services;
    mod sysupdate;
}
mod publisher;
mod support;
mod visitor;
