//! Running a command in a guest of the default image.

use std::path::PathBuf;
use std::process::Command;

use twinhull_tests::{Ran, hello, program, run};

/// runvm on the default image with a time-out and a serial log.
pub(crate) struct Guest {
    pub(crate) dir: tempfile::TempDir,
    image: PathBuf,
    args: Vec<String>,
    /// Seconds until it is taken for dead. A shared machine may be several times slower than a good one.
    timeout: u32,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Guest::of(hello().path.clone())
    }

    pub(crate) fn of(image: PathBuf) -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-boot-").tempdir_in("/var/tmp").unwrap();
        Guest { dir, image, args: Vec::new(), timeout: 900 }
    }

    /// The default image in an output format, which is unpacked by the tools that people would use. Tests that need any
    /// disk take different ones, so that each format boots.
    pub(crate) fn in_format(format: &str) -> Self {
        let guest = Guest::new();
        let at = |name: &str| guest.dir.path().join(name);
        let (file, image) = match format {
            "gcp" => ("hello.tar.gz", "disk.raw"),
            "raw.zst" => ("hello.raw.zst", "hello.raw"),
            "bmap" => ("hello.raw.bmap", "copy.raw"),
            "qcow2" | "vmdk" | "vhd" => ("hello.disk", "hello.disk"),
            _ => panic!("there is no format {format}"),
        };
        let mut convert = program("image-builder");
        convert
            .arg("convert")
            .arg(&hello().path)
            .args(["--quiet", "--format", format, "--out"])
            .arg(at(file));
        run(&mut convert).ok();
        let mut unpack = match format {
            "gcp" => Command::new("tar"),
            "raw.zst" => Command::new("zstd"),
            "bmap" => Command::new("bmaptool"),
            _ => Command::new("true"),
        };
        match format {
            "gcp" => unpack.arg("-xzSf").arg(at(file)).arg("-C").arg(guest.dir.path()),
            "raw.zst" => unpack.args(["-dq", "-o"]).arg(at(image)).arg(at(file)),
            "bmap" => unpack.arg("copy").arg("--bmap").arg(at(file)).arg(&hello().path).arg(at(image)),
            _ => &mut unpack,
        };
        run(&mut unpack).ok();
        let image = at(image);
        Guest { image, ..guest }
    }

    pub(crate) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(str::to_owned));
        self
    }

    /// For guests that boot several times.
    pub(crate) fn patient(self) -> Self {
        Guest { timeout: 3000, ..self }
    }

    /// A file for the guest's use; returns its path.
    pub(crate) fn file(&self, name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> String {
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
            // One processor a guest: two guests at once are through in half the time of one after the other with two.
            .args(["--cpus", "1", "--timeout", &self.timeout.to_string(), "--serial-log"])
            .arg(self.dir.path().join("serial.log"));
        command
    }

    /// Boots, runs `script` in the guest, and returns what it printed.
    pub(crate) fn exec(&self, script: &str) -> Ran {
        run(self.command().arg("--exec").arg(script))
    }

    /// As [`Guest::exec`]. Meanwhile, once the first condition holds, its action is done, then the next one's.
    pub(crate) fn exec_while(&self, script: &str, then: &[Then<'_>]) -> Ran {
        std::thread::scope(|scope| {
            let ran = scope.spawn(|| self.exec(script));
            let mut then = then.iter();
            let mut next = then.next();
            while !ran.is_finished() {
                std::thread::sleep(std::time::Duration::from_secs(1));
                if let Some((holds, act)) = next
                    && holds()
                {
                    act();
                    next = then.next();
                }
            }
            ran.join().unwrap()
        })
    }

    /// Boots until the guest ends by itself.
    pub(crate) fn boot(&self) -> Ran {
        run(self.command().stdin(std::process::Stdio::null()))
    }
}

/// A condition, and what is done once it holds.
pub(crate) type Then<'a> = (&'a dyn Fn() -> bool, &'a dyn Fn());

/// Splits `key=value` lines.
pub(crate) fn values(text: &str) -> std::collections::BTreeMap<String, String> {
    text.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
}

/// A word for the shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
