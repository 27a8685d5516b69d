//! The client against servers that misbehave, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::*;
use crate::fleetlock::ServerText;

/// Serves one connection with `answer` and returns the base URL and the request's text.
fn serve(answer: impl FnOnce(TcpStream) + Send + 'static) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/base", listener.local_addr().unwrap());
    let handle = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"}}") && stream.read(&mut byte).unwrap() > 0 {
            request.push(byte[0]);
        }
        answer(stream);
        String::from_utf8(request).unwrap()
    });
    (base, handle)
}

fn client(base: &str, timeout: Duration, proxies: Proxies) -> Client {
    let server = Server::new(&ServerText { url: base.into(), group: "workers".into() }).unwrap();
    Client::with_builder(twinhull_http::builder(), &server, "an-id", &Options { timeout, proxies }).unwrap()
}

fn plain(base: &str) -> Client {
    client(base, Duration::from_secs(10), Proxies::default())
}

fn reply(text: impl Into<String>) -> impl FnOnce(TcpStream) + Send + 'static {
    let text = text.into();
    // The client may hang up before the end.
    move |mut stream| drop(stream.write_all(text.as_bytes()))
}

#[test]
fn requests_are_what_the_protocol_says() {
    for (lock, path) in [(true, "pre-reboot"), (false, "steady-state")] {
        let (base, server) = serve(reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        let client = plain(&base);
        assert_eq!(if lock { client.lock() } else { client.unlock() }, Answer::Done);
        let request = server.join().unwrap();
        assert!(request.starts_with(&format!("POST /base/v1/{path} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("\r\nfleet-lock-protocol: true\r\n"), "{request}");
        let body: serde_json::Value =
            serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body, json!({"client_params": {"id": "an-id", "group": "workers"}}));
    }
}

#[test]
fn redirects_are_reported_and_not_followed() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = other.local_addr().unwrap();
    let (base, server) =
        serve(reply(format!("HTTP/1.1 307 Moved\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n")));
    assert!(matches!(plain(&base).lock(), Answer::Refused { value, .. } if value.contains("redirects")));
    server.join().unwrap();
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "nobody may come here");
}

#[test]
fn answers_are_bounded() {
    let (base, server) = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let Answer::Retry { reason } = plain(&base).lock() else { panic!() };
    assert!(reason.len() < 300 && reason.starts_with("status 500: xxx"), "{reason}");
    server.join().unwrap();
}

#[test]
fn a_slow_server_runs_into_the_time_limit() {
    for head in ["", "HTTP/1.1 500 No\r\ncontent-length: 1000\r\n\r\n"] {
        let (base, server) = serve(move |mut stream| {
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..60 {
                thread::sleep(Duration::from_millis(100));
                if stream.write_all(b"x").is_err() {
                    break;
                }
            }
        });
        let begun = Instant::now();
        let answer = client(&base, Duration::from_millis(700), Proxies::default()).lock();
        assert!(matches!(answer, Answer::Retry { .. }), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        server.join().unwrap();
    }
}

#[test]
fn no_server_is_a_reason_to_retry() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Answer::Retry { reason } = plain(&format!("http://{closed}")).lock() else { panic!() };
    assert!(reason.contains("no answer: Connection refused"), "{reason}");
    let (base, server) = serve(drop);
    assert!(matches!(plain(&base).lock(), Answer::Retry { .. }));
    server.join().unwrap();
}

#[test]
fn https_is_spoken() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Answer::Retry { reason } = plain(&format!("https://{closed}")).lock() else { panic!() };
    assert!(reason.contains("Connection refused"), "{reason}");
    // Whoever answers in plain text is no such server.
    let (base, server) = serve(reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert!(matches!(plain(&base.replace("http:", "https:")).lock(), Answer::Retry { .. }));
    drop(server);
}

#[test]
fn proxies_are_used_when_they_are_named() {
    let (proxy, server) = serve(reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let proxies = Proxies { http: Some(proxy), ..Proxies::default() };
    let answer = client("http://lock.invalid/base", Duration::from_secs(10), proxies.clone()).lock();
    assert_eq!(answer, Answer::Done);
    let request = server.join().unwrap();
    assert!(request.starts_with("POST http://lock.invalid/base/v1/pre-reboot HTTP/1.1\r\n"), "{request}");
    let (base, server) = serve(reply("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let without = Proxies { no_proxy: Some("127.0.0.0/8".into()), ..proxies };
    assert_eq!(client(&base, Duration::from_secs(10), without).lock(), Answer::Done);
    assert!(server.join().unwrap().starts_with("POST /base/v1/"));
}

#[test]
fn proxies_of_an_environment() {
    let env = |list: &'static [(&str, &str)]| {
        Proxies::from_env(|name| list.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    };
    assert_eq!(env(&[]), Proxies::default());
    assert_eq!(env(&[("HTTP_PROXY", "http://x"), ("https_proxy", "")]), Proxies::default());
    let all = env(&[("http_proxy", "http://u:secret@a"), ("HTTPS_PROXY", "http://b"), ("NO_PROXY", "c")]);
    assert_eq!(all.https.as_deref(), Some("http://b"));
    assert_eq!(all.no_proxy.as_deref(), Some("c"));
    assert!(!format!("{all:?}").contains("secret"));
}

#[test]
fn clients_that_can_not_be() {
    let server = Server::new(&ServerText { url: "http://x".into(), group: "g".into() }).unwrap();
    let make = |id: &str, proxies| {
        Client::with_builder(
            twinhull_http::builder(),
            &server,
            id,
            &Options { proxies, ..Options::default() },
        )
    };
    assert!(matches!(make("", Proxies::default()), Err(Error::NoId)));
    let bad = Proxies { https: Some("http://[".into()), ..Proxies::default() };
    let error = make("id", bad).unwrap_err().to_string();
    assert!(error.contains("https_proxy"), "{error}");
}
