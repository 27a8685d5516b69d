//! Running a command in a guest of the default image.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twinhull_tests::{Ran, hello, program, run};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Holds back every other guest of this suite.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// runvm on the default image with a time-out and a serial log.
pub(crate) struct Guest {
    pub(crate) dir: tempfile::TempDir,
    image: PathBuf,
    args: Vec<String>,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Guest::of(hello().path.clone())
    }

    pub(crate) fn of(image: PathBuf) -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-boot-").tempdir_in("/var/tmp").unwrap();
        Guest { dir, image, args: Vec::new() }
    }

    pub(crate) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(str::to_owned));
        self
    }

    /// A file for the guest's use; returns its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        fs_err::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub(crate) fn serial(&self) -> String {
        let bytes = fs_err::read(self.dir.path().join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// runvm with all arguments, to be started.
    pub(crate) fn command(&self) -> Command {
        let mut command = program("runvm");
        command
            .arg(&self.image)
            .args(&self.args)
            .args(["--timeout", "400", "--serial-log"])
            .arg(self.dir.path().join("serial.log"));
        command
    }

    /// Boots, runs `script` in the guest, and returns what it printed.
    pub(crate) fn exec(&self, script: &str) -> Ran {
        run(self.command().arg("--exec").arg(script))
    }

    /// Boots until the guest ends by itself.
    pub(crate) fn boot(&self) -> Ran {
        run(self.command().stdin(std::process::Stdio::null()))
    }
}

/// Splits `key=value` lines.
pub(crate) fn values(text: &str) -> std::collections::BTreeMap<String, String> {
    text.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
}
