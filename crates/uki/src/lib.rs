//! Unified kernel images: kernel, initrd, command line and identity as sections of systemd's EFI stub
//! (UAPI.5 Unified Kernel Image).
//!
//! [`build`] appends sections to the stub's PE file the way `ukify` does; [`sections`] reads them back.

mod error;
mod pe;

pub use error::{Error, Result};
pub use pe::{Machine, Section, build, machine, section, section_places, section_table, sections};

/// Machine that a Linux kernel image is for, read from its EFI stub's PE header.
///
/// Returns [`Error::NotPe`] for a kernel without EFI stub.
pub fn kernel_machine(kernel: &[u8]) -> Result<Machine> {
    machine("kernel", kernel)
}
