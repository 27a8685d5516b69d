//! Boot tests: the real firmware, the real systemd, our images. About a minute each under emulation, one at
//! a time: two guests would share the processors and only time out.

mod clouds;
mod disks;
mod failures;
mod support;
