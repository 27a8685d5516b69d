//! What can go wrong before another kernel runs.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read, or there is no memory for a copy.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Not a UKI that a kernel could be taken from.
    #[error("the UKI can't be started by kexec: {0}")]
    Uki(String),
    /// A UKI with something that only systemd's stub can give to the kernel.
    #[error("the UKI has a section {0}, which only the firmware's way to the kernel makes use of")]
    Stub(String),
    /// No command line a kernel takes.
    #[error("the command line has {0} bytes, a kernel takes up to 2047, none of them 0")]
    CommandLine(usize),
    /// kexec_file_load(2) failed.
    #[error("the kernel refuses it: {0}{hint}", hint = hint(.0))]
    Refused(std::io::Error),
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => " (kexec is switched off by kernel.kexec_load_disabled or by lockdown)",
        Some(libc::ENOSYS) => " (this kernel was built without kexec)",
        Some(libc::ENOEXEC) => " (that is no kernel it can start)",
        Some(libc::EBUSY) => " (something else is loading a kernel)",
        Some(libc::EKEYREJECTED | libc::ENOKEY | libc::ENODATA | libc::EBADMSG) => {
            " (it wants a signature by a key it knows)"
        }
        _ => "",
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
