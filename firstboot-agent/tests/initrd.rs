//! Whole boots on a temporary root, as root: files get the owners they get on a machine.

// Helpers of tests aren't tests to clippy.
#![allow(clippy::unwrap_used)]

mod common;
mod server;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Duration;

use common::Machine;
use firstboot_agent::check_in;
use firstboot_agent::clock::Boottime;
use firstboot_agent::console::Console;
use firstboot_agent::outcome::{Basis, Outcome};
use firstboot_agent::source::Host;
use firstboot_agent::store::Store;
use server::Server;

const METADATA: &str = "/hetzner/v1/metadata";
const USER_DATA: &str = "/hetzner/v1/userdata";

fn metadata(id: u32) -> Vec<u8> {
    format!(
        "instance-id: {id}\nhostname: boxy\npublic-keys: ['ssh-ed25519 AAAAx me']\nnetwork-config:\n  version: 1\n  config:\n  \
         - type: physical\n    name: eth0\n    mac_address: '96:00:00:08:19:da'\n    subnets:\n    \
         - {{type: dhcp, ipv4: true}}\n    - {{ipv6: true, address: '2a01:4f8::1/64', gateway: 'fe80::1'}}\n"
    )
    .into_bytes()
}

const DATA: &[u8] = b"#twinhull\nusers:\n- {name: ann, ssh-keys: [ssh-ed25519 AAAAann], groups: [adm]}\nfiles:\n\
    - {path: /etc/motd, content: mine}\n- {path: /etc/ssl/certs/sub/c.pem, content: c}\n\
    - {path: /home/ann/note, content: s3cret, owner: ann, group: ann, mode: 0600}\n\
    units:\n- {name: app.service, enable: true, content: \"[Service]\\nExecStart=true\\n\"}\n- {name: ssh.service, enable: true}\n";

fn hetzner(server: &Server, extra: &str) -> Machine {
    Machine::new(
        "hetzner",
        &format!("twinhull.metadata-url={} twinhull.provision-timeout=1 {extra}", server.url),
    )
}

#[test]
fn a_first_boot_and_one_without_metadata() {
    let server = Server::new();
    server.set(METADATA, &[(500, b"".as_slice()), (200, metadata(42).as_slice())]);
    server.set(USER_DATA, &[(200, DATA)]);
    let machine = hetzner(&server, "");
    let out = machine.boots();
    assert!(out.contains("hetzner: instance 42, host name boxy, 1 key, 1 interface, user data "), "{out}");
    assert!(!out.contains("s3cret") && !out.contains("<3>"), "{out}");
    let check = || {
        assert_eq!(machine.read("etc/hostname"), "boxy\n");
        assert_eq!(machine.read("etc/ssh/authorized_keys.d/root"), "ssh-ed25519 AAAAx me\n");
        assert_eq!(machine.read("etc/ssh/authorized_keys.d/ann"), "ssh-ed25519 AAAAann\n");
        assert!(machine.read("etc/systemd/network/10-twinhull-0.network").contains("GatewayOnLink=yes"));
        assert!(machine.read("etc/passwd").ends_with("ann:x:1000:1000::/home/ann:/bin/sh\n"));
        assert_eq!(machine.read("etc/motd"), "mine");
        assert_eq!(
            machine.read("etc/systemd/system/multi-user.target.wants/app.service"),
            "[Service]\nExecStart=true\n"
        );
        let note = fs_err::metadata(machine.root.join("var/home/ann/note")).unwrap();
        assert_eq!((note.uid(), note.gid(), note.permissions().mode() & 0o777), (1000, 1000, 0o600));
        let id = fs_err::metadata(machine.root.join("etc/machine-id")).unwrap();
        assert_eq!(id.permissions().mode() & 0o777, 0o444);
    };
    check();
    let provision = machine.root.join("var/lib/twinhull/provision");
    assert_eq!(fs_err::metadata(&provision).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs_err::metadata(provision.join("user-data")).unwrap().permissions().mode() & 0o777, 0o600);
    let id = machine.read("etc/machine-id");
    machine.write("var/lib/twinhull/ssh/key", "k");
    machine.write("var/home/ann/note", "changed by ann");
    // An outage: nothing is lost, and what is in /var stays as people left it.
    server.set(METADATA, &[(503, b"".as_slice())]);
    let out = machine.boots();
    assert!(
        out.contains("<4>GET ") && out.contains("status 503") && out.contains("earlier boot stored"),
        "{out}"
    );
    fs_err::set_permissions(
        machine.root.join("var/home/ann/note"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    check();
    assert_eq!(machine.read("var/home/ann/note"), "changed by ann");
    assert_eq!(machine.read("etc/machine-id"), id);
    assert!(machine.has("var/lib/twinhull/ssh/key"));
    // Nothing answers at all.
    machine.boot_with(
        "hetzner",
        "twinhull.metadata-url=http://127.0.0.1:1 twinhull.provision-timeout=1 twinhull.provision=strict",
    );
    machine.boots();
    check();
}

#[test]
fn another_instance_is_another_machine() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(1).as_slice())]);
    server.set(USER_DATA, &[(204, b"".as_slice())]);
    let machine = hetzner(&server, "");
    assert!(machine.boots().contains("no user data"));
    let id = machine.read("etc/machine-id");
    machine.write("var/lib/twinhull/ssh/key", "k");
    machine.boots();
    assert_eq!(machine.read("etc/machine-id"), id);
    server.set(METADATA, &[(200, b"hostname: no-id\n".as_slice())]);
    assert!(!machine.boots().contains("new machine"));
    assert!(machine.read("var/lib/twinhull/provision/machine.json").contains("\"instance_id\": \"1\""));
    server.set(METADATA, &[(200, metadata(2).as_slice())]);
    assert!(machine.boots().contains("this is a new machine"));
    assert_ne!(machine.read("etc/machine-id"), id);
    assert!(!machine.has("var/lib/twinhull/ssh/key"));
    assert!(!machine.has("var/lib/twinhull/.provision.new"));
}

