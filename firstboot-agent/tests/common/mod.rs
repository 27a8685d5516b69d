//! A small image in a temporary root, and a metadata service on a port of its own.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

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

/// Answers to come, a queue a path; the last one stays. No answer for a path is a 404.
pub(crate) type Answers = Arc<Mutex<BTreeMap<String, VecDeque<(u16, Vec<u8>)>>>>;

pub(crate) struct Server {
    pub(crate) url: String,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let shared = answers.clone();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let body = Arc::new(Mutex::new(Vec::new()));
        let received = body.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut request = String::new();
                reader.read_line(&mut request).unwrap_or(0);
                let (mut header, mut length) = (String::new(), 0);
                while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
                    let value = header.to_ascii_lowercase();
                    let value = value.strip_prefix("content-length:").map(|v| v.trim().parse().unwrap());
                    length = value.unwrap_or(length);
                    header.clear();
                }
                // Closing a connection with something unread in it resets it, and the answer may be lost.
                let mut sent = Vec::new();
                let _ = (&mut reader).take(length).read_to_end(&mut sent);
                *received.lock().unwrap() = sent;
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(path.clone());
                let (status, body) = match shared.lock().unwrap().get_mut(&path) {
                    Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
                    Some(queue) => queue[0].clone(),
                    None => (404, Vec::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let mut stream = reader.into_inner();
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Server { url, answers, asked, body }
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|p| *p == path).count()
    }

    /// What came with the last request.
    pub(crate) fn last_body(&self) -> String {
        String::from_utf8(self.body.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn set(&self, path: &str, answers: &[(u16, &[u8])]) {
        let queue = answers.iter().map(|(status, body)| (*status, body.to_vec())).collect();
        self.answers.lock().unwrap().insert(path.to_owned(), queue);
    }
}
