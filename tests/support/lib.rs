//! What the test suites share: the programs under test, the default image, and running foreign tools.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

mod debian;
mod locks;
mod newer;
pub mod trees;

pub use debian::debian;
pub use locks::{Etcd, Locks, Running, spawn};
pub use newer::{Web, newer_nginx, newer_path, newer_program};

/// A finished child process.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; 255 for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Both streams.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics with the output unless the exit code is 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "failed with\n{}", self.text());
        self
    }
}

/// Runs a command to its end. A program that is missing is a failure of the test, never a pass.
pub fn run(command: &mut Command) -> Ran {
    // Where Debian keeps system programs that not every user has in PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|e| panic!("{:?} did not start: {e}", command.get_program()));
    Ran {
        code: output.status.code().unwrap_or(255),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A foreign tool with arguments.
pub fn tool<S: AsRef<std::ffi::OsStr>>(name: &str, args: impl IntoIterator<Item = S>) -> Ran {
    run(Command::new(name).args(args))
}

/// As [`tool`], from a newer Debian than the host's: `cargo xtask test` unpacks it and says where.
pub fn newer_tool<S: AsRef<std::ffi::OsStr>>(name: &str, args: impl IntoIterator<Item = S>) -> Ran {
    let dir = newer::dir();
    // Its own loader and libraries, so that nothing has to be installed.
    let libraries = fs_err::read_dir(dir.join("usr/lib")).expect("the newer tools have libraries");
    let libraries = libraries.filter_map(|e| Some(e.ok()?.path())).find(|p| p.join("libc.so.6").exists());
    let libraries = libraries.expect("the newer tools have a C library");
    let loader = fs_err::read_dir(&libraries).expect("the folder can be read");
    let loader = loader
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ld-linux")));
    run(Command::new(loader.expect("the newer tools have a loader"))
        .arg("--library-path")
        .arg(&libraries)
        .arg(dir.join("usr/bin").join(name))
        .args(args))
}

/// The checkout's top.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a parent folder").to_owned()
}

/// Folder with the release programs; `cargo xtask test` builds them and says where they are.
pub fn bin_dir() -> PathBuf {
    std::env::var_os("TWINHULL_BIN_DIR").map_or_else(|| target().join("release"), PathBuf::from)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// One of our programs, ready for arguments.
pub fn program(name: &str) -> Command {
    let path = bin_dir().join(name);
    assert!(path.exists(), "{} is missing; run the tests with `cargo xtask test`", path.display());
    Command::new(path)
}

/// The default image, built once for all tests of all suites, and its manifest.
#[derive(Debug)]
pub struct Image {
    /// The disk image.
    pub path: PathBuf,
    /// The manifest.
    pub manifest: serde_json::Value,
}

/// Builds examples/hello.yaml, or takes what another test of this run built.
pub fn hello() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let out = target().join("test-images");
        fs_err::create_dir_all(&out).expect("the target folder can be written");
        // Suites are processes of their own; the lock keeps them from building at once.
        let lock = fs_err::File::create(out.join("lock")).expect("the lock file can be made");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock can be taken");
        let spec = top().join("examples/hello.yaml");
        run(program("image-builder").arg("build").arg(spec).arg("--quiet").arg("--out").arg(&out)).ok();
        let manifest =
            fs_err::read_to_string(out.join("hello_1.0.0.manifest.json")).expect("there is a manifest");
        Image {
            path: out.join("hello_1.0.0.raw"),
            manifest: serde_json::from_str(&manifest).expect("the manifest is JSON"),
        }
    })
}

/// The default image in another version or with another content: `from` in its spec is replaced by `to`. Returns the disk
/// image below `dir`.
pub fn hello_with(dir: &Path, from: &str, to: &str) -> PathBuf {
    let text = fs_err::read_to_string(top().join("examples/hello.yaml")).expect("there is the default spec");
    assert!(text.contains(from), "the default spec has no {from:?}");
    fs_err::create_dir_all(dir).expect("the folder can be made");
    let spec = dir.join("hello.yaml");
    fs_err::write(&spec, text.replace(from, to)).expect("the spec can be written");
    let built = run(program("image-builder").args(["build", "--quiet", "--out"]).arg(dir).arg(spec)).ok();
    PathBuf::from(built.stdout.trim())
}

/// The folder of what is kept between runs.
fn cache() -> PathBuf {
    match std::env::var_os("TWINHULL_CACHE") {
        Some(dir) => PathBuf::from(dir),
        None => match std::env::var_os("XDG_CACHE_HOME").filter(|d| !d.is_empty()) {
            Some(dir) => PathBuf::from(dir).join("twinhull"),
            None => PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/twinhull"),
        },
    }
}

/// The cached tree archive that [`hello`] was made from.
pub fn hello_tree() -> PathBuf {
    hello();
    let wanted =
        hello().manifest["tree"]["sha256"].as_str().expect("the manifest has the tree's digest").to_owned();
    let sums = fs_err::read_dir(cache().join("trees")).expect("the cache has trees");
    sums.filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "sha256"))
        .find(|p| fs_err::read_to_string(p).is_ok_and(|t| t.trim() == wanted))
        .map(|p| p.with_extension("tar"))
        .expect("the tree of the default image is cached")
}

/// A partition of the default image by the manifest: offset and length in bytes.
pub fn partition(role: &str) -> (u64, u64) {
    let all = hello().manifest["partitions"].as_array().expect("the manifest has partitions");
    let found = all.iter().find(|p| p["label"] == role).unwrap_or_else(|| panic!("no partition {role}"));
    (found["offset"].as_u64().expect("an offset"), found["size"].as_u64().expect("a size"))
}

/// Copies a range of a file to another, sparsely.
pub fn carve(from: &Path, offset: u64, len: u64, to: &Path) {
    let args = [
        format!("if={}", from.display()),
        format!("of={}", to.display()),
        "bs=1M".into(),
        "iflag=skip_bytes,count_bytes".into(),
        "conv=sparse".into(),
        format!("skip={offset}"),
        format!("count={len}"),
        "status=none".into(),
    ];
    tool("dd", args).ok();
}
