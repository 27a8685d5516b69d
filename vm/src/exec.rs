//! `--exec`: a command in the guest, without a network, a login or anything prepared in the image.
//!
//! systemd (256 and later) makes units of credentials, so the unit, its script and the command travel as
//! SMBIOS strings. The unit's text is constant: script and command are credentials of their own, which
//! spares every question of quoting. Two virtio-serial ports lead back: one is the raw output, of any
//! bytes, up to the end of the file; the other carries the line `exit N`. As output and status do not
//! share a stream there is nothing a command could print that looks like a status.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::process::TICK;
use crate::smbios;

/// The ports: QEMU's id, the socket's name, the port's name in the guest. The first is the output.
pub(crate) const PORTS: [(&str, &str, &str); 2] = [
    ("exec-output", "output.sock", "org.twinhull.exec.output"),
    ("exec-status", "status.sock", "org.twinhull.exec.status"),
];

/// How long the guest may take to power off after the command ended.
pub(crate) const POWEROFF_PATIENCE: Duration = Duration::from_secs(120);

/// What fits beside the script in the SMBIOS strings, once it is base64.
const COMMAND_MAX: usize = 40 * 1024;

/// Captured output is refused beyond this.
const CAPTURE_MAX: usize = 256 << 20;

/// The longest path of a UNIX socket, with room for the file's name.
const SOCKET_DIR_MAX: usize = 90;

const SCRIPT: &str = include_str!("exec-guest.sh");

/// `Type=exec` and no default dependencies: the unit starts behind the boot and its job is done at once,
/// so the boot counts as finished while the command runs. In the initrd the condition stops it. It is stopped as others
/// are: what is only killed counts as running at first after a soft-reboot, and isn't started.
const UNIT: &str = "\
[Unit]
Description=Command of runvm --exec
DefaultDependencies=no
After=multi-user.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=!/etc/initrd-release
FailureAction=poweroff

[Service]
Type=exec
ExecStart=/bin/sh %d/runvm.exec.script
ImportCredential=runvm.exec.*
RuntimeDirectory=runvm-exec
WorkingDirectory=-/root
Environment=HOME=/root USER=root LOGNAME=root SHELL=/bin/sh TERM=dumb
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
StandardOutput=journal+console
StandardError=journal+console
OOMPolicy=continue
TasksMax=infinity
";

const DROPIN: &str = "[Unit]\nWants=runvm-exec.service\n";

/// The OEM strings that make the guest run `command`.
pub(crate) fn strings(command: &str) -> Result<Vec<String>> {
    ensure!(!command.contains('\0'), "the command of --exec holds a zero byte, which no shell can be given");
    ensure!(
        command.len() <= COMMAND_MAX,
        "the command of --exec is {} bytes long, and a guest is given {COMMAND_MAX} at most; \
         put it in a file on a disk (--extra-disk)",
        command.len()
    );
    Ok(vec![
        smbios::credential("systemd.extra-unit.runvm-exec.service", UNIT.as_bytes()),
        smbios::credential("systemd.unit-dropin.multi-user.target~50-runvm-exec", DROPIN.as_bytes()),
        smbios::credential("runvm.exec.script", SCRIPT.as_bytes()),
        smbios::credential("runvm.exec.command", command.as_bytes()),
    ])
}

/// What came back so far.
#[derive(Debug, Default)]
struct Heard {
    status: Option<u8>,
    output: Vec<u8>,
    failure: Option<String>,
}

/// The host's ends of the ports.
#[derive(Debug)]
pub(crate) struct Channel {
    dir: PathBuf,
    /// Only when `dir` is not the caller's.
    own: Option<TempDir>,
    heard: Arc<Mutex<Heard>>,
    over: Arc<AtomicBool>,
    readers: Vec<JoinHandle<()>>,
}

