//! matchbox in front of a bare machine.

use super::*;
use crate::source::tests::{host, serve, told};

const UUID: &str = "16e7d8a7-bfa9-428b-9117-363341bb330b";

#[test]
fn a_machine_that_is_known_and_one_that_is_not() {
    let query = format!("uuid={UUID}&mac=52-54-00-89-d8-10");
    let (metadata, generic) = (format!("GET /metadata?{query}"), format!("GET /generic?{query}"));
    let lines = "HOSTNAME=node1\nDOMAIN_NAME=\nREQUEST_QUERY_MAC=52:54:00:89:d8:10\nSSH_AUTHORIZED_KEY=ssh-rsa AAAAx me\nodd\n";
    let (url, requests) = serve(&[(&metadata, 200, lines), (&generic, 200, "#twinhull\n")], "");
    let (_dir, host) = host(&["52:54:00:89:d8:10"], &format!("twinhull.matchbox={url}/"));
    let id = host.path("/sys/class/dmi/id");
    fs_err::create_dir_all(&id).unwrap();
    fs_err::write(id.join("product_uuid"), UUID.to_ascii_uppercase()).unwrap();
    let http = Http::new(host.clock, host.bound(false));
    let found = fetch(&host, &http).unwrap();
    assert_eq!(told(&found), format!("instance {UUID}, host name node1, 1 key, 0 interfaces; #twinhull\n; "));
    drop(http);
    let asked: Vec<_> = requests.try_iter().collect();
    assert_eq!(asked, [metadata, format!("GET /ignition?{query}"), generic]);

    fs_err::write(id.join("product_uuid"), "00000000-0000-0000-0000-000000000000").unwrap();
    let found = fetch(&host, &Http::new(host.clock, host.bound(false))).unwrap();
    assert_eq!(
        told(&found),
        "instance 52:54:00:89:d8:10, 0 keys, 0 interfaces; none; no group of matchbox matches mac=52-54-00-89-d8-10"
    );
}

#[test]
fn there_is_no_tls() {
    let (_dir, host) = host(&[], "twinhull.matchbox=https://matchbox/");
    let error = fetch(&host, &Http::new(host.clock, host.bound(false))).unwrap_err().to_string();
    assert!(error.contains("no TLS"), "{error}");
}