#[test]
fn bad_answers_never_stop_a_boot_unless_strict() {
    let big = vec![b'a'; 300 << 10];
    for (answer, want) in [
        ((404, &b""[..]), "there is nothing (204 or 404)"),
        ((401, b""), "status 401"),
        ((302, b""), "redirects aren't followed"),
        ((200, b"<html>hello</html>"), "it is text"),
        ((200, b"\xff\xfe"), "UTF-8"),
        ((200, &big), "more than 262144 bytes"),
    ] {
        let server = Server::new();
        server.set(METADATA, &[answer]);
        let machine = hetzner(&server, "");
        let out = machine.boots();
        let line = out.lines().find(|l| l.starts_with("<3>")).unwrap_or_default();
        assert!(line.contains(want) && line.contains(METADATA), "{out}");
        assert!(machine.has("etc/machine-id") && !machine.has("var/lib/twinhull/provision"));
        machine
            .boot_with("hetzner", &format!("twinhull.metadata-url={} twinhull.provision=strict", server.url));
        let (result, _) = machine.boot();
        assert!(result.unwrap_err().to_string().contains("strict"));
        assert!(machine.has("etc/machine-id"));
    }
}

#[test]
fn bad_user_data_leaves_keys_and_network() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(1).as_slice())]);
    let big = vec![b'#'; (1 << 20) + 1];
    let wrong: String = (0..500).map(|n| format!("k{n}: 1\n")).collect();
    let wrong = format!("#cloud-config\n{wrong}");
    for (data, want) in [
        (&b"#cloud-config\nruncmd: [s3cret]\n"[..], "line 2, column 9: `runcmd` can't be had here"),
        (b"#!/bin/sh\n", "this is a script"),
        (
            b"{\"ignition\": {\"version\": \"3.0.0\"}, \"storage\": {\"luks\": [{}]}}",
            "<3>user data, storage.luks[0]: `luks` can't be had here",
        ),
        (
            b"{\"ignition\": {\"version\": \"3.0.0\"}, \"systemd\": {\"units\": [{\"name\": \"bare.service\", \"enabled\": true}]}}",
            "<3>user data, systemd.units[0]: unit `bare.service` can't be enabled",
        ),
        (b"#twinhull\ntime-zone: Europe/Berlin\n", "has no such time zone"),
        (b"#twinhull\nntp: [a]\n", "has no systemd-timesyncd"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"#twinhull\nfiles:\n- {path: /usr/x, content: s3cret}\n- {path: /etc/y}\n", "line 3, column 10"),
        (b"#twinhull\nusers: [{name: ann, groups: [nope], sudo: true}]\n", "no group `nope`"),
        (b"#twinhull\nfiles: [{path: /etc/motd/x, content: a}]\n", "the image has /etc/motd"),
        (b"#twinhull\nfiles: [{path: /etc/x, content: a, owner: nobody}]\n", "there is no user `nobody`"),
        (b"#twinhull\nunits: [{name: no.service, enable: true}]\n", "no such unit"),
        (&big, "more than 1048576 bytes"),
        (wrong.as_bytes(), "<3>user data: 460 more; "),
    ] {
        server.set(USER_DATA, &[(200, data)]);
        let machine = hetzner(&server, "");
        machine.write("usr/lib/systemd/system/bare.service", "[Service]\n");
        let out = machine.boots();
        assert!(out.contains(want) && out.contains("<3>user data") && !out.contains("s3cret"), "{out}");
        assert!(machine.has("etc/ssh/authorized_keys.d/root"));
        assert!(machine.has("etc/systemd/network/10-twinhull-0.network"));
        assert!(!machine.has("etc/passwd") && !machine.has("var/lib/twinhull/provision/user-data"));
    }
    // Good first and bad later: the good one stays.
    server.set(USER_DATA, &[(200, DATA)]);
    let machine = hetzner(&server, "");
    machine.boots();
    server.set(USER_DATA, &[(200, b"#!/bin/sh\n".as_slice())]);
    let out = machine.boots();
    assert!(out.contains("stored is used instead"), "{out}");
    assert_eq!(machine.read("etc/motd"), "mine");
}

