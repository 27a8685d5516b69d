//! A TPM 2.0 for the guest: swtpm, which QEMU talks to by a socket and which keeps its state in a folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use twinhull_sysutil::command::which;

use crate::process::{Supervised, TICK, tethered};
use crate::signals::Signals;

/// How long swtpm may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A TPM that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Tpm {
    _swtpm: Supervised,
}

/// Where the state of the TPM of the overlay `path` is kept.
pub(crate) fn state_beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".tpm");
    name.into()
}

/// The socket in the folder `dir`.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("tpm.sock")
}

impl Tpm {
    /// Starts a TPM with its state in the folder `state`, which is made, and its socket in `dir`.
    pub(crate) fn start(state: &Path, dir: &Path, signals: &Signals) -> Result<Self> {
        let program = which("swtpm").context(
            "--tpm needs swtpm, which was not found; install the package `swtpm` (Debian, Ubuntu, Fedora, Arch)",
        )?;
        fs_err::create_dir_all(state).context("the TPM has no place for its state")?;
        let socket = socket(dir);
        let mut folder = OsString::from("dir=");
        folder.push(state);
        let mut control = OsString::from("type=unixio,path=");
        control.push(&socket);
        // `--terminate`: it ends when QEMU does, whatever becomes of us.
        let mut words: Vec<OsString> = vec![program];
        words.extend(
            ["socket", "--tpm2", "--terminate", "--flags", "startup-clear", "--tpmstate"].map(OsString::from),
        );
        words.extend([folder, "--ctrl".into(), control]);
        let mut command = tethered(&words).into_inner();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut swtpm = Supervised::start(command, "swtpm")?;
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            if let Some(status) = swtpm.ended()? {
                bail!("swtpm ended at once with {status}; is {} in use by another guest?", state.display());
            }
            if Instant::now() > deadline || signals.pending().is_some() {
                bail!("swtpm did not listen on {} within {} s", socket.display(), PATIENCE.as_secs());
            }
            std::thread::sleep(TICK);
        }
        Ok(Tpm { _swtpm: swtpm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let state = state_beside(&dir.path().join("disk.qcow2"));
        assert!(state.ends_with("disk.qcow2.tpm"));
        let tpm = Tpm::start(&state, dir.path(), &Signals::default()).unwrap();
        assert!(std::os::unix::net::UnixStream::connect(socket(dir.path())).is_ok());
        drop(tpm);
        assert!(std::os::unix::net::UnixStream::connect(socket(dir.path())).is_err());
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        let error = Tpm::start(&file, dir.path(), &Signals::default()).unwrap_err();
        assert!(error.to_string().contains("no place for its state"), "{error}");
    }
}
