//! `fleetlock-server`: a small FleetLock server over etcd, so that our client meets another implementation of the
//! protocol than mocks of its own. For tests only: it has no TLS and knows nobody.

mod etcd;
mod protocol;
mod semaphore;

use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use tiny_http::{Header, Method, Request, Response, Server};

use protocol::{Answer, Question};
use semaphore::Semaphores;

/// Requests that are answered at a time; more than one, so that they compete.
const WORKERS: usize = 4;

/// The most of a body that is read.
const LIMIT: u64 = 64 << 10;

/// A FleetLock server over etcd, for tests
#[derive(Debug, clap::Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: String,
    /// Where etcd listens for clients, over plain HTTP
    #[arg(long, value_name = "URL")]
    etcd: String,
    /// Machines of a group that may hold a lock at a time
    #[arg(long, value_name = "N", default_value = "1")]
    slots: NonZeroUsize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let semaphores = Semaphores::new(etcd::Etcd::new(&args.etcd)?, args.slots.get());
    let server = Server::http(&args.listen)
        .map_err(|e| anyhow!("can't listen on {}: {e}; choose another address with --listen", args.listen))?;
    let address = server.server_addr().to_ip().context("the address to listen on has no port")?;
    // Tests read it here.
    println!("http://{address}");
    std::io::stdout().flush()?;
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                // An error is the end of the server's socket, and so of this worker.
                while let Ok(request) = server.recv() {
                    serve(request, &semaphores);
                }
            });
        }
    });
    Ok(())
}

fn serve(mut request: Request, semaphores: &Semaphores<etcd::Etcd>) {
    let mut body = Vec::new();
    let read = request.as_reader().take(LIMIT).read_to_end(&mut body);
    let marked =
        request.headers().iter().any(|h| h.field.equiv("fleet-lock-protocol") && h.value.as_str() == "true");
    let question =
        Question { post: *request.method() == Method::Post, path: request.url(), marked, body: &body };
    let answer = match read {
        Ok(_) => protocol::answer(&question, semaphores),
        Err(e) => Answer::bad_request("unreadable_body", format!("the body can't be read: {e}")),
    };
    let mut response = Response::from_string(&answer.body).with_status_code(answer.status);
    if let Ok(header) = Header::from_bytes("content-type", "application/json") {
        response.add_header(header);
    }
    // Tests read this, too: who took or gave back a lock.
    if answer.status == 200 {
        let body = String::from_utf8_lossy(&body);
        println!("{} {}", request.url().rsplit('/').next().unwrap_or_default(), body.replace('\n', " "));
    }
    if let Err(e) = request.respond(response) {
        eprintln!("a client hung up before its answer: {e}");
    }
}
