//! The metadata service: a small HTTP server on the host's loopback.
//!
//! Every bound is on purpose, as the guest is not trusted: the size of a request's head, the time it may
//! take, the number of connections at once. An answer always ends its connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::fault::{DELAY, Fault, Faults, Kind, garbage};
use super::routes::{Request, Routes};

const HEAD_MAX: usize = 8 * 1024;
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
const CONNECTIONS_MAX: usize = 16;
const LOG_MAX: usize = 1000;

#[derive(Debug)]
struct Shared {
    routes: Routes,
    faults: Faults,
    over: AtomicBool,
    open: AtomicUsize,
    log: Mutex<Vec<String>>,
}

/// The running service; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `routes` on a free port of the loopback.
    pub(crate) fn start(routes: Routes, fault: Option<Fault>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("the metadata service found no free port on the loopback")?;
        let port = listener.local_addr().context("the metadata service has no address")?.port();
        let shared = Arc::new(Shared {
            routes,
            faults: Faults::new(fault),
            over: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            log: Mutex::default(),
        });
        let serving = shared.clone();
        let thread = Some(std::thread::spawn(move || serve(&listener, &serving)));
        Ok(Server { port, shared, thread })
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The requests so far, as `METHOD PATH STATUS`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if shared.open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            shared.open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let shared = shared.clone();
        std::thread::spawn(move || {
            let _ = converse(stream, &shared);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let deadline = Instant::now() + HEAD_PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    let end = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        let got = stream.read(&mut buffer)?;
        if got == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..got]);
        if let Some(end) = end_of_head(&head) {
            // Not one byte over, even when it came with the last piece.
            break Some(end).filter(|end| *end <= HEAD_MAX);
        }
        if head.len() > HEAD_MAX {
            break None;
        }
    };
    let (answer, line) = match end {
        Some(end) => {
            let request = Request::parse(&head[..end]);
            // A body is of no interest, but what isn't read would break the connection off.
            let length = request.as_ref().and_then(|r| r.header("Content-Length")?.parse().ok()).unwrap_or(0);
            let mut left = usize::min(length, HEAD_MAX).saturating_sub(head.len() - end);
            while left > 0 {
                match stream.read(&mut buffer)? {
                    0 => break,
                    got => left = left.saturating_sub(got),
                }
            }
            let fault = shared.faults.next(std::time::Instant::now());
            match fault {
                Some(Kind::Refuse) => return Ok(()),
                Some(Kind::Delay) => std::thread::sleep(DELAY),
                _ => {}
            }
            answer(request, &shared.routes, fault)
        }
        None => too_large(),
    };
    {
        let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < LOG_MAX {
            log.push(line);
        }
    }
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

