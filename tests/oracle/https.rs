//! Updates over https and HTTP/2, from a real nginx with a certificate of an authority that the machine trusts, or doesn't.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use twinhull_tests::{Web, run};

use crate::updates::World;

/// An authority in `dir`, and a certificate of it for the loopback address.
fn certificates(dir: &Path) {
    let new = |line: &str| {
        let common = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
        run(Command::new("openssl").args(common.split(' ')).args(line.split(' ')).current_dir(dir)).ok();
    };
    new("-keyout ca.key -out ca.pem -subj /CN=authority");
    new("-keyout leaf.key -out leaf.pem -CA ca.pem -CAkey ca.key -subj /CN=server \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE");
}

#[test]
fn updates_come_over_https_from_whom_the_machine_trusts() {
    let world = World::new();
    world.publish();
    let tls = world.at("rel/.tls");
    fs_err::create_dir(&tls).unwrap();
    certificates(&tls);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (certificate, key) = (tls.join("leaf.pem"), tls.join("leaf.key"));
    let extra = format!(
        "listen {address} ssl; http2 on; ssl_certificate {}; ssl_certificate_key {};",
        certificate.display(),
        key.display()
    );
    let web = Web::serve(&world.at("rel"), &extra);
    let config =
        json!({"urls": [format!("https://{address}")], "channel": "stable", "root": "keys/1.root.json"});
    fs_err::write(world.at("config.json"), config.to_string()).unwrap();
    // The host's own authorities don't know this one.
    let ran = world.agent("check");
    assert!(ran.code == 1 && ran.stderr.contains("certificate"), "{}", ran.text());
    let trusting = |line: &str| run(world.agent_command(line).env("SSL_CERT_FILE", tls.join("ca.pem")));
    assert_eq!(trusting("check").code, 3);
    let ran = trusting("apply").ok();
    assert!(ran.stdout.contains("1.1.0 is installed"), "{}", ran.text());
    let requests = web.requests();
    assert!(requests.iter().all(|line| line.contains("HTTP/2.0")), "{requests:?}");
    // Ranges, over connections that stay.
    assert!(requests.iter().any(|line| line.contains(".usr") && line.contains("\" 206 ")), "{requests:?}");
}
