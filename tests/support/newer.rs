//! Whole programs of a newer Debian than the host's: in a container of their own, with the host's network and the folders
//! they are given.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `cargo xtask test` unpacks the tools and says where.
pub(crate) fn dir() -> PathBuf {
    let dir = std::env::var_os("TWINHULL_NEWER_TOOLS").map(PathBuf::from);
    dir.expect("TWINHULL_NEWER_TOOLS is not set; run the tests with `cargo xtask test`")
}

/// Where a file of the newer Debian is, by its absolute path there.
pub fn newer_path(path: &str) -> PathBuf {
    dir().join(path.trim_start_matches('/'))
}

/// The program at the absolute path `name` of the newer Debian; it sees `folders` where they are.
pub fn newer_program(name: &str, folders: &[&Path]) -> Command {
    let mut command = Command::new("bwrap");
    command.arg("--ro-bind").arg(dir().join("usr")).arg("/usr");
    for link in ["bin", "sbin", "lib", "lib64"] {
        command.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--die-with-parent"]);
    for file in ["/etc/passwd", "/etc/group"] {
        command.args(["--ro-bind", file, file]);
    }
    for folder in folders {
        command.arg("--bind").arg(folder).arg(folder);
    }
    command.arg("--").arg(name);
    command
}

/// The value of `TWINHULL_NGINX` with which `runvm --serve` uses the newer Debian's nginx; it sees `folders` where they are.
/// Put TMPDIR into one of them.
pub fn newer_nginx(folders: &[&Path]) -> String {
    let command = newer_program("/usr/sbin/nginx", folders);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().expect("paths of tests are UTF-8")).collect();
    assert!(
        words.iter().all(|word| !word.contains(char::is_whitespace)),
        "runvm splits at white space: {words:?}"
    );
    words.join(" ")
}

/// nginx with a folder on a loopback port, until it is dropped.
#[derive(Debug)]
pub struct Web {
    server: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Web {
    /// Serves `folder`; `extra` are directives for nginx's `server` block.
    pub fn serve(folder: &Path, extra: &str) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").expect("there is room");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        drop(listener);
        let at = dir.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let config = format!(
            "daemon off; master_process off; user root; pid {at}/pid; error_log stderr;\n\
             events {{}}\n\
             http {{ access_log {at}/access.log; {temporary}\n\
             server {{ listen {address}; root {}; {extra} }} }}\n",
            folder.display()
        );
        let path = dir.path().join("nginx.conf");
        fs_err::write(&path, config).expect("the configuration can be written");
        let mut server = newer_program("/usr/sbin/nginx", &[dir.path(), folder])
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .expect("nginx starts");
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                let log = dir.path().join("access.log");
                return Web { server, url: format!("http://{address}"), log, _dir: dir };
            }
            if server.try_wait().expect("its state is known").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = server.kill();
        let said = BufReader::new(server.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        panic!("nginx does not answer: {}", said.collect::<Vec<_>>().join("\n"));
    }

    /// The requests so far, a line each.
    pub fn requests(&self) -> Vec<String> {
        fs_err::read_to_string(&self.log).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