fn response(status: &str, body: &[u8], with_body: bool, says: Option<&str>) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n").into_bytes();
    if let Some(says) = says {
        answer.extend_from_slice(format!("{says}\r\n").as_bytes());
    }
    if !status.starts_with("204") {
        let kind = "Content-Type: text/plain; charset=utf-8";
        answer.extend_from_slice(format!("{kind}\r\nContent-Length: {}\r\n", body.len()).as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    if with_body {
        answer.extend_from_slice(body);
    }
    answer
}

fn too_large() -> (Vec<u8>, String) {
    let status = "431 Request Header Fields Too Large";
    (response(status, b"The head of the request is too large.\n", true, None), "- - 431".into())
}

/// The answer to a request, and its line in the log.
fn answer(request: Option<Request<'_>>, routes: &Routes, fault: Option<Kind>) -> (Vec<u8>, String) {
    let Some(request) = request else {
        let body = b"This is not an HTTP request.\n";
        return (response("400 Bad Request", body, true, None), "- - 400".into());
    };
    let garbage = garbage();
    let (status, body): (_, &[u8]) = match fault {
        Some(Kind::Error) => ("500 Internal Server Error", b"out of order\n"),
        Some(Kind::Garbage) => ("200 OK", &garbage),
        _ => routes.answer(&request),
    };
    let mut answer = response(status, body, request.method != "HEAD", routes.said());
    if fault == Some(Kind::Truncate) {
        // All of the head and half of the body, or half of the head when that is all there is.
        let lost = if body.is_empty() { answer.len() / 2 } else { body.len().div_ceil(2) };
        answer.truncate(answer.len() - lost);
    }
    (answer, format!("{} {} {}", request.method, request.target, &status[..3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        faulty(None)
    }

    fn faulty(fault: Option<&str>) -> Server {
        let mut routes = Routes::default();
        routes.get("/a", b"one\n".to_vec());
        routes.get("/none", Vec::new());
        routes.act("POST", "/done", "X", "thanks\n");
        Server::start(routes, fault.map(|f| f.parse().unwrap())).unwrap()
    }

    fn ask(server: &Server, request: &[u8]) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        stream.write_all(request).unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    }

    #[test]
    fn documents_are_served() {
        let server = server();
        let full = ask(&server, b"GET /a?x=y HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(full.starts_with("HTTP/1.1 200 OK\r\n") && full.ends_with("\r\n\r\none\n"), "{full}");
        assert!(full.contains("Content-Length: 4\r\n"), "{full}");
        let head = ask(&server, b"HEAD /a/ HTTP/1.1\r\n\r\n");
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let none = ask(&server, b"GET /none HTTP/1.0\r\n\r\n");
        assert!(none.starts_with("HTTP/1.1 204 ") && !none.contains("Content-Length"), "{none}");
        assert!(ask(&server, b"GET /b HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(ask(&server, b"PUT /a HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        for bad in [&b"\xff\r\n\r\n"[..], b"GET /a\r\n\r\n", b"GET a HTTP/1.1\r\n\r\n", b"\r\n\r\n"] {
            assert!(ask(&server, bad).starts_with("HTTP/1.1 400 "));
        }
        assert_eq!(server.log()[..2], ["GET /a?x=y 200".to_owned(), "HEAD /a/ 200".to_owned()]);
    }

    #[test]
    fn bodies_are_read_and_forgotten() {
        let server = server();
        let body = "x".repeat(5000);
        let request = format!("POST /done HTTP/1.1\r\nX: y\r\nContent-Length: 5000\r\n\r\n{body}");
        assert!(ask(&server, request.as_bytes()).ends_with("thanks\n"));
        assert!(ask(&server, b"POST /done HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn faults() {
        let get = b"GET /a HTTP/1.1\r\n\r\n";
        assert_eq!(ask(&faulty(Some("refuse")), get), "");
        let server = faulty(Some("error:1"));
        assert!(ask(&server, get).starts_with("HTTP/1.1 500 "));
        assert!(ask(&server, get).ends_with("one\n"));
        let cut = ask(&faulty(Some("truncate")), get);
        assert!(cut.contains("Content-Length: 4\r\n") && cut.ends_with("\r\n\r\non"), "{cut}");
        let server = faulty(Some("garbage"));
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        stream.write_all(get).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 200 ") && String::from_utf8(bytes).is_err());
    }

    #[test]
    fn a_head_may_be_just_so_long() {
        let server = server();
        let frame = "GET /a HTTP/1.1\r\nX: \r\n\r\n".len();
        let request = |n: usize| format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(n - frame));
        assert!(ask(&server, request(HEAD_MAX).as_bytes()).starts_with("HTTP/1.1 200 "));
        assert!(ask(&server, request(HEAD_MAX + 1).as_bytes()).starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn too_many_connections_are_turned_away() {
        let server = server();
        let address = (Ipv4Addr::LOCALHOST, server.port());
        let idle: Vec<_> = (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut one_more = TcpStream::connect(address).unwrap();
        assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0);
        drop(idle);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !ask(&server, b"GET /a HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ") {
            assert!(Instant::now() < deadline);
        }
    }
}
