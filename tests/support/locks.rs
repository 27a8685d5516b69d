//! A fleet's lock server over a real etcd.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use twinhull_reboot::MachineId;
use twinhull_reboot::fleetlock::{Client, Options, Server, ServerText};

use crate::newer_program;

/// A child process that ends with its test.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program without input.
pub fn spawn(command: &mut Command) -> Running {
    let started = command.stdin(Stdio::null()).spawn();
    Running(started.unwrap_or_else(|e| panic!("{:?} did not start: {e}", command.get_program())))
}

/// etcd on ports of its own, with its data in a folder of its own.
#[derive(Debug)]
pub struct Etcd {
    dir: tempfile::TempDir,
    url: String,
    running: Option<Running>,
}

impl Etcd {
    /// Starts one with no data.
    pub fn start() -> Self {
        // A port is free when it is looked for; somebody else may be faster.
        for _ in 0..5 {
            let mut etcd = Etcd { dir: tempfile::tempdir().unwrap(), url: free(), running: None };
            if etcd.resume() {
                return etcd;
            }
        }
        panic!("etcd found no port");
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs_err::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it; its data stays.
    pub fn stop(&mut self) {
        self.running = None;
        // Its container ends first, and takes it along a moment later.
        let address = self.url.trim_start_matches("http://");
        let begun = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(10), "etcd goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it with the data it had, and waits until it answers; false when it ended instead.
    pub fn resume(&mut self) -> bool {
        let (peer, dir) = (free(), self.dir.path());
        let log = fs_err::File::create(dir.join("log")).unwrap().into_file();
        let mut running = spawn(
            newer_program("/usr/bin/etcd", &[dir])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .arg("--data-dir")
                .arg(dir.join("data"))
                .args(["--listen-client-urls", &self.url, "--advertise-client-urls", &self.url])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .arg(format!("--initial-cluster=default={peer}"))
                .stdout(log.try_clone().unwrap())
                .stderr(log),
        );
        let http = twinhull_http::builder().no_proxy().build().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if running.0.try_wait().unwrap().is_some() {
                assert!(self.log().contains("address already in use"), "etcd ended:\n{}", self.log());
                return false;
            }
            let health = http.get(format!("{}/health", self.url)).send().and_then(|r| r.text());
            if health.is_ok_and(|text| text.contains("true")) {
                self.running = Some(running);
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("etcd doesn't answer:\n{}", self.log());
    }
}

fn free() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Our server, and where it listens.
#[derive(Debug)]
pub struct Locks {
    /// Its address.
    pub url: String,
    granted: Arc<Mutex<Vec<String>>>,
    _running: Running,
}

impl Locks {
    /// Starts the program `server` on the address `listen`.
    pub fn start(server: &Path, etcd: &Etcd, listen: &str, slots: u32) -> Self {
        let mut running = spawn(
            Command::new(server)
                .args(["--listen", listen, "--etcd", &etcd.url, "--slots", &slots.to_string()])
                .stdout(Stdio::piped()),
        );
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.next().unwrap_or_default();
        assert!(url.starts_with("http://"), "the server said {url:?}");
        let granted = Arc::new(Mutex::new(Vec::new()));
        let kept = granted.clone();
        thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        Locks { url, granted, _running: running }
    }

    /// What was granted so far: `pre-reboot` or `steady-state`, and who asked, as JSON.
    pub fn granted(&self) -> Vec<String> {
        self.granted.lock().unwrap().clone()
    }

    /// Our client, of the machine with this machine id.
    pub fn client(&self, machine: u128, group: &str) -> Client {
        let server = Server::new(&ServerText { url: self.url.clone(), group: group.into() }).unwrap();
        let id = MachineId::parse(&format!("{machine:032x}")).unwrap().app_specific();
        Client::new(&server, &id, &Options::default()).unwrap()
    }
}
