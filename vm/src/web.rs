//! The web server of `--serve`: a real nginx with a folder, in front of one guest.
//!
//! It listens on a socket in our own folder rather than on a port: nobody else on the host reaches it, no port has to
//! be free, and two guests never meet. All its files are named relative to that folder, which spares every question of
//! quoting and of how long the path of a socket may be. It is a single process, so that it can't leave another behind.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_sysutil::command::which;

use crate::cloud::platform::Platform;
use crate::options::Options;
use crate::process::{Supervised, TICK, tethered};
use crate::signals::Signals;

const SOCKET: &str = "web.sock";
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder for the guest, served over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// The folder.
    pub folder: PathBuf,
    /// Gets a line for every request.
    pub log: Option<PathBuf>,
    /// Bytes a second and connection, for a slow server.
    pub rate: Option<u64>,
    /// Further directives for nginx's `server` block, each with its semicolon.
    pub directives: Vec<String>,
    /// The command that is nginx, its words separated by white space; the one in `PATH` when not given.
    pub nginx: Option<String>,
}

/// Where the guest finds the server: inside the user network's own subnet, as nothing else can be forwarded.
pub(crate) fn address(options: &Options) -> String {
    Platform::chosen(options).map_or_else(|| "10.0.2.100".to_owned(), |platform| platform.beside(100))
}

impl Web {
    /// Refuses what can't be served.
    pub(crate) fn check(&self) -> Result<()> {
        let good = fs_err::metadata(&self.folder).context("--serve names a folder")?;
        ensure!(good.is_dir(), "{} is not a folder; --serve names one", self.folder.display());
        ensure!(self.rate != Some(0), "--serve-rate needs at least one byte a second");
        Ok(())
    }

    /// The words that start nginx.
    fn program(&self) -> Result<Vec<OsString>> {
        let words = self.nginx.as_deref().unwrap_or("nginx").split_whitespace();
        let mut words: Vec<OsString> = words.map(Into::into).collect();
        let Some(first) = words.first_mut() else {
            bail!("the command for nginx is empty; leave --nginx and TWINHULL_NGINX out, or name a program");
        };
        let path = Path::new(first);
        let found = if path.components().count() > 1 {
            path.exists().then(|| path.as_os_str().to_owned())
        } else {
            which(&first.to_string_lossy())
        };
        *first = found.with_context(|| {
            format!(
                "{} was not found, which serves the folder of --serve; install the package `nginx-light` (Debian, \
                 Ubuntu) or `nginx` (Fedora, Arch, openSUSE), or say with --nginx or TWINHULL_NGINX how it is started",
                path.display()
            )
        })?;
        Ok(words)
    }

    fn config(&self) -> String {
        // Who isn't root is warned of this directive, and root needs one: nobody's group has many names.
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let log = if self.log.is_some() { "/dev/stdout runvm" } else { "off" };
        let rate = self.rate.map(|rate| format!("limit_rate {rate};\n")).unwrap_or_default();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        format!(
            "{user}daemon off;\nmaster_process off;\npid pid;\nerror_log stderr crit;\n\
             events {{}}\n\
             http {{\n\
             log_format runvm '$msec $connection $status $body_bytes_sent \"$request\" \"$http_range\"';\n\
             access_log {log};\ndefault_type application/octet-stream;\nsendfile on;\n{temporary}\
             server {{\nlisten unix:{SOCKET};\nroot root;\n{rate}{}\n}}\n}}\n",
            self.directives.join("\n")
        )
    }
}

/// The running server; it stops when dropped, and is killed when we are.
#[derive(Debug)]
pub(crate) struct Server {
    nginx: Supervised,
    dir: PathBuf,
}

impl Server {
    /// Starts nginx with its files in the new folder `dir`, and returns when it listens.
    pub(crate) fn start(web: &Web, dir: &Path, signals: &Signals) -> Result<Self> {
        let mut argv = web.program()?;
        fs_err::create_dir(dir)?;
        fs_err::os::unix::fs::symlink(fs_err::canonicalize(&web.folder)?, dir.join("root"))?;
        fs_err::write(dir.join("nginx.conf"), web.config())?;
        let mut prefix = dir.as_os_str().to_owned();
        prefix.push("/");
        argv.extend(["-e", "stderr", "-p"].map(OsString::from));
        argv.extend([prefix, "-c".into(), "nginx.conf".into()]);
        let mut command = tethered(&argv).current_dir(dir).into_inner();
        let log = web.log.as_ref().map(fs_err::File::create).transpose()?;
        command.stdout(log.map_or_else(Stdio::null, |file| file.into_file().into()));
        command.stderr(fs_err::File::create(dir.join("errors"))?.into_file());
        let mut server = Server { nginx: Supervised::start(command, "nginx")?, dir: dir.to_owned() };
        let begun = Instant::now();
        // Written when it listens.
        while !dir.join("pid").exists() {
            server.check()?;
            ensure!(begun.elapsed() < PATIENCE, "nginx does not listen after {} s", PATIENCE.as_secs());
            ensure!(signals.pending().is_none(), "interrupted while nginx was being started");
            std::thread::sleep(TICK);
        }
        Ok(server)
    }

    /// The socket it listens on.
    pub(crate) fn socket(dir: &Path) -> PathBuf {
        dir.join(SOCKET)
    }

    /// Fails when it is no more.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.nginx.ended()? {
            let said = fs_err::read_to_string(self.dir.join("errors")).unwrap_or_default();
            bail!("nginx, which serves the folder of --serve, ended ({status}): {}", said.trim());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn fake(dir: &Path, script: &str) -> Web {
        let nginx = dir.join("nginx");
        fs_err::write(&nginx, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&nginx, std::fs::Permissions::from_mode(0o755)).unwrap();
        let nginx = Some(format!("sh {} first", nginx.display()));
        Web { folder: dir.to_owned(), nginx, log: Some(dir.join("log")), ..Web::default() }
    }

    #[test]
    fn nginx_runs_in_its_folder_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let web = fake(dir.path(), "echo \"$@\"; pwd; echo $$ >pid; exec sleep 60");
        let own = dir.path().join("web");
        let mut server = Server::start(&web, &own, &Signals::default()).unwrap();
        server.check().unwrap();
        let log = fs_err::read_to_string(dir.path().join("log")).unwrap();
        let own = own.display();
        assert_eq!(log, format!("first -e stderr -p {own}/ -c nginx.conf\n{own}\n"));
        let pid = server.nginx.pid();
        drop(server);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn one_that_does_not_start_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let web = fake(dir.path(), "echo no such directive >&2; exit 1");
        let error =
            Server::start(&web, &dir.path().join("web"), &Signals::default()).unwrap_err().to_string();
        assert!(error.contains("no such directive"), "{error}");
        let none = Web { nginx: Some("no-such-nginx".into()), ..web };
        let error = none.program().unwrap_err().to_string();
        assert!(error.contains("nginx-light") && error.contains("TWINHULL_NGINX"), "{error}");
    }

    #[test]
    fn what_is_asked_for_is_in_the_configuration() {
        let web = Web {
            folder: "/".into(),
            log: Some("log".into()),
            rate: Some(1000),
            directives: vec!["max_ranges 0;".into()],
            nginx: None,
        };
        web.check().unwrap();
        for want in ["limit_rate 1000;", "max_ranges 0;", "access_log /dev/stdout runvm;", "listen unix:"] {
            assert!(web.config().contains(want), "{want}: {}", web.config());
        }
        assert!(Web::default().config().contains("access_log off;"));
        assert!(Web { folder: "/etc/passwd".into(), ..Web::default() }.check().is_err());
    }
}