/// As a cloud hands out what Butane made, and what a tool then compressed.
#[test]
fn ignition_in_gzip() {
    let document = r#"{"ignition": {"version": "3.4.0"},
        "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAAcore"], "uid": 1234}]},
        "storage": {
            "directories": [{"path": "/etc/ssl/certs/sub", "mode": 448}, {"path": "/var/lib/app", "user": {"name": "core"}}],
            "files": [{"path": "/etc/hostname", "contents": {"source": "data:,fromign%0A"}},
                {"path": "/etc/ssl/certs/sub/c.pem", "contents": {"source": "data:,c"}},
                {"path": "/var/lib/app/x", "mode": 384, "contents": {"source": "data:,s3cret"}}],
            "links": [{"path": "/etc/localtime", "target": "../usr/share/zoneinfo/Europe/Berlin"},
                {"path": "/etc/ssl/certs/a.pem", "target": "/dev/null"}]},
        "systemd": {"units": [
            {"name": "app.service", "enabled": true, "contents": "[Service]\nExecStart=true\n[Install]\nWantedBy=a.target\nAlias=b.service\n"},
            {"name": "ssh.service", "enabled": true}, {"name": "cups.service", "mask": true}]}}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, document.as_bytes()).unwrap();
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(1).as_slice())]);
    server.set(USER_DATA, &[(200, &gzip.finish().unwrap())]);
    let machine = hetzner(&server, "");
    machine.write("usr/share/zoneinfo/Europe/Berlin", "zone");
    machine.write("usr/lib/systemd/system/ssh.service", "[Service]\n[Install]\nWantedBy=multi-user.target\n");
    for _ in 0..2 {
        let out = machine.boots();
        assert!(
            out.contains(
                "user data: Ignition: 1 host name, 1 time zone, 1 user, 2 files, 2 folders, 1 link, 3 units\n"
            ),
            "{out}"
        );
        assert!(!out.contains('<') && !out.contains("s3cret"), "{out}");
        let link =
            |path: &str| fs_err::read_link(machine.root.join(path)).unwrap().to_string_lossy().into_owned();
        assert_eq!(machine.read("etc/hostname"), "fromign\n");
        assert_eq!(machine.read("etc/localtime"), "zone");
        assert_eq!(link("etc/ssl/certs/a.pem"), "/dev/null");
        assert_eq!(machine.read("etc/ssl/certs/sub/b.pem"), "b\n");
        assert_eq!(machine.read("etc/ssl/certs/sub/c.pem"), "c");
        assert_eq!(link("etc/systemd/system/a.target.wants/app.service"), "../app.service");
        assert_eq!(link("etc/systemd/system/b.service"), "app.service");
        assert_eq!(
            link("etc/systemd/system/multi-user.target.wants/ssh.service"),
            "/usr/lib/systemd/system/ssh.service"
        );
        assert_eq!(link("etc/systemd/system/cups.service"), "/dev/null");
        let meta = |path: &str| {
            let meta = fs_err::metadata(machine.root.join(path)).unwrap();
            (meta.uid(), meta.permissions().mode() & 0o7777)
        };
        assert_eq!(meta("etc/ssl/certs/sub"), (0, 0o700));
        assert_eq!(meta("var/lib/app"), (1234, 0o755));
        assert_eq!(meta("var/lib/app/x"), (0, 0o600));
    }
}

