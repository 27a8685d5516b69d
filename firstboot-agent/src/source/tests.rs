//! A metadata service for the tests of all sources, and what their answers come to.

// Helpers of tests aren't tests to clippy.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use super::*;
use crate::clock::Boottime;
use crate::network::networkd;

/// How a request begins, status, body. What isn't listed is a 404.
pub(super) type Routes<'a> = &'a [(&'a str, u16, &'a str)];

/// A machine with these cards.
pub(super) fn host(macs: &[&str], cmdline: &str) -> (tempfile::TempDir, Host<'static>) {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write("proc/cmdline", &format!("twinhull.provision-timeout=1 {cmdline}\n"));
    for (n, mac) in macs.iter().enumerate() {
        write(&format!("sys/class/net/eth{n}/type"), "1\n");
        write(&format!("sys/class/net/eth{n}/address"), &format!("{mac}\n"));
        write(&format!("sys/class/net/eth{n}/device/x"), "");
    }
    let root = dir.path().to_owned();
    (dir, Host { root, clock: &Boottime })
}

/// A running service: its URL, and its requests as `METHOD PATH`, those without the header `needed` as
/// `refused METHOD PATH`.
pub(super) fn serve(routes: Routes<'_>, needed: &str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes: Vec<_> =
        routes.iter().map(|(at, status, body)| (at.to_string(), *status, body.to_string())).collect();
    let needed = needed.to_ascii_lowercase();
    let (log, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let port = stream.peer_addr().unwrap().port();
            let mut reader = BufReader::new(stream);
            let (mut request, mut headers, mut line) = (String::new(), String::new(), String::new());
            reader.read_line(&mut request).unwrap_or(0);
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                headers.push_str(&line.to_ascii_lowercase());
                line.clear();
            }
            let asked = request.rsplit_once(' ').map_or("", |(asked, _)| asked).to_owned();
            // A token's own request can't have it yet.
            let good = asked.starts_with("PUT ") || headers.contains(&needed);
            let found = routes.iter().find(|(at, ..)| *at == asked);
            let (status, body) = match found {
                _ if !good => (401, ""),
                // The listed body `low` is for low ports alone.
                Some((_, _, body)) if body.starts_with("low:") && port >= 1024 => (403, ""),
                Some((_, status, body)) => (*status, body.as_str()),
                None => (404, "not found"),
            };
            // Before the answer: who has it may look at the log at once.
            let _ = log.send(if good { asked } else { format!("refused {asked}") });
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let mut stream = reader.into_inner();
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    (url, requests)
}

/// What a cloud's source makes of a service.
pub(super) fn ask(name: &str, needed: &str, routes: Routes<'_>, macs: &[&str]) -> Result<Found> {
    let (url, _requests) = serve(routes, needed);
    let (_dir, host) = host(macs, "");
    let platform = PLATFORMS.iter().find(|p| p.name == name).unwrap();
    let http = Http::new(host.clock, host.bound(false));
    (platform.fetch)(&host, &mut Service::new(&http, &["http://127.0.0.1:1", &url]))
}

/// The units that come of it, without their first line, each after a line `--`.
pub(super) fn units(network: &[Interface]) -> String {
    let units = networkd::units(network).into_iter();
    units.map(|(_, unit)| format!("--\n{}", unit.split_once('\n').unwrap().1)).collect()
}

/// Everything about a machine in a few lines.
pub(super) fn told(found: &Found) -> String {
    let data = match &found.user_data {
        UserDataState::None => "none".into(),
        UserDataState::Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        UserDataState::Failed(why) => format!("failed: {why}"),
    };
    format!("{}; {data}; {}", found.machine().summary(), found.notes.join("; "))
}

#[test]
fn every_cloud_fails_with_one_line_that_names_the_url() {
    for platform in PLATFORMS {
        for (status, body) in [(500, "x"), (403, ""), (200, "<html>"), (200, ""), (204, "")] {
            let metadata: Vec<String> = [
                "GET /hetzner/v1/metadata",
                "PUT /latest/api/token",
                "GET /latest/meta-data/instance-id",
                "GET /computeMetadata/v1/instance/id",
                "GET /metadata/instance?api-version=2021-08-01&extended=true",
                "GET /metadata/v1.json",
                "GET /v1.json",
                "GET /conf?format=json",
                "GET /opc/v2/instance/",
                "GET /openstack/latest/meta_data.json",
            ]
            .map(str::to_owned)
            .to_vec();
            let routes: Vec<_> = metadata.iter().map(|m| (m.as_str(), status, body)).collect();
            let got = ask(platform.name, "", &routes, &["52:54:00:00:00:01"]);
            match got {
                Err(error) => {
                    let line = error.to_string();
                    assert!(line.contains("http://127.0.0.1:") && !line.contains('\n'), "{line}");
                }
                // These take any text for what it is.
                Ok(found) => assert!(["aws", "gcp"].contains(&platform.name), "{status} {body} {found:?}"),
            }
        }
    }
}

#[test]
fn user_data_in_base64() {
    for (text, want) in [
        (None, "None"),
        (Some(""), "None"),
        (Some(" I3R3 aW5o\ndWxs "), "Some(9 bytes)"),
        (Some("#cloud-config"), "Failed(here should be base64, but isn't)"),
    ] {
        assert_eq!(format!("{:?}", UserDataState::of_base64(text, "here")), want);
    }
}

proptest::proptest! {
    #[test]
    fn no_reader_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_reader_panics_on_likely_json(
        text in "(\\{|\\}|\\[|\\]|,|:|\"(links|networks|type|bond|vlan|vlan_id|id|link|ipv4|ip_address|interfaces|public|mac|compute|network|interface|vnics|macAddr|vlanTag|privateIp|subnetCidrBlock|public_ips|address|x|02:00:00:00:00:01|10.0.0.1/8|::1/0)\"|[0-9]{1,5}|null)*"
    ) {
        read_all(text.as_bytes());
    }
}

/// Every reader on the same bytes, whoever's they are; what comes of it must render.
fn read_all(bytes: &[u8]) {
    let mac: crate::network::Mac = "52:54:00:00:00:01".parse().unwrap();
    let whole = [
        azure::parse(bytes),
        digitalocean::parse(bytes),
        hetzner::parse(bytes, Some(bytes)),
        openstack::parse(bytes),
        oracle::parse(bytes),
        scaleway::parse(bytes, &[mac]),
        vultr::parse(bytes),
    ];
    for found in whole.into_iter().flatten() {
        units(&found.network);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut found = matchbox::parse(&text);
    gcp::keys(&text, &mut found);
    openstack::take_network(bytes, &mut found);
    units(&found.network);
    units(&oracle::interfaces(bytes, &mut found.notes));
    if let Ok(node) = crate::json::parse(bytes, 1 << 20) {
        units(&gcp::interfaces(&node, &mut found.notes));
    }
}
