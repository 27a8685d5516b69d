//! Our client of FleetLock and a server over a real etcd: what the protocol promises holds between them, whoever asks at
//! the same time and whatever is started again.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use twinhull_reboot::MachineId;
use twinhull_reboot::fleetlock::{Answer, Client, Options, Server, ServerText};
use twinhull_tests::newer_program;

/// A child process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> Running {
    let started = command.stdin(Stdio::null()).spawn();
    Running(started.unwrap_or_else(|e| panic!("{:?} did not start: {e}", command.get_program())))
}

/// etcd on ports of its own, with its data in a folder of its own.
struct Etcd {
    dir: tempfile::TempDir,
    url: String,
    running: Option<Running>,
}

impl Etcd {
    fn start() -> Self {
        // A port is free when it is looked for; somebody else may be faster.
        for _ in 0..5 {
            let mut etcd = Etcd { dir: tempfile::tempdir().unwrap(), url: free(), running: None };
            if etcd.resume() {
                return etcd;
            }
        }
        panic!("etcd found no port");
    }

    fn log(&self) -> String {
        fs_err::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn stop(&mut self) {
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
    fn resume(&mut self) -> bool {
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
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
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
struct Locks {
    url: String,
    _running: Running,
}

impl Locks {
    fn start(etcd: &Etcd, listen: &str, slots: u32) -> Self {
        let mut running = spawn(
            Command::new(Path::new(env!("CARGO_BIN_EXE_fleetlock-server")))
                .args(["--listen", listen, "--etcd", &etcd.url, "--slots", &slots.to_string()])
                .stdout(Stdio::piped()),
        );
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://"), "the server said {line:?}");
        Locks { url: line.trim().to_owned(), _running: running }
    }

    fn client(&self, machine: u128, group: &str) -> Client {
        let server = Server::new(&ServerText { url: self.url.clone(), group: group.into() }).unwrap();
        let id = MachineId::parse(&format!("{machine:032x}")).unwrap().app_specific();
        Client::new(&server, &id, &Options::default()).unwrap()
    }
}

#[track_caller]
fn full(answer: &Answer) {
    let want = Answer::Retry { reason: "all slots of the group are taken".into() };
    assert_eq!(*answer, want);
}

#[test]
fn fleet_locks_belong_to_one_machine_and_are_recursive() {
    let etcd = Etcd::start();
    let locks = Locks::start(&etcd, "127.0.0.1:0", 1);
    let (one, two) = (locks.client(1, "web"), locks.client(2, "web"));
    // As a machine does at every start.
    assert_eq!(one.unlock(), Answer::Done);
    assert_eq!(one.lock(), Answer::Done);
    assert_eq!(one.lock(), Answer::Done, "recursive");
    full(&two.lock());
    assert_eq!(two.unlock(), Answer::Done, "who has no lock is told the same");
    full(&two.lock());
    assert_eq!(locks.client(2, "db").lock(), Answer::Done, "another group");
    assert_eq!(one.unlock(), Answer::Done, "once, however often it was taken");
    assert_eq!(two.lock(), Answer::Done);
    full(&one.lock());

    // The number of slots is the server's; who holds one is known to all servers.
    let wider = Locks::start(&etcd, "127.0.0.1:0", 2);
    assert_eq!(wider.client(1, "web").lock(), Answer::Done);
    full(&wider.client(3, "web").lock());
}

/// Each machine has a server of its own: only etcd keeps them apart.
#[test]
fn fleet_locks_are_never_held_by_two() {
    const ROUNDS: u32 = 15;
    let etcd = Etcd::start();
    let servers = [1, 2].map(|_| Locks::start(&etcd, "127.0.0.1:0", 1));
    let (inside, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let begun = Instant::now();
    thread::scope(|scope| {
        for (machine, server) in (1..).zip(&servers) {
            let client = server.client(machine, "web");
            let (inside, refused) = (&inside, &refused);
            scope.spawn(move || {
                let mut rounds = 0;
                while rounds < ROUNDS {
                    assert!(begun.elapsed() < Duration::from_secs(120), "{rounds} rounds only");
                    match client.lock() {
                        Answer::Done => {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "both hold the lock");
                            // Long enough for the other to ask.
                            thread::sleep(Duration::from_millis(20));
                            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1, "both hold the lock");
                            assert_eq!(client.unlock(), Answer::Done);
                            rounds += 1;
                            thread::sleep(Duration::from_millis(5));
                        }
                        answer => {
                            full(&answer);
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    assert!(refused.into_inner() > 0, "the machines must have competed");
}

#[test]
fn fleet_locks_outlive_servers_and_etcd() {
    let mut etcd = Etcd::start();
    let locks = Locks::start(&etcd, "127.0.0.1:0", 1);
    let (one, two) = (locks.client(1, "web"), locks.client(2, "web"));
    assert_eq!(one.lock(), Answer::Done);

    let listen = locks.url.trim_start_matches("http://").to_owned();
    drop(locks);
    for client in [&one, &two] {
        let answer = client.lock();
        assert!(matches!(&answer, Answer::Retry { reason } if reason.starts_with("no answer")), "{answer:?}");
    }
    let _locks = Locks::start(&etcd, &listen, 1);
    full(&two.lock());
    assert_eq!(one.lock(), Answer::Done, "still its own");

    etcd.stop();
    for client in [&one, &two] {
        let answer = client.lock();
        assert!(
            matches!(&answer, Answer::Retry { reason } if reason.starts_with("etcd doesn't answer")),
            "{answer:?}"
        );
    }
    assert!(etcd.resume(), "the port was taken meanwhile:\n{}", etcd.log());
    full(&two.lock());
    assert_eq!(one.lock(), Answer::Done, "still its own");
    assert_eq!(one.unlock(), Answer::Done);
    assert_eq!(two.lock(), Answer::Done);
}