#[test]
fn clock_credentials_and_keys() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(1).as_slice())]);
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/cloud-config\n\n\
        ntp: {servers: [a.example, b.example]}\nssh_authorized_keys: [ssh-ed25519 AAAAmore]\ntimezone: UTC\n\
        --b\n\n#systemd-userdata\n{\"systemd.credentials\": [{\"name\": \"db\", \"text\": \"s3cret\"}, {\"name\": \"tls\", \"encrypted\": \"aGk=\"}]}\n--b--\n";
    server.set(USER_DATA, &[(200, message.as_bytes())]);
    let machine = hetzner(&server, "");
    machine.write("usr/lib/systemd/system/systemd-timesyncd.service", "[Service]\n");
    let out = machine.boots();
    let summary =
        "user data: cloud-config + systemd-userdata: 1 time zone, 2 time servers, 1 key, 2 credentials\n";
    assert!(out.contains(summary) && !out.contains("s3cret"), "{out}");
    assert_eq!(
        machine.read("etc/systemd/timesyncd.conf.d/90-twinhull.conf"),
        "[Time]\nNTP=a.example b.example\n"
    );
    assert_eq!(
        machine.read("etc/ssh/authorized_keys.d/root"),
        "ssh-ed25519 AAAAx me\nssh-ed25519 AAAAmore\n"
    );
    assert_eq!(machine.read("etc/credstore/db"), "s3cret");
    assert_eq!(machine.read("etc/credstore.encrypted/tls"), "hi");
    let mode = |path: &str| fs_err::metadata(machine.root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("etc/credstore"), mode("etc/credstore/db")), (0o700, 0o600));
    let link = fs_err::read_link(machine.root.join("etc/localtime")).unwrap();
    assert_eq!(link.to_str(), Some("../usr/share/zoneinfo/UTC"));
}

#[test]
fn disks() {
    let machine = Machine::new("local", "");
    let out = machine.boots();
    assert!(out.contains("no metadata source here") && !out.contains('<'), "{out}");
    let meta =
        |id: &str| format!("instance-id: {id}\nlocal-hostname: {id}\npublic-keys: [ssh-ed25519 AAAAx]\n");
    machine.seed(&[
        ("meta-data", &meta("i-1")),
        ("user-data", "#twinhull\nhostname: chosen\n"),
        ("vendor-data", "x"),
    ]);
    let out = machine.boots();
    assert!(out.contains("<4>nocloud: vendor-data is ignored"), "{out}");
    assert_eq!(machine.read("etc/hostname"), "chosen\n");
    let out = machine.boots();
    assert!(out.contains("nocloud: instance i-1") && !out.contains("is ignored; remove"), "{out}");
    // Whatever else a medium says is ignored, and so is that there is none.
    let other_keys = meta("i-1").replace("AAAAx", "AAAAevil");
    for files in [
        vec![("meta-data", meta("i-1"))],
        vec![("meta-data", meta("i-2"))],
        vec![("meta-data", other_keys), ("user-data", "#twinhull\nhostname: chosen\n".into())],
    ] {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        machine.seed(&files);
        let out = machine.boots();
        assert!(out.contains("says something else") && out.contains("it is ignored"), "{out}");
        assert_eq!(machine.read("etc/hostname"), "chosen\n");
        assert_eq!(machine.read("etc/ssh/authorized_keys.d/root"), "ssh-ed25519 AAAAx\n");
    }
    std::fs::remove_dir_all(machine.host.join("dev/disk/by-label/cidata")).unwrap();
    machine.boots();
    assert_eq!(machine.read("etc/hostname"), "chosen\n");
    machine.boot_with("off", "");
    machine.boots();
    assert_eq!(machine.read("etc/hostname"), "chosen\n");
    // The way to have it read anew keeps the machine what it is.
    let id = machine.read("etc/machine-id");
    std::fs::remove_dir_all(machine.root.join("var/lib/twinhull/provision")).unwrap();
    machine.boot_with("local", "");
    machine.seed(&[("meta-data", &meta("i-2"))]);
    machine.boots();
    assert_eq!((machine.read("etc/hostname"), machine.read("etc/machine-id")), ("i-2\n".into(), id));
}

