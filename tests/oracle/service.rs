//! The update agent as a service, on a real bus with a logind that says what a test wants it to say. The machine is the
//! one of `updates`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use twinhull_tests::{Etcd, Running, spawn};
use zbus::blocking::Connection;
use zbus::proxy::CacheProperties;
use zbus::zvariant::OwnedObjectPath;

use crate::fleetlock::locks;
use crate::updates::World;

#[zbus::proxy(
    interface = "org.twinhull.Update1",
    default_service = "org.twinhull.Update1",
    default_path = "/org/twinhull/Update1",
    gen_async = false
)]
trait Update1 {
    fn check(&self) -> zbus::Result<String>;
    fn fetch(&self, now: bool) -> zbus::Result<String>;
    fn apply(&self, now: bool) -> zbus::Result<String>;
    fn reboot(&self, force: bool, through: &str) -> zbus::Result<String>;
    fn rollback(&self) -> zbus::Result<String>;
    fn hold(&self, version: &str) -> zbus::Result<String>;
    fn release(&self, version: &str) -> zbus::Result<String>;
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn phase(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn why(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn next(&self) -> zbus::Result<String>;
}

/// What logind is to say, and what it was asked to do.
#[derive(Debug, Default)]
struct Said {
    inhibitor: bool,
    /// Terminal of somebody who is logged in, below /dev.
    tty: Option<String>,
    reboots: u32,
    /// Reboots that were not like others.
    flags: Vec<u64>,
}

struct Logind(Arc<Mutex<Said>>);

const SESSION: &str = "/org/freedesktop/login1/session/_31";

/// The session of whoever is logged in.
struct Session(Arc<Mutex<Said>>);

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn name(&self) -> &str {
        "ann"
    }

    #[zbus(property)]
    fn class(&self) -> &str {
        "user"
    }

    #[zbus(property, name = "TTY")]
    fn tty(&self) -> String {
        self.0.lock().unwrap().tty.clone().unwrap_or_default()
    }

    #[zbus(property)]
    fn remote(&self) -> bool {
        true
    }
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    fn list_inhibitors(&self) -> Vec<(String, String, String, String, u32, u32)> {
        let one = ("shutdown".into(), "backup".into(), "it runs".into(), "block".into(), 0, 1);
        if self.0.lock().unwrap().inhibitor { vec![one] } else { Vec::new() }
    }

    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let one = ("1".into(), 1000, "ann".into(), String::new(), SESSION.try_into().unwrap());
        if self.0.lock().unwrap().tty.is_some() { vec![one] } else { Vec::new() }
    }

    fn reboot(&self, _interactive: bool) {
        self.0.lock().unwrap().reboots += 1;
    }

    fn reboot_with_flags(&self, flags: u64) {
        self.0.lock().unwrap().flags.push(flags);
    }
}

/// A bus with a logind on it.
struct Bus {
    address: String,
    said: Arc<Mutex<Said>>,
    connection: Connection,
    _logind: Connection,
    _daemon: Running,
}

impl Bus {
    fn start(world: &World) -> Self {
        let config = world.at("bus.conf");
        let text = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><policy context=\"default\">\
             <allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow receive_sender=\"*\"/></policy></busconfig>",
            world.at("bus").display()
        );
        fs_err::write(&config, text).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg("--config-file").arg(&config).args(["--nofork", "--print-address"]);
        let mut daemon = spawn(daemon.stdout(Stdio::piped()));
        let mut address = String::new();
        BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let said = Arc::new(Mutex::new(Said::default()));
        let connect = || zbus::blocking::connection::Builder::address(address.as_str()).unwrap();
        let logind = connect()
            .serve_at("/org/freedesktop/login1", Logind(said.clone()))
            .unwrap()
            .serve_at(SESSION, Session(said.clone()))
            .unwrap()
            .name("org.freedesktop.login1")
            .unwrap();
        let (logind, connection) = (logind.build().unwrap(), connect().build().unwrap());
        Bus { address, said, connection, _logind: logind, _daemon: daemon }
    }

    /// The service of a machine, once it is there.
    fn service(&self, world: &World) -> (Running, Update1Proxy<'_>) {
        let log = fs_err::OpenOptions::new().append(true).create(true).open(world.at("log")).unwrap();
        let runtime = world.at("run");
        fs_err::create_dir_all(&runtime).unwrap();
        let mut command = world.agent_command("service");
        command
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .env("RUNTIME_DIRECTORY", &runtime)
            .stderr(log.into_file());
        let running = spawn(&mut command);
        let proxy = Update1Proxy::builder(&self.connection).cache_properties(CacheProperties::No);
        let proxy = proxy.build().unwrap();
        until(world, || proxy.version().is_ok());
        (running, proxy)
    }
}

