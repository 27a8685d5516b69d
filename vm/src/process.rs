//! A child that does not outlive us: killed by its own pid when dropped, and by the kernel when we die
//! without the chance to do so.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use twinhull_sysutil::command::{Cmd, which};

/// How long a child may take to end by itself after SIGTERM.
const TERM_PATIENCE: Duration = Duration::from_secs(3);

/// How often waiting loops look around.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// A running child.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    group: bool,
    ended: Option<ExitStatus>,
}

/// A command for `argv` that the kernel kills when the calling thread ends.
///
/// `setpriv` of util-linux sets this up and becomes the program, so the pid is the program's. A host
/// without it still gets the kill on every exit but SIGKILL.
pub(crate) fn tethered(argv: &[OsString]) -> Cmd {
    let words = ["--pdeathsig", "KILL", "--"];
    let setpriv =
        which("setpriv").filter(|program| Cmd::new(program).args(words).arg("true").output().is_ok());
    match setpriv {
        Some(program) => Cmd::new(program).args(words).args(argv),
        None => Cmd::new(&argv[0]).args(&argv[1..]),
    }
}

impl Supervised {
    /// Starts `command`; `name` is what errors call it.
    pub(crate) fn start(mut command: Command, name: &str) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("{name} could not be started"))?;
        Ok(Supervised { child, group: false, ended: None })
    }

    /// Starts `command` as the head of a process group, which is stopped as a whole.
    pub(crate) fn start_group(mut command: Command, name: &str) -> Result<Self> {
        command.process_group(0);
        let mut supervised = Self::start(command, name)?;
        supervised.group = true;
        Ok(supervised)
    }

    /// The standard library's handle, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().context("a child process could not be waited for")?;
        }
        Ok(self.ended)
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        let _ = if self.group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }

    /// Its pid.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it at once, without a word of warning.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.send(Signal::KILL);
            self.ended = Some(self.child.wait().context("a killed child process could not be waited for")?);
        }
        Ok(())
    }

    /// Ends it: SIGTERM, some patience, SIGKILL.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // Not yet waited for, so the pid is still this child's.
        self.send(Signal::TERM);
        let deadline = Instant::now() + TERM_PATIENCE;
        while Instant::now() < deadline {
            if self.ended()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
        self.kill()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_child_is_gone() {
        let argv = ["sleep", "60"].map(OsString::from);
        let mut child = Supervised::start(tethered(&argv).into_inner(), "sleep").unwrap();
        let pid = Pid::from_child(child.child());
        assert!(child.ended().unwrap().is_none());
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let argv = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"].map(OsString::from);
        let mut child = Supervised::start(tethered(&argv).into_inner(), "sh").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        child.stop().unwrap();
        assert!(child.ended().unwrap().is_some());
    }
}
