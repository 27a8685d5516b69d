//! One way to run a child process: the arguments are logged, the environment is clean, and what the
//! child said on stderr is part of the error.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// Variables a child sees: where things are, and how the network is reached.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy"];

/// How much of a child's stderr an error carries, in bytes.
const STDERR_TAIL: usize = 4096;

/// Errors of a child process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// The program as named.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The program ran and reported failure.
    #[error("`{argv}` failed with {status}{}", after_colon(stderr))]
    Failed {
        /// The command line, quoted for reading.
        argv: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed on stderr.
        stderr: String,
    },
}

fn after_colon(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}

/// A child process to be run with a clean environment: only `PATH`, `HOME`, `TMPDIR`, proxies and
/// what [`Cmd::env`] adds, with `LC_ALL=C.UTF-8` and `TZ=UTC`.
#[derive(Debug)]
pub struct Cmd {
    inner: Command,
}

impl Cmd {
    /// A command for `program`, looked up in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = Command::new(program);
        inner.env_clear();
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                inner.env(name, value);
            }
        }
        inner.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
        Cmd { inner }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Lets the child see all of the caller's environment, for programs whose plugins have variables of their own.
    #[must_use]
    pub fn inherit_env(mut self) -> Self {
        self.inner.envs(std::env::vars_os()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        self
    }

    /// Sets the folder the child starts in.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<std::path::Path>) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Lets the child read the caller's standard input; without this it reads nothing.
    #[must_use]
    pub fn inherit_stdin(mut self) -> Self {
        self.inner.stdin(Stdio::inherit());
        self
    }

    /// The command line, quoted for reading.
    pub fn argv(&self) -> String {
        let words = std::iter::once(self.inner.get_program()).chain(self.inner.get_args());
        words.map(|w| Quoted(w).to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end and returns what it printed on stdout.
    ///
    /// Returns [`Error::Start`] or [`Error::Failed`].
    pub fn output(mut self) -> Result<Vec<u8>, Error> {
        let output = self.inner.output().map_err(|source| self.start_error(source))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let cut = output.stderr.len().saturating_sub(STDERR_TAIL);
        Err(Error::Failed {
            argv: self.argv(),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr[cut..]).trim().to_owned(),
        })
    }

    /// Runs it with the caller's stderr and returns what it printed on stdout: for programs that talk while
    /// they work.
    ///
    /// Returns [`Error::Start`] or [`Error::Failed`].
    pub fn output_of_stdout(mut self) -> Result<Vec<u8>, Error> {
        self.inner.stderr(Stdio::inherit());
        let output = self.inner.output().map_err(|source| self.start_error(source))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(Error::Failed { argv: self.argv(), status: output.status, stderr: String::new() })
    }

    /// Runs it with the caller's stdout and stderr and returns how it ended.
    ///
    /// Returns [`Error::Start`].
    pub fn status(mut self) -> Result<ExitStatus, Error> {
        self.inner.status().map_err(|source| self.start_error(source))
    }

    /// The standard library's command, for callers that need pipes.
    pub fn into_inner(self) -> Command {
        self.inner
    }

    fn start_error(&self, source: io::Error) -> Error {
        Error::Start { program: self.inner.get_program().to_string_lossy().into_owned(), source }
    }
}

/// The program `name` in `PATH`, or `None`.
pub fn which(name: &str) -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|candidate| rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok())
        .map(Into::into)
}

/// A word as a shell would want it quoted.
struct Quoted<'a>(&'a OsStr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            f.write_str(&word)
        } else {
            write!(f, "'{}'", word.replace('\'', r"'\''"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_command_line_and_stderr() {
        let error = Cmd::new("sh").args(["-c", "echo 'no luck' >&2; exit 3"]).output().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c 'echo ") && text.contains("no luck") && text.contains('3'), "{text}");
    }

    #[test]
    fn the_environment_is_clean() {
        let out = Cmd::new("env").env("SEEN", "1").output().unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("SEEN=1") && out.contains("TZ=UTC") && !out.contains("CARGO"), "{out}");
    }
}
