//! What the targets share: readers that take a file get one in memory.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

/// An anonymous file that holds `bytes`.
pub fn file(bytes: &[u8]) -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("fuzz", flags).expect("memfd_create works"));
    file.write_all(bytes).expect("memory can be written");
    file.seek(SeekFrom::Start(0)).expect("memory can be sought");
    file
}
