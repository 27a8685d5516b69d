//! A publisher of an image whose machines follow a release folder, on a web server of this host.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use twinhull_tests::{Web, hello_tree, program, run};

/// The image is called `web`.
pub(crate) struct Publisher {
    dir: tempfile::TempDir,
    pub(crate) web: Web,
    /// Where guests of QEMU's user network find the folder.
    pub(crate) url: String,
}

impl Publisher {
    /// With keys, and nothing released.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-update-").tempdir_in("/var/tmp").unwrap();
        fs_err::create_dir(dir.path().join("rel")).unwrap();
        let web = Web::serve(&dir.path().join("rel"), "");
        let url = web.url.replace("127.0.0.1", "10.0.2.2");
        let publisher = Publisher { dir, web, url };
        publisher.builder("keygen keys --image web");
        publisher
    }

    /// Where the server's files are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("rel")
    }

    /// The folder for all of it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn builder(&self, line: &str) {
        run(program("image-builder").args(line.split_whitespace()).current_dir(self.dir.path())).ok();
    }

    /// Builds a version, with `more` in its spec; returns the disk image.
    pub(crate) fn build(&self, version: &str, more: &str) -> PathBuf {
        let spec = self.dir.path().join(format!("{version}.yaml"));
        let text = format!(
            "image: {{id: web, version: {version}}}\ntree: {{tar: {}}}\n\
             updates: {{urls: [\"{}\"], root: keys/1.root.json}}\n{more}",
            hello_tree().display(),
            self.url
        );
        fs_err::write(&spec, text).unwrap();
        let mut build = program("image-builder");
        let out = self.dir.path().join("out");
        run(build.arg("build").arg(spec).args(["--quiet", "--out"]).arg(out)).ok().stdout.trim().into()
    }

    /// Builds a version and puts it into the release folder; no machine follows it yet.
    pub(crate) fn release(&self, version: &str, more: &str) {
        let disk = self.build(version, more);
        let first = !self.folder().join("web").exists();
        let root = if first { "--root keys/1.root.json" } else { "" };
        self.builder(&format!("release {} --to rel {root} --key keys/release.key", disk.display()));
    }

    /// Makes a version the newest one of the channel.
    pub(crate) fn promote(&self, version: &str) {
        self.builder(&format!("promote rel/web {version} --key keys/channel.key"));
    }
}

/// `boot` of a spec with these words on its command line.
pub(crate) fn cmdline(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("boot: {{cmdline: [{}]}}\n", words.join(", "))
}

/// A word of the command line that brings a unit along.
pub(crate) fn unit(name: &str, text: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("systemd.set_credential_binary=systemd.extra-unit.{name}:{text}")
}