#[test]
fn nocloud_over_the_network() {
    let server = Server::new();
    server.set("/x/meta-data", &[(200, b"instance-id: n-1\n".as_slice())]);
    let machine = Machine::new("nocloud-net", &format!("ds=nocloud;h=named;s={}/x", server.url));
    let out = machine.boots();
    assert!(out.contains("nocloud: instance n-1, host name named, 0 keys"), "{out}");
    assert_eq!(machine.read("etc/hostname"), "named\n");
}

/// The check-in of a boot: whether everybody was told, and what the console says.
fn send(machine: &Machine) -> (bool, String) {
    let host = Host { root: machine.host.clone(), clock: &Boottime };
    let mut out = Vec::new();
    let store = Store::new(&machine.root);
    let all = check_in::send(&host, &store, Duration::from_secs(2), &mut Console::new(&mut out)).unwrap();
    (all, String::from_utf8(out).unwrap())
}

#[test]
fn a_platform_that_wants_to_know_is_told_once_the_machine_is_up() {
    let server = Server::new();
    server.set("/conf?format=json", &[(200, b"{\"id\": \"s-1\", \"hostname\": \"scw\"}".as_slice())]);
    server.set("/state", &[(500, b"".as_slice()), (404, b""), (200, b"{}")]);
    let options = format!("twinhull.metadata-url={} twinhull.provision-timeout=1", server.url);
    let machine = Machine::new("scaleway", &options);
    let out = machine.boots();
    assert!(
        out.contains("scaleway: instance s-1, host name scw, 0 keys, 0 interfaces, no user data"),
        "{out}"
    );
    assert_eq!(server.asked("/state"), 0, "not from the initrd");
    let link = "etc/systemd/system/multi-user.target.wants/twinhull-check-in.service";
    let target = fs_err::read_link(machine.root.join(link)).unwrap();
    assert_eq!(target.to_str(), Some("/usr/lib/systemd/system/twinhull-check-in.service"));
    let left = machine.host.join("run/twinhull/check-in.json");
    assert_eq!(fs_err::metadata(&left).unwrap().permissions().mode() & 0o777, 0o600);
    // An error and a "not yet" are tried again.
    assert_eq!(send(&machine), (true, "Scaleway has been told that this machine is up\n".into()));
    assert_eq!(server.asked("/state"), 3);
    server.set("/state", &[(403, b"")]);
    let (all, out) = send(&machine);
    assert!(!all && out.contains("<3>Scaleway could not be told") && out.contains("status 403"), "{out}");
    // Where nobody wants to know, nothing is left.
    machine.boot_with("off", "");
    machine.boots();
    assert!(!left.exists() && !machine.has(link));
}

/// As Foreman and others want it, by either format.
#[test]
fn user_data_can_have_somebody_called_once() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(42).as_slice())]);
    server.set("/built/42", &[(200, b"thanks".as_slice())]);
    let machine = hetzner(&server, "");
    machine.write("usr/sbin/sshd", "");
    for (text, post) in [
        (
            format!(
                "#cloud-config\nfqdn: a.example\nphone_home: {{url: '{}/built/$INSTANCE_ID', tries: 3}}\n",
                server.url
            ),
            "&instance_id=42&hostname=a&fqdn=a",
        ),
        (format!("#twinhull\nphone-home: {}/built/42\nhostname: a.example\n", server.url), "&fqdn=a.example"),
        (
            format!(
                "#cloud-config\nphone_home: {{url: '{}/built/42', post: [fqdn, hostname]}}\n",
                server.url
            ),
            "fqdn=boxy&hostname=boxy",
        ),
    ] {
        server.set(USER_DATA, &[(200, text.as_bytes())]);
        assert!(machine.boots().contains(", 1 call home") || text.contains("post"), "{text}");
        let (all, out) = send(&machine);
        assert!(all && out.contains("the URL of user data has been told"), "{out}");
        let body = server.last_body();
        assert!(body.ends_with(post), "{text}: {body}");
        let with_key = body.starts_with("pub_key_ed25519=ssh-ed25519%20AAAAC3Nza");
        assert_eq!(with_key, post.starts_with('&'), "{body}");
        // Not again by hand, and on the next boot there is nothing new to tell.
        assert_eq!(send(&machine), (true, String::new()));
        machine.boots();
        assert!(!machine.host.join("run/twinhull/check-in.json").exists());
    }
    assert_eq!(server.asked("/built/42"), 3);
    // The URL may be a secret.
    server.set("/s3cret", &[(403, b"")]);
    let text = format!("#twinhull\nphone-home: {}/s3cret\n", server.url);
    server.set(USER_DATA, &[(200, text.as_bytes())]);
    let said = machine.boots();
    let (all, out) = send(&machine);
    assert!(!all && out.contains("status 403") && !format!("{said}{out}").contains("s3cret"), "{said}{out}");
}

