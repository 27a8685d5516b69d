//! A server that says what a test wants it to say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Answers one connection after the other with the given bytes, and returns the requests' ranges and conditions.
fn serve(answers: &[&str]) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/file", listener.local_addr().unwrap())).unwrap();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let wanted = |line: &String| line.starts_with("range:") || line.starts_with("if-range:");
            let lines = lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase());
            asked.push(lines.filter(wanted).collect::<Vec<_>>().join(" "));
            stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
        }
        asked
    });
    (url, thread)
}

fn fetch(answers: &[&str]) -> (Result<String, String>, Vec<String>) {
    let (url, server) = serve(answers);
    let patience = Patience { silence: Duration::from_secs(5), attempts: 3, pause: Duration::from_millis(1) };
    let fetched = Download::open(client(patience).unwrap(), url, patience).map_err(|e| e.to_string());
    let fetched = fetched.and_then(|mut download| {
        let mut bytes = String::new();
        download.read_to_string(&mut bytes).map(|_| bytes).map_err(|e| e.to_string())
    });
    (fetched, server.join().unwrap())
}

const FIRST: &str = "200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n0123";

#[test]
fn a_broken_download_goes_on_where_it_broke_off() {
    let (fetched, asked) = fetch(&[
        "503 Busy\r\nConnection: close\r\n\r\n",
        FIRST,
        "503 Busy\r\nConnection: close\r\n\r\n",
        "206 Partial\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\nETag: \"a\"\r\n\r\n45",
        "206 Partial\r\nContent-Range: bytes 6-9/10\r\nContent-Length: 4\r\n\r\n6789",
    ]);
    assert_eq!(fetched.unwrap(), "0123456789");
    let (four, six) = ("range: bytes=4- if-range: \"a\"", "range: bytes=6- if-range: \"a\"");
    assert_eq!(asked, ["", "", four, four, six]);
}

#[test]
fn without_ranges_it_comes_again() {
    let again = "200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n0123456789";
    assert_eq!(fetch(&[FIRST, again]).0.unwrap(), "0123456789");
    // Nobody knows how long this is; its end is that of its last chunk.
    assert_eq!(fetch(&["200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n01\r\n0\r\n\r\n"]).0.unwrap(), "01");
}

#[test]
fn what_can_not_go_on_says_why() {
    for (answers, word) in [
        (&["404 No\r\nContent-Length: 0\r\n\r\n"][..], "doesn't have it"),
        (&["403 No\r\nContent-Length: 0\r\n\r\n"], "status 403"),
        (&[FIRST, "200 OK\r\nContent-Length: 10\r\nETag: \"b\"\r\n\r\nabcdefghij"], "has changed"),
        (&[FIRST, "200 OK\r\nContent-Length: 11\r\nETag: \"a\"\r\n\r\nabcdefghijk"], "has changed"),
        (
            &[FIRST, "206 OK\r\nContent-Range: bytes 4-10/11\r\nContent-Length: 7\r\n\r\n0123456"],
            "has changed",
        ),
        (
            &[FIRST, "206 OK\r\nContent-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\n0123456"],
            "another range",
        ),
        (&[FIRST, "416 No\r\nContent-Length: 0\r\n\r\n"], "has changed"),
        (&[FIRST, "500 x\r\n\r\n", "500 x\r\n\r\n"], "3 requests in a row"),
        (&["200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n01\r\n"], "nothing by which"),
    ] {
        let (fetched, _) = fetch(answers);
        let error = fetched.unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}