/// Waits until something is so.
fn until(world: &World, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        let log = || fs_err::read_to_string(world.at("log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(60), "it never happens:\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn configure(world: &World, machine: Value) {
    fs_err::write(world.at("machine.json"), machine.to_string()).unwrap();
}

#[test]
fn the_service_installs_what_is_newer_and_reboots_when_it_may() {
    let world = World::new();
    world.publish();
    configure(&world, json!({ "reboot": "immediate", "first-check": "0s" }));
    let bus = Bus::start(&world);
    bus.said.lock().unwrap().inhibitor = true;
    let (running, proxy) = bus.service(&world);
    until(&world, || proxy.phase().unwrap() == "waiting");
    assert_eq!(proxy.next().unwrap(), "1.1.0");
    assert_eq!(proxy.why().unwrap(), "A reboot is inhibited by backup (it runs).");
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+3.efi\n");
    // Killed and started again, it goes on from what is there.
    drop(running);
    until(&world, || proxy.version().is_err());
    let (_running, proxy) = bus.service(&world);
    until(&world, || proxy.phase().unwrap() == "waiting");
    assert_eq!(bus.said.lock().unwrap().reboots, 0);
    let metrics = fs_err::read_to_string(world.at("run/metrics.prom")).unwrap();
    for line in [
        "twinhull_update_info{image=\"hello\",version=\"1.0.0\"} 1",
        "twinhull_update_phase{phase=\"waiting\"} 1",
        "twinhull_update_reboot_pending 1",
        "twinhull_update_last_check_success 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let mut socket = UnixStream::connect(world.at("run/metrics.sock")).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with(&metrics), "{answer}");
    bus.said.lock().unwrap().inhibitor = false;
    assert_eq!(proxy.reboot(false, "").unwrap(), r#"{"next":"1.1.0"}"#);
    until(&world, || bus.said.lock().unwrap().reboots == 1);
    assert_eq!(proxy.phase().unwrap(), "rebooting");
    let history = world.agent("history").ok().stdout;
    let told: Vec<&str> = history.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    let want = [
        "1.0.0 runs for the first time",
        "1.1.0 was installed",
        "1.1.0 is what the machine was rebooted for",
    ];
    assert_eq!(told, want);
}

/// What the firmware alone checks goes through the firmware, and keeps all its tries.
#[test]
fn a_faster_way_that_a_machine_cant_take_is_the_firmwares() {
    let world = World::new();
    world.publish();
    let variable = world.at("root/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    fs_err::create_dir_all(variable.parent().unwrap()).unwrap();
    fs_err::write(variable, [6, 0, 0, 0, 1]).unwrap();
    let machine = json!({ "reboot": "immediate", "reboot-through": "soft-reboot", "first-check": "0s" });
    configure(&world, machine);
    let bus = Bus::start(&world);
    let (_running, proxy) = bus.service(&world);
    let error = proxy.reboot(true, "grub").unwrap_err().to_string();
    assert!(error.contains("\"grub\" is neither firmware, kexec nor soft-reboot"), "{error}");
    until(&world, || bus.said.lock().unwrap().reboots == 1);
    assert!(bus.said.lock().unwrap().flags.is_empty());
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+3.efi\n");
    let log = fs_err::read_to_string(world.at("log")).unwrap();
    for way in ["soft-reboot", "kexec"] {
        assert!(log.contains(&format!("1.1.0 can't be started by {way}: Secure Boot is on")), "{log}");
    }
}

#[test]
fn the_service_does_what_it_is_asked() {
    let world = World::new();
    configure(&world, json!({ "first-check": "1h" }));
    let bus = Bus::start(&world);
    let (running, proxy) = bus.service(&world);
    assert_eq!(proxy.check().unwrap(), r#"{"newer":null,"newest":"1.0.0","running":"1.0.0"}"#);
    let error = proxy.reboot(false, "").unwrap_err().to_string();
    assert!(error.contains("nothing is installed"), "{error}");
    let error = proxy.rollback().unwrap_err().to_string();
    assert!(error.contains("no other version that has proved to be good"), "{error}");
    world.publish();
    proxy.hold("1.1.0").unwrap();
    assert_eq!(proxy.apply(true).unwrap(), r#"{"result":"held","version":"1.1.0"}"#);
    proxy.hold("").unwrap();
    let status = world.status();
    assert_eq!(status["held"], json!({ "all": true, "versions": ["1.1.0"] }));
    let error = proxy.release("7").unwrap_err().to_string();
    assert!(error.contains("neither held nor given up"), "{error}");
    proxy.release("").unwrap();
    proxy.hold("1.1.0").unwrap();
    let error = proxy.hold("../1").unwrap_err().to_string();
    assert!(error.contains("version"), "{error}");
    drop(running);
    until(&world, || proxy.version().is_err());
    // A release is a wish: the service looks at once.
    world.agent("release 1.1.0").ok();
    let (_running, proxy) = bus.service(&world);
    assert!(proxy.fetch(true).unwrap().contains("fetched"));
    assert_eq!(world.entries(), "hello_1.0.0.efi\n", "nothing boots what was only fetched");
    let applied: Value = serde_json::from_str(&proxy.apply(true).unwrap()).unwrap();
    assert_eq!(applied["result"], "staged");
    // All but the UKI was here.
    assert!(applied["fetched"].as_u64().unwrap() < 200_000, "{applied}");
    // Nobody asked for the reboot, and the image says that somebody has to.
    until(&world, || proxy.phase().unwrap() == "waiting");
    assert!(proxy.why().unwrap().contains("manual"), "{}", proxy.why().unwrap());
    // What is installed and held isn't booted.
    proxy.hold("1.1.0").unwrap();
    assert_eq!(world.entries(), "hello_1.0.0.efi\n");
    assert_eq!(bus.said.lock().unwrap().reboots, 0);
}

#[test]
fn people_are_told_before_a_reboot_and_have_time_to_leave() {
    let world = World::new();
    world.publish();
    configure(&world, json!({ "reboot": "immediate", "first-check": "0s" }));
    let bus = Bus::start(&world);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    // Somebody has it open, as a shell would.
    let _shell = fs_err::OpenOptions::new().read(true).write(true).open(&name).unwrap();
    bus.said.lock().unwrap().tty = Some(name.trim_start_matches("/dev/").to_owned());
    let (_running, proxy) = bus.service(&world);
    until(&world, || proxy.phase().unwrap() == "waiting");
    let why = proxy.why().unwrap();
    assert!(why.starts_with("Logged in: ann over the network on pts/"), "{why}");
    let mut screen = [0; 4096];
    let read = std::fs::File::from(terminal).read(&mut screen).unwrap();
    let screen = String::from_utf8_lossy(&screen[..read]).into_owned();
    assert!(screen.contains("This machine reboots into its update 1.1.0 at "), "{screen:?}");
    proxy.reboot(false, "").unwrap();
    until(&world, || proxy.phase().unwrap() == "waiting");
    assert_eq!(bus.said.lock().unwrap().reboots, 0, "ten minutes are not over");
    bus.said.lock().unwrap().tty = None;
    proxy.reboot(false, "").unwrap();
    until(&world, || bus.said.lock().unwrap().reboots == 1);
}

#[test]
fn somebody_goes_back_to_the_version_before() {
    let world = World::new();
    world.publish();
    world.agent("apply").ok();
    world.boots_the_new_version();
    assert_eq!(world.agent("rollback").ok().stdout, "the machine boots 1.0.0 next\n");
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+0.efi\n");
    let slot = &world.status()["slots"][1];
    assert_eq!(
        (&slot["state"], &slot["reason"]),
        (&json!("failed"), &json!("somebody went back from it to 1.0.0"))
    );
}

#[test]
fn a_lock_is_taken_before_a_reboot_and_given_back_after_it() {
    let world = World::new();
    world.publish();
    let etcd = Etcd::start();
    let server = locks(&etcd, "127.0.0.1:0", 1);
    let other = server.client(7, "web");
    assert_eq!(other.lock(), twinhull_reboot::fleetlock::Answer::Done);
    let lock = json!({ "fleet-lock": { "server": { "url": server.url, "group": "web" } } });
    configure(&world, json!({ "reboot": lock, "first-check": "0s" }));
    let bus = Bus::start(&world);
    // What can't be written down is no reason not to reboot.
    fs_err::create_dir_all(world.at("state/history.json")).unwrap();
    let (running, proxy) = bus.service(&world);
    until(&world, || proxy.phase().unwrap() == "waiting");
    let want = "The lock server gave no lock to reboot in the group web (all slots of the group are taken).";
    assert_eq!(proxy.why().unwrap(), want);
    assert_eq!(other.unlock(), twinhull_reboot::fleetlock::Answer::Done);
    until(&world, || bus.said.lock().unwrap().reboots == 1);
    assert!(
        matches!(other.lock(), twinhull_reboot::fleetlock::Answer::Retry { .. }),
        "the lock is the machine's"
    );
    drop(running);
    until(&world, || proxy.version().is_err());
    // While it is on trial it may have to reboot again.
    world.boots_the_new_version();
    let entry = |name: &str| world.at("esp/EFI/Linux").join(name);
    fs_err::rename(entry("hello_1.1.0.efi"), entry("hello_1.1.0+2-1.efi")).unwrap();
    let (_running, proxy) = bus.service(&world);
    until(&world, || proxy.phase().unwrap() == "trial");
    assert!(
        matches!(other.lock(), twinhull_reboot::fleetlock::Answer::Retry { .. }),
        "the lock is the machine's"
    );
    fs_err::rename(entry("hello_1.1.0+2-1.efi"), entry("hello_1.1.0.efi")).unwrap();
    until(&world, || matches!(other.lock(), twinhull_reboot::fleetlock::Answer::Done));
    until(&world, || proxy.phase().unwrap() == "idle");
}
