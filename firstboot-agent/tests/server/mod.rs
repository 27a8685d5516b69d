//! A metadata service on a port of its own.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Answers to come, a queue a path; the last one stays. No answer for a path is a 404.
pub(crate) type Answers = Arc<Mutex<BTreeMap<String, VecDeque<(u16, Vec<u8>)>>>>;

pub(crate) struct Server {
    pub(crate) url: String,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let shared = answers.clone();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let body = Arc::new(Mutex::new(Vec::new()));
        let received = body.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut request = String::new();
                reader.read_line(&mut request).unwrap_or(0);
                let (mut header, mut length) = (String::new(), 0);
                while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
                    let value = header.to_ascii_lowercase();
                    let value = value.strip_prefix("content-length:").map(|v| v.trim().parse().unwrap());
                    length = value.unwrap_or(length);
                    header.clear();
                }
                // Closing a connection with something unread in it resets it, and the answer may be lost.
                let mut sent = Vec::new();
                let _ = (&mut reader).take(length).read_to_end(&mut sent);
                *received.lock().unwrap() = sent;
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(path.clone());
                let (status, body) = match shared.lock().unwrap().get_mut(&path) {
                    Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
                    Some(queue) => queue[0].clone(),
                    None => (404, Vec::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let mut stream = reader.into_inner();
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Server { url, answers, asked, body }
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|p| *p == path).count()
    }

    /// What came with the last request.
    pub(crate) fn last_body(&self) -> String {
        String::from_utf8(self.body.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn set(&self, path: &str, answers: &[(u16, &[u8])]) {
        let queue = answers.iter().map(|(status, body)| (*status, body.to_vec())).collect();
        self.answers.lock().unwrap().insert(path.to_owned(), queue);
    }
}