#[test]
fn a_platform_that_isnt_there_keeps_nobody_from_being_called() {
    let server = Server::new();
    server.set("/conf?format=json", &[(200, b"{\"id\": \"s-1\"}".as_slice())]);
    server.set("/state", &[(503, b"".as_slice())]);
    // Not at once either, so that what is left of one patience for both would not do.
    server.set("/home", &[(503, b"".as_slice()), (200, b"")]);
    let text = format!("#twinhull\nphone-home: {}/home\n", server.url);
    server.set("/user_data/cloud-init", &[(200, text.as_bytes())]);
    let options = format!("twinhull.metadata-url={} twinhull.provision-timeout=1", server.url);
    let machine = Machine::new("scaleway", &options);
    machine.boots();
    let (all, out) = send(&machine);
    assert!(!all && out.contains("<3>Scaleway could not be told"), "{out}");
    assert!(out.contains("the URL of user data has been told"), "{out}");
}

/// What the rest of the boot gets to know.
fn outcome(machine: &Machine) -> Outcome {
    let host = Host { root: machine.host.clone(), clock: &Boottime };
    Outcome::load(&host).unwrap().unwrap()
}

#[test]
fn the_rest_of_the_boot_knows_what_became_of_it() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(1).as_slice())]);
    server.set(USER_DATA, &[(200, b"#twinhull\nhostname: s3cret_\n".as_slice())]);
    let machine = hetzner(&server, "");
    machine.boots();
    let bad = outcome(&machine);
    assert_eq!((bad.basis, bad.source.as_deref(), bad.user_data), (Basis::Source, Some("hetzner"), None));
    assert!(bad.failures[0].starts_with("user data, line 2, column 11: "), "{:?}", bad.failures);
    server.set(USER_DATA, &[(200, DATA)]);
    machine.boots();
    let good = outcome(&machine);
    assert_eq!(good.place.as_deref(), Some(server.url.as_str()));
    assert_eq!(good.user_data.as_deref(), Some("twinhull: 1 user, 3 files, 2 units"));
    assert!(good.missing().is_none() && good.failures.is_empty());
    server.set(METADATA, &[(503, b"".as_slice())]);
    machine.boots();
    let stored = outcome(&machine);
    assert_eq!((stored.basis, stored.missing()), (Basis::Stored, None));
    assert!(stored.warnings[0].contains("status 503"), "{:?}", stored.warnings);
    // Down for good, on a machine that knows nothing.
    let machine = hetzner(&server, "");
    machine.boots();
    let nothing = outcome(&machine);
    let missing = nothing.missing().unwrap();
    assert!(nothing.basis == Basis::Image && missing.contains(METADATA), "{missing}");
    // A boot that fails says why, too.
    fs_err::remove_file(machine.root.join("usr/lib/tmpfiles.d/00-twinhull-etc.conf")).unwrap();
    machine.boot().0.unwrap_err();
    assert!(outcome(&machine).failures[0].contains("build the image again"));
}

