//! What flows beside the guest: QEMU's stderr, the serial log, the terminal's settings.

use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::ChildStderr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;

use crate::options::{Console, Options};
use crate::process::TICK;
use crate::qemu;

/// How much of the serial log [`crate::Outcome::serial`] holds, from its end.
const SERIAL_MAX: u64 = 4 << 20;

/// The end of the serial log.
pub(crate) fn serial_text(path: &Path) -> Result<String> {
    let mut file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(SERIAL_MAX)))?;
    let mut bytes = Vec::new();
    file.take(SERIAL_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of the serial console without what would move the cursor or change colours.
pub(crate) fn printable(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            if chars.next_if_eq(&'[').is_some() {
                while chars.next_if(|c| !('\x40'..='\x7e').contains(c)).is_some() {}
            }
            chars.next();
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

/// The terminal's settings, put back when QEMU could not do so itself.
pub(crate) struct Terminal(Option<rustix::termios::Termios>);

impl Terminal {
    /// Remembers the settings if stdin is a terminal that QEMU is to use.
    pub(crate) fn keep(interactive: bool) -> Self {
        let stdin = std::io::stdin();
        let there = interactive && stdin.is_terminal();
        Terminal(there.then(|| rustix::termios::tcgetattr(stdin).ok()).flatten())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ =
                rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, settings);
        }
    }
}

/// QEMU's stderr, passed on line by line.
pub(crate) struct Complaints {
    /// KVM gave up.
    broken: Arc<AtomicBool>,
    /// We ended QEMU ourselves and need not be told.
    quiet: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Complaints {
    /// Starts to listen.
    pub(crate) fn listen(stderr: ChildStderr) -> Self {
        let (broken, quiet) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (says_broken, is_quiet) = (broken.clone(), quiet.clone());
        let thread = std::thread::spawn(move || {
            let reader = std::io::BufReader::new(stderr);
            for line in std::io::BufRead::split(reader, b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if line.contains(qemu::KVM_BROKEN) {
                    says_broken.store(true, Ordering::SeqCst);
                }
                if !is_quiet.load(Ordering::SeqCst) {
                    eprintln!("{line}");
                }
            }
        });
        Complaints { broken, quiet, thread }
    }

    /// Whether KVM gave up on the guest.
    pub(crate) fn kvm_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Passes nothing on from here.
    pub(crate) fn hush(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    /// Waits for the last line.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

/// Copies the serial log to where the caller wants it, as it grows.
pub(crate) struct Follower {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts to copy.
    pub(crate) fn start(serial: &Path, options: &Options) -> Result<Self> {
        let mut log = options.serial_log.as_ref().map(fs_err::File::create).transpose()?;
        let show = options.console == Console::Show;
        let over = Arc::new(AtomicBool::new(false));
        if log.is_none() && !show {
            return Ok(Follower { over, thread: None });
        }
        let mut serial = fs_err::File::open(serial)?;
        let is_over = over.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let last = is_over.load(Ordering::SeqCst);
                while let Ok(got @ 1..) = serial.read(&mut buffer) {
                    if let Some(file) = &mut log {
                        let _ = file.write_all(&buffer[..got]);
                    }
                    if show {
                        let _ = std::io::stderr().write_all(&buffer[..got]);
                    }
                }
                if last {
                    return;
                }
                std::thread::sleep(TICK);
            }
        });
        Ok(Follower { over, thread: Some(thread) })
    }

    /// Copies the rest.
    pub(crate) fn stop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_cursor_movements_are_dropped() {
        assert_eq!(printable("\x1b[0;1;31mred\x1b[0m\t\x07x\x1bcy\x1b"), "red\txy");
        assert_eq!(printable("\x1b["), "");
    }
}
