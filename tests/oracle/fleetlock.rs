//! Our client of FleetLock and a server over a real etcd: what the protocol promises holds between them, whoever asks at
//! the same time and whatever is started again.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use twinhull_reboot::fleetlock::Answer;
use twinhull_tests::{Etcd, Locks};

/// Starts a lock server.
pub(crate) fn locks(etcd: &Etcd, listen: &str, slots: u32) -> Locks {
    Locks::start(Path::new(env!("CARGO_BIN_EXE_fleetlock-server")), etcd, listen, slots)
}

#[track_caller]
fn full(answer: &Answer) {
    let want = Answer::Retry { reason: "all slots of the group are taken".into() };
    assert_eq!(*answer, want);
}

#[test]
fn fleet_locks_belong_to_one_machine_and_are_recursive() {
    let etcd = Etcd::start();
    let server = locks(&etcd, "127.0.0.1:0", 1);
    let (one, two) = (server.client(1, "web"), server.client(2, "web"));
    // As a machine does at every start.
    assert_eq!(one.unlock(), Answer::Done);
    assert_eq!(one.lock(), Answer::Done);
    assert_eq!(one.lock(), Answer::Done, "recursive");
    full(&two.lock());
    assert_eq!(two.unlock(), Answer::Done, "who has no lock is told the same");
    full(&two.lock());
    assert_eq!(server.client(2, "db").lock(), Answer::Done, "another group");
    assert_eq!(one.unlock(), Answer::Done, "once, however often it was taken");
    assert_eq!(two.lock(), Answer::Done);
    full(&one.lock());

    // The number of slots is the server's; who holds one is known to all servers.
    let wider = locks(&etcd, "127.0.0.1:0", 2);
    assert_eq!(wider.client(1, "web").lock(), Answer::Done);
    full(&wider.client(3, "web").lock());
}

/// Each machine has a server of its own: only etcd keeps them apart.
#[test]
fn fleet_locks_are_never_held_by_two() {
    const ROUNDS: u32 = 15;
    let etcd = Etcd::start();
    let servers = [1, 2].map(|_| locks(&etcd, "127.0.0.1:0", 1));
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
    let server = locks(&etcd, "127.0.0.1:0", 1);
    let (one, two) = (server.client(1, "web"), server.client(2, "web"));
    assert_eq!(one.lock(), Answer::Done);

    let listen = server.url.trim_start_matches("http://").to_owned();
    drop(server);
    for client in [&one, &two] {
        let answer = client.lock();
        assert!(matches!(&answer, Answer::Retry { reason } if reason.starts_with("no answer")), "{answer:?}");
    }
    let _server = locks(&etcd, &listen, 1);
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