#[test]
fn command_line_and_credential_set_the_machine_id() {
    let machine = Machine::new("off", "systemd.machine_id=0123456789abcdef0123456789abcdef");
    machine.boots();
    assert_eq!(machine.read("etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    machine.boot_with("off", "systemd.machine_id=nonsense");
    let dir = machine.host.join("run/credentials/@system");
    fs_err::create_dir_all(&dir).unwrap();
    fs_err::write(dir.join("system.machine_id"), "f".repeat(32)).unwrap();
    assert!(machine.boots().contains("<4>systemd.machine_id="));
    assert_eq!(machine.read("etc/machine-id"), "f".repeat(32) + "\n");
    assert!(!machine.has("var/lib/twinhull/machine-id"));
}

/// The foreign check: what tmpfiles does with an /etc that the agent has been in.
#[test]
fn systemd_tmpfiles_leaves_alone_what_the_agent_wrote() {
    let server = Server::new();
    server.set(METADATA, &[(200, metadata(42).as_slice())]);
    server.set(USER_DATA, &[(200, DATA)]);
    let machine = hetzner(&server, "");
    machine.boots();
    let out = Command::new("systemd-tmpfiles")
        .arg(format!("--root={}", machine.root.display()))
        .args(["--create", "--boot", "--prefix=/etc"])
        .output()
        .expect("this test needs systemd-tmpfiles; install systemd");
    // 73: something was in the way of a line, as it should be; the unit takes that for success.
    assert!(matches!(out.status.code(), Some(0 | 73)), "{out:?}");
    assert_eq!(machine.read("etc/hostname"), "boxy\n");
    assert_eq!(machine.read("etc/motd"), "mine");
    assert!(machine.read("etc/passwd").contains("ann:x:1000"));
    assert_eq!(machine.read("etc/ssl/certs/a.pem"), "a\n");
    assert_eq!(machine.read("etc/ssl/certs/sub/b.pem"), "b\n");
    assert_eq!(machine.read("etc/ssl/certs/sub/c.pem"), "c");
    assert!(machine.root.join("etc/ssl/certs/a.pem").is_symlink());
    assert!(machine.root.join("etc/ssl/certs").symlink_metadata().unwrap().is_dir());
}

#[test]
fn a_medium_that_names_no_instance_reconfigures_nothing() {
    let machine = Machine::new("local", "");
    let disk = machine.host.join("dev/disk/by-label/config-2/openstack/latest");
    fs_err::create_dir_all(&disk).unwrap();
    let meta = |text: &str| fs_err::write(disk.join("meta_data.json"), text).unwrap();
    meta(r#"{"uuid": "u-1", "hostname": "mine", "public_keys": {"a": "ssh-ed25519 AAAAx"}}"#);
    machine.boots();
    assert_eq!(machine.read("etc/hostname"), "mine\n");
    meta(r#"{"hostname": "theirs", "public_keys": {"a": "ssh-ed25519 AAAAevil"}}"#);
    let out = machine.boots();
    assert!(out.contains("it is ignored"), "{out}");
    assert_eq!(machine.read("etc/hostname"), "mine\n");
    assert_eq!(machine.read("etc/ssh/authorized_keys.d/root"), "ssh-ed25519 AAAAx\n");
}

#[test]
fn half_an_outage_takes_nothing_away() {
    let server = Server::new();
    let at = |key: &str| format!("/computeMetadata/v1/{key}");
    let all = [
        ("instance/id", "7"),
        ("instance/hostname", "seven"),
        ("instance/attributes/ssh-keys", "me:ssh-ed25519 AAAAx me"),
        ("instance/network-interfaces/?recursive=true", r#"[{"mac":"42:01:0a:9c:00:05","ip":"10.0.0.2"}]"#),
    ];
    for (key, body) in all {
        server.set(&at(key), &[(200, body.as_bytes())]);
    }
    let machine =
        Machine::new("gcp", &format!("twinhull.metadata-url={} twinhull.provision-timeout=1", server.url));
    let check = |what: &str, out: &str| {
        assert_eq!(machine.read("etc/hostname"), "seven\n", "{what} {out}");
        assert_eq!(machine.read("etc/ssh/authorized_keys.d/root"), "ssh-ed25519 AAAAx me\n", "{what} {out}");
        assert!(machine.has("etc/systemd/network/10-twinhull-0.network"), "{what} {out}");
    };
    check("first boot", &machine.boots());
    // Each of them twice: what is stored in between must not be the half of it.
    for (key, body) in &all[1..] {
        server.set(&at(key), &[(403, b"")]);
        let out = machine.boots();
        check(key, &out);
        assert!(out.contains("earlier boot stored"), "{out}");
        check(key, &machine.boots());
        server.set(&at(key), &[(200, body.as_bytes())]);
    }
    // What is gone on purpose is gone.
    server.set(&at("instance/attributes/ssh-keys"), &[(404, b"")]);
    machine.boots();
    assert!(!machine.has("etc/ssh/authorized_keys.d/root"));
}
