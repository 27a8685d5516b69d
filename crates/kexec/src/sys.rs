//! kexec_file_load(2), for which no library has a safe call. The only unsafe code of the workspace.

use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `KEXEC_FILE_UNLOAD` of linux/kexec.h.
const UNLOAD: libc::c_ulong = 1;

/// Loads a kernel and its initrd, each the whole content of a file.
pub(crate) fn load(kernel: BorrowedFd<'_>, initrd: BorrowedFd<'_>, cmdline: &CStr) -> Result<()> {
    file_load(kernel.as_raw_fd(), initrd.as_raw_fd(), cmdline, 0)
}

/// Forgets what was loaded.
pub(crate) fn unload() -> Result<()> {
    file_load(-1, -1, c"", UNLOAD)
}

#[allow(unsafe_code)]
fn file_load(kernel: i32, initrd: i32, cmdline: &CStr, flags: libc::c_ulong) -> Result<()> {
    // SAFETY: the kernel reads `count_bytes` bytes at the pointer, which are those of a CStr, and keeps neither it nor
    // the descriptors. What it starts later is up to reboot(2), which isn't called here.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            libc::c_long::from(kernel),
            libc::c_long::from(initrd),
            cmdline.count_bytes() + 1,
            cmdline.as_ptr(),
            flags,
        )
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
