//! The pipe between a guest and a service of ours on the host: QEMU starts `runvm internal-pipe SERVICE` for each
//! connection, as a forward to a socket would be one connection for the whole life of the guest.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::source::sibling;

/// The first argument that makes `runvm` a pipe.
pub const PIPE_WORD: &str = "internal-pipe";

/// What QEMU is to start for each connection to `service`, a port of the loopback or the path of a socket, or why it
/// cannot.
pub(crate) fn pipe_command(helper: Option<&Path>, service: &str) -> Result<String> {
    let helper = helper.map(Path::to_owned).or_else(|| sibling("runvm")).context(
        "the program runvm was not found beside this one or in PATH; QEMU starts it for the guest's \
         connections to services on this host",
    )?;
    let helper = fs_err::canonicalize(helper)?;
    let helper =
        helper.to_str().context("the path of the program runvm is not UTF-8, which QEMU cannot take")?;
    Ok(format!("{} {PIPE_WORD} {}", quoted(helper), quoted(service)))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Copies between stdin/stdout, which QEMU made one socket, and `service`.
///
/// Says nothing: stderr is that same socket. Ends with either side, so nothing is left behind when the
/// guest or the service goes away.
pub fn pipe(service: &OsStr) -> ExitCode {
    let done = match service.to_str().and_then(|text| text.parse().ok()) {
        Some(port) => to_port(port),
        None => to_socket(Path::new(service)),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn to_port(port: u16) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let down = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    between(down.try_clone()?, down, |up| up.shutdown(Shutdown::Write))
}

fn to_socket(path: &Path) -> io::Result<()> {
    // From within the folder, as the kernel limits the paths of sockets to 108 bytes.
    if let Some(dir) = path.parent() {
        std::env::set_current_dir(dir)?;
    }
    let down = UnixStream::connect(path.file_name().unwrap_or_default())?;
    between(down.try_clone()?, down, |up| up.shutdown(Shutdown::Write))
}

fn between<S: Read + Write + Send + 'static>(
    mut up: S,
    mut down: S,
    end: impl FnOnce(&S) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    std::thread::spawn(move || {
        let _ = copy(&mut io::stdin().lock(), &mut up);
        let _ = end(&up);
    });
    copy(&mut down, &mut io::stdout().lock())
}

/// Like `io::copy`, but hands each piece on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => {
                to.write_all(&buffer[..got])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_with_an_odd_name_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it's");
        fs_err::write(&path, "").unwrap();
        let command = pipe_command(Some(&path), "80").unwrap();
        assert!(command.ends_with(r"/it'\''s' internal-pipe '80'"), "{command}");
    }
}
