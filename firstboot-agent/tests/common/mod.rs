//! A small image in a temporary root.

use std::path::PathBuf;

use firstboot_agent::clock::Boottime;
use firstboot_agent::console::Console;
use firstboot_agent::source::Host;
use firstboot_agent::{Result, initrd};

pub(crate) struct Machine {
    _dir: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) host: PathBuf,
}

impl Machine {
    pub(crate) fn new(source: &str, cmdline: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine { root: dir.path().join("sysroot"), host: dir.path().join("host"), _dir: dir };
        for (path, text) in [
            ("usr/share/factory/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("usr/share/factory/etc/group", "root:x:0:\nadm:x:4:\n"),
            ("usr/share/factory/etc/shadow", "root:*:1:0:99999:7:::\n"),
            ("usr/share/factory/etc/gshadow", "root:*::\nadm:*::\n"),
            ("usr/share/factory/etc/hostname", "image\n"),
            ("usr/share/factory/etc/motd", "image\n"),
            ("usr/share/factory/etc/ssl/certs/a.pem", "a\n"),
            ("usr/share/factory/etc/ssl/certs/sub/b.pem", "b\n"),
            ("usr/lib/systemd/system/ssh.service", "[Service]\n"),
            (
                "usr/lib/tmpfiles.d/00-twinhull-etc.conf",
                "d /etc 0755 0 0 -\nd /etc/ssl 0755 0 0 -\nC /etc/passwd 0644 0 0 - /usr/share/factory/etc/passwd\n\
                 C /etc/group 0644 0 0 - /usr/share/factory/etc/group\nL /etc/motd - - - - ../usr/share/factory/etc/motd\n\
                 L /etc/hostname - - - - ../usr/share/factory/etc/hostname\n\
                 L /etc/ssl/certs - - - - ../../usr/share/factory/etc/ssl/certs\n",
            ),
        ] {
            machine.write(path, text);
        }
        for dir in ["etc", "var/lib"] {
            fs_err::create_dir_all(machine.root.join(dir)).unwrap();
        }
        for dir in ["proc", "run/twinhull", "dev/disk/by-label"] {
            fs_err::create_dir_all(machine.host.join(dir)).unwrap();
        }
        machine.boot_with(source, cmdline);
        machine
    }

    pub(crate) fn boot_with(&self, source: &str, cmdline: &str) {
        fs_err::write(self.host.join("run/twinhull/source"), source).unwrap();
        fs_err::write(self.host.join("proc/cmdline"), format!("quiet {cmdline}\n")).unwrap();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.root.join(path)).unwrap()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    /// One boot: /etc is empty again.
    pub(crate) fn boot(&self) -> (Result<()>, String) {
        std::fs::remove_dir_all(self.root.join("etc")).unwrap();
        fs_err::create_dir_all(self.root.join("etc")).unwrap();
        let host = Host { root: self.host.clone(), clock: &Boottime };
        let mut out = Vec::new();
        let result = initrd::run(&self.root, &host, 1, &mut Console::new(&mut out));
        (result, String::from_utf8(out).unwrap())
    }

    /// A boot that must succeed.
    pub(crate) fn boots(&self) -> String {
        let (result, out) = self.boot();
        result.unwrap_or_else(|e| panic!("{e}\n{out}"));
        out
    }

    pub(crate) fn seed(&self, files: &[(&str, &str)]) {
        let dir = self.host.join("dev/disk/by-label/cidata");
        let _ = std::fs::remove_dir_all(&dir);
        fs_err::create_dir_all(&dir).unwrap();
        for (name, text) in files {
            fs_err::write(dir.join(name), text).unwrap();
        }
    }
}
