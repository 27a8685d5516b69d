//! Two machines of a fleet with one lock for both, which a real FleetLock server over etcd gives out: they move to the new
//! version one after the other, and are never down together.

use std::path::Path;

use twinhull_tests::{Etcd, Locks};

use super::updates::SOON;
use crate::publisher::Publisher;
use crate::support::{Guest, values};

/// Prints when the machine went down and when it was up again, in seconds since 1970, by its own clock.
const TIMES: &str = "down=$(journalctl -b -1 -o short-unix --no-pager -n 1 | cut -d. -f1) \
                     up=$(journalctl -b 0 -o short-unix --no-pager -u twinhull-update -n 1 --grep='runs for the first' | cut -d. -f1); \
                     echo down=$down; echo up=$up";

#[test]
fn two_machines_with_one_lock_are_never_down_together() {
    let publisher = Publisher::new();
    let etcd = Etcd::start();
    let locks = Locks::start(Path::new(env!("CARGO_BIN_EXE_fleetlock-server")), &etcd, "127.0.0.1:0", 1);
    let old = publisher.build("1", "");
    publisher.release("2", "");
    publisher.promote("2");
    let script = format!(
        "echo state=$(systemctl is-system-running --wait); . /usr/lib/os-release; echo version=$IMAGE_VERSION; \
         test $IMAGE_VERSION = 2 || sleep 3000; \
         systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; \
         until update-agent status | grep -q idle; do sleep 2; done; {TIMES}"
    );
    let server = serde_json::json!({ "url": locks.url.replace("127.0.0.1", "10.0.2.2"), "group": "pair" });
    let user_data =
        SOON.replace('{', &format!("{{\"reboot\": {{\"fleet-lock\": {{\"server\": {server}}}}}, "));
    let machines = ["one", "two"].map(|name| {
        let guest = Guest::of(old.clone()).patient();
        let user_data = guest.file("user-data", &user_data);
        let disk = publisher.dir().join(name);
        let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
        guest.args(["--persist", disk.to_str().unwrap()])
    });
    let ran = std::thread::scope(|scope| {
        let running = machines.each_ref().map(|guest| scope.spawn(|| guest.exec(&script)));
        running.map(|ran| ran.join().unwrap())
    });
    let mut times: Vec<(u64, u64)> = Vec::new();
    for (ran, guest) in ran.iter().zip(&machines) {
        let got = values(&ran.stdout);
        let said = || format!("{}\n{}", ran.text(), guest.serial());
        assert_eq!(got.get("version").map(String::as_str), Some("2"), "{}", said());
        let time = |name: &str| got[name].parse().unwrap_or_else(|_| panic!("{name}: {}", said()));
        times.push((time("down"), time("up")));
    }
    times.sort_unstable();
    assert!(times[0].0 < times[0].1 && times[0].1 < times[1].0, "down together: {times:?}");
    let granted = locks.granted();
    let (mut holder, mut taken) = (None, 0);
    for line in &granted {
        // Every machine says that it is well when it starts, too.
        let (what, who) = line.split_once(' ').unwrap();
        if what == "pre-reboot" {
            assert!(holder.is_none_or(|holder| holder == who), "the lock was given out twice: {granted:?}");
            (holder, taken) = (Some(who), taken + 1);
        } else if holder == Some(who) {
            holder = None;
        }
    }
    assert_eq!((holder, taken), (None, 2), "{granted:?}");
}
