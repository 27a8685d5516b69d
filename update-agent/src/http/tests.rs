//! A server that says what a test wants it to say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

/// Answers one connection after the other with the given bytes, and returns the requests' first lines and ranges.
fn serve(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let mut said = lines.next().unwrap();
            for line in lines.take_while(|line| !line.is_empty()) {
                if line.to_ascii_lowercase().starts_with("range:") {
                    said = format!("{said} {}", line.to_ascii_lowercase());
                }
            }
            asked.push(said);
            let _ = stream.write_all(&answer);
        }
        asked
    });
    (url, thread)
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

fn folders(urls: &[&str]) -> Folders {
    let patience = Patience {
        silence: Duration::from_secs(5),
        rate: 1000,
        window: Duration::from_millis(500),
        attempts: 3,
        pause: Duration::from_millis(1),
    };
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    Folders::new(&urls, "web", patience).unwrap()
}

fn read(folders: &Folders, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    folders.open("file", length).read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn a_broken_download_goes_on_where_it_broke_off() {
    let (url, server) = serve(vec![
        answer("200 OK", "Content-Length: 10\r\n", b"0123"),
        answer("503 Busy", "", b""),
        answer("206 Partial", "Content-Length: 6\r\nContent-Range: bytes 4-9/10\r\n", b"456789"),
    ]);
    assert_eq!(read(&folders(&[&url]), 10).unwrap(), b"0123456789");
    assert_eq!(
        server.join().unwrap(),
        [
            "GET /base/web/file HTTP/1.1",
            "GET /base/web/file HTTP/1.1 range: bytes=4-9",
            "GET /base/web/file HTTP/1.1 range: bytes=4-9"
        ]
    );
}

#[test]
fn a_range_is_read_and_taken_up_again() {
    let (url, server) = serve(vec![
        answer("206 Partial", "Content-Length: 5\r\nContent-Range: bytes 2-6/10\r\n", b"23"),
        answer("206 Partial", "Content-Length: 3\r\nContent-Range: bytes 4-6/10\r\n", b"456"),
    ]);
    let (folders, mut bytes) = (folders(&[&url]), Vec::new());
    folders.open_range("file", 10, 2..7).read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.as_slice(), folders.fetched()), (&b"23456"[..], 5));
    let asked = server.join().unwrap();
    assert!(asked[0].ends_with("range: bytes=2-6") && asked[1].ends_with("range: bytes=4-6"), "{asked:?}");
    for (first, word) in [
        (answer("200 OK", "Content-Length: 10\r\n", b"0123456789"), "sends no ranges"),
        (answer("206 Partial", "Content-Range: bytes 2-9/10\r\n", b"23456789"), "the server sent"),
        (answer("206 Partial", "Content-Range: bytes 2-6/11\r\n", b"23456"), "the server sent"),
    ] {
        let (url, _server) = serve(vec![first.clone(), first.clone(), first]);
        let folders = self::folders(&[&url]);
        let error = folders.open_range("file", 10, 2..7).read_to_end(&mut bytes).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_server_without_ranges_is_read_again_from_its_start() {
    let (url, _server) = serve(vec![
        answer("200 OK", "Content-Length: 10\r\n", b"0123"),
        answer("200 OK", "Content-Length: 10\r\n", b"0123456789"),
    ]);
    assert_eq!(read(&folders(&[&url]), 10).unwrap(), b"0123456789");
}

#[test]
fn what_was_not_signed_is_not_read() {
    let ok = |headers: &str, body: &[u8]| answer("200 OK", headers, body);
    for (first, word) in [
        (ok("Content-Length: 11\r\n", b"0123456789x"), "it has 11 bytes, 10 were signed"),
        (ok("Content-Length: 9\r\n", b"012345678"), "it has 9 bytes"),
        (answer("404 None", "", b""), "doesn't have it"),
        (answer("206 Partial", "Content-Range: bytes 1-9/10\r\n", b"1"), "the server sent"),
        (answer("500 Down", "", b""), "status 500"),
    ] {
        let (url, _server) = serve(vec![first.clone(), first.clone(), first]);
        let error = read(&folders(&[&url]), 10).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("0 of 10 bytes"), "{error}");
    }
    // A body without a length ends when it is long enough.
    let (url, _server) = serve(vec![ok("", b"0123456789 and more")]);
    assert_eq!(read(&folders(&[&url]), 10).unwrap(), b"0123456789");
}

#[test]
fn a_slow_server_is_left_for_its_mirror() {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", slow.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = slow.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for byte in b"0123456789" {
            std::thread::sleep(Duration::from_millis(200));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let (mirror, server) = serve(vec![answer("200 OK", "Content-Length: 10\r\n", b"0123456789")]);
    assert_eq!(read(&folders(&[&url, &mirror]), 10).unwrap(), b"0123456789");
    // Its thread ends a moment after its last byte has come.
    let ended = (0..250).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        server.is_finished()
    });
    assert!(ended, "the slow server was good enough");
}

#[test]
fn a_document_that_drips_is_given_up() {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", slow.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = slow.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let error = folders(&[&url]).fetch("a", 100).unwrap_err();
    assert!(error != SourceError::TooLong, "{error}");
}

#[test]
fn documents_come_from_the_first_mirror_that_has_them() {
    let (gone, _first) = serve(vec![answer("404 None", "", b"")]);
    let (good, _second) = serve(vec![answer("200 OK", "", b"document")]);
    assert_eq!(folders(&[&gone, &good]).fetch("a", 100).unwrap().unwrap(), b"document");
    let (gone, _first) = serve(vec![answer("404 None", "", b"")]);
    assert_eq!(folders(&[&gone]).fetch("a", 100).unwrap(), None);
    let (down, _first) = serve(vec![answer("500 Down", "", b"")]);
    let (gone, _second) = serve(vec![answer("404 None", "", b"")]);
    let error = folders(&[&down, &gone]).fetch("a", 100).unwrap_err();
    assert!(error.to_string().contains("status 500"), "{error}");
    let (long, _first) = serve(vec![answer("200 OK", "", &[b'x'; 101])]);
    assert_eq!(folders(&[&long]).fetch("a", 100).unwrap_err(), SourceError::TooLong);
}
