//! One line for each step, where a person in front of a serial console sees it.
//!
//! The unit sends standard output to journal and console; `<4>` and `<3>` at the start of a line are taken
//! off by systemd and become its priority. User data and secrets never come here.

use std::io::Write;

use crate::yaml::printable;

/// Where lines go.
pub struct Console<'a> {
    out: &'a mut dyn Write,
    failures: usize,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("failures", &self.failures).finish_non_exhaustive()
    }
}

impl<'a> Console<'a> {
    /// A console that writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Console { out, failures: 0 }
    }

    /// Something was done.
    pub fn info(&mut self, line: impl AsRef<str>) {
        self.line("", line.as_ref());
    }

    /// Something was tolerated.
    pub fn warn(&mut self, line: impl AsRef<str>) {
        self.line("<4>", line.as_ref());
    }

    /// Something that was asked for is not so; strict mode will stop here.
    pub fn fail(&mut self, line: impl AsRef<str>) {
        self.failures += 1;
        self.line("<3>", line.as_ref());
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.failures > 0
    }

    fn line(&mut self, level: &str, line: &str) {
        // A console that can't be written to must not keep a machine from booting.
        let _ = writeln!(self.out, "{level}{}", line.lines().map(printable).collect::<Vec<_>>().join(" "));
        let _ = self.out.flush();
    }
}