/// A folder for sockets in place of `dir`, when its path is too long: the kernel limits those of sockets to 108 bytes.
pub(crate) fn socket_dir(dir: &Path) -> Result<Option<TempDir>> {
    let long = dir.as_os_str().len() > SOCKET_DIR_MAX;
    let make = || tempfile::Builder::new().prefix("runvm-").tempdir_in("/tmp");
    long.then(make).transpose().context("no folder for sockets could be made in /tmp")
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Channel {
    /// Listens in `dir`, before QEMU starts and connects.
    pub(crate) fn listen(dir: &Path, capture: bool) -> Result<Self> {
        let own = socket_dir(dir)?;
        let dir = own.as_ref().map_or(dir, TempDir::path).to_owned();
        let mut channel =
            Channel { dir, own, heard: Arc::default(), over: Arc::default(), readers: Vec::with_capacity(2) };
        for (at, (_, socket, _)) in PORTS.iter().enumerate() {
            let path = channel.dir.join(socket);
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("no socket for the guest could be made at {}", path.display()))?;
            listener.set_nonblocking(true).context("a socket could not be set up")?;
            let (heard, over) = (channel.heard.clone(), channel.over.clone());
            channel.readers.push(std::thread::spawn(move || {
                if let Some(stream) = accept(&listener, &over) {
                    if at == 0 { read_output(stream, &heard, capture) } else { read_status(stream, &heard) }
                }
            }));
        }
        Ok(channel)
    }

    /// Where the sockets are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The command's exit status, once it is known.
    pub(crate) fn status(&self) -> Option<u8> {
        lock(&self.heard).status
    }

    /// Why the output cannot be passed on any more.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.heard).failure.clone()
    }

    /// Reads what is left; call it when QEMU is gone.
    pub(crate) fn finish(mut self) -> (Option<u8>, Vec<u8>) {
        self.over.store(true, Ordering::SeqCst);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        drop(self.own.take());
        let mut heard = lock(&self.heard);
        (heard.status, std::mem::take(&mut heard.output))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// QEMU's connection, or `None` when it ended without one.
fn accept(listener: &UnixListener, over: &AtomicBool) -> Option<UnixStream> {
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).ok()?;
            return Some(stream);
        }
        if over.load(Ordering::SeqCst) {
            return None;
        }
        std::thread::sleep(TICK);
    }
}

fn read_output(mut stream: UnixStream, heard: &Mutex<Heard>, capture: bool) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let got = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(got) => &buffer[..got],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let failure = if capture {
            let mut heard = lock(heard);
            let room = heard.output.len() + got.len() <= CAPTURE_MAX;
            if room {
                heard.output.extend_from_slice(got);
            }
            (!room).then(|| format!("the command printed more than {} MiB", CAPTURE_MAX >> 20))
        } else {
            let mut stdout = std::io::stdout().lock();
            stdout
                .write_all(got)
                .and_then(|()| stdout.flush())
                .err()
                .map(|error| format!("the command's output could not be written to stdout: {error}"))
        };
        if failure.is_some() {
            lock(heard).failure = failure;
            return;
        }
    }
}

/// Takes the first good line; a guest that reboots behind the command's end may run it again.
fn read_status(stream: UnixStream, heard: &Mutex<Heard>) {
    let mut text = Vec::new();
    for byte in std::io::BufReader::new(stream).bytes() {
        match byte {
            Ok(b'\n') => {
                let mut heard = lock(heard);
                heard.status = heard.status.or_else(|| parse_status(&text));
                text.clear();
            }
            Ok(byte) if text.len() < 64 => text.push(byte),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn parse_status(line: &[u8]) -> Option<u8> {
    std::str::from_utf8(line).ok()?.strip_prefix("exit ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(dir: &Path, at: usize, bytes: &[u8]) {
        UnixStream::connect(dir.join(PORTS[at].1)).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn output_and_status_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let channel = Channel::listen(dir.path(), true).unwrap();
        talk(channel.dir(), 0, b"exit 9\n\0\xff");
        talk(channel.dir(), 1, b"noise\nexit 300\nexit 3\nexit 4\n");
        assert_eq!(channel.finish(), (Some(3), b"exit 9\n\0\xff".to_vec()));
    }

    #[test]
    fn a_guest_that_never_connects_leaves_no_thread_waiting() {
        let deep = tempfile::tempdir().unwrap();
        let deep = deep.path().join("d".repeat(100));
        fs_err::create_dir_all(&deep).unwrap();
        let channel = Channel::listen(&deep, true).unwrap();
        let sockets = channel.dir().to_owned();
        assert_ne!(sockets, deep, "too long for a socket");
        assert_eq!(channel.finish(), (None, Vec::new()));
        assert!(!sockets.exists());
    }

    #[test]
    fn any_command_travels_whole() {
        use base64::Engine as _;
        let command = "echo \"$HOME\" '%n' \\\n\t, ünï\n\n";
        let strings = strings(command).unwrap();
        let text = strings[3].strip_prefix("io.systemd.credential.binary:runvm.exec.command=").unwrap();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(text).unwrap(), command.as_bytes());
        smbios::check(&strings).unwrap();
        smbios::check(&super::strings(&"ü".repeat(COMMAND_MAX / 2)).unwrap()).unwrap();
        assert!(super::strings("a\0b").is_err());
        assert!(super::strings(&"x".repeat(COMMAND_MAX + 1)).is_err());
    }

    #[test]
    fn the_script_is_good_shell() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs_err::write(&path, SCRIPT).unwrap();
        twinhull_sysutil::command::Cmd::new("sh").arg("-n").arg(&path).output().unwrap();
    }
}
