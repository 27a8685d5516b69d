//! A client for metadata services: bounded in time, bytes and patience.
//!
//! No TLS, no proxies, no redirects: these services are on the same host. "Nothing there" (204, 404) is an
//! answer; trouble (no route yet, 5xx, 429) is asked again until the source's time is over.

mod low_port;
mod service;

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use crate::clock::{Clock, backoff, random};
use crate::{Error, Result};

pub use service::Service;

/// The longest a single request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Largest metadata document.
pub const METADATA_LIMIT: usize = 256 << 10;

/// Largest user data.
pub const USER_DATA_LIMIT: usize = 1 << 20;

/// Largest metadata document that has user data in it, in base64 at worst.
pub const DOCUMENT_LIMIT: usize = METADATA_LIMIT + USER_DATA_LIMIT / 3 * 4 + 4;

/// A client with a deadline.
pub struct Http<'a> {
    client: ureq::Agent,
    clock: &'a dyn Clock,
    deadline: Duration,
}

impl std::fmt::Debug for Http<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Name and value of a header; the value may be a secret.
pub type Header = (Cow<'static, str>, String);

/// A request but for its URL.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// GET, PUT, POST or PATCH.
    pub method: &'static str,
    /// What is sent along.
    pub headers: &'a [Header],
    /// What is sent.
    pub body: &'a [u8],
    /// Most bytes of an answer.
    pub limit: usize,
    /// Further statuses that mean "not yet" at this service.
    pub not_yet: &'a [u16],
    /// Whether it has to come from a port that only root can have.
    pub low_port: bool,
}

impl Ask<'_> {
    /// A plain GET.
    pub fn get(limit: usize) -> Self {
        Ask { method: "GET", headers: &[], body: b"", limit, not_yet: &[], low_port: false }
    }
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("method", &self.method).finish_non_exhaustive()
    }
}

enum Trouble {
    Lasting(String),
    Passing(String),
}

impl<'a> Http<'a> {
    /// A client all of whose requests end before `bound` from now is over.
    pub fn new(clock: &'a dyn Clock, bound: Duration) -> Self {
        Http { client: agent(None), clock, deadline: clock.now() + bound }
    }

    /// The body at a URL; `None` when the service says that there is none.
    pub fn get(&self, url: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        self.ask(&[url.to_owned()], &Ask::get(limit)).map(|(_, body)| body)
    }

    /// Like [`Http::get`], for what must be there.
    pub fn required(&self, url: &str, limit: usize) -> Result<Vec<u8>> {
        self.get(url, limit)?.ok_or_else(|| nothing(url))
    }

    /// Asks at several URLs, which lead to the same service, until one of them answers: which one, and its
    /// body. A refusal is an answer, too.
    pub fn ask(&self, urls: &[String], ask: &Ask<'_>) -> Result<(usize, Option<Vec<u8>>)> {
        let started = self.clock.now();
        let failed =
            |url: &str, came_back| Error::Http { method: ask.method, url: url.to_owned(), came_back };
        let mut attempt = 0;
        loop {
            let mut troubles = Vec::new();
            for (at, url) in urls.iter().enumerate() {
                let left = self.deadline.saturating_sub(self.clock.now());
                match self.once(url, ask, left.clamp(Duration::from_millis(100), REQUEST)) {
                    Ok(body) => return Ok((at, body)),
                    Err(Trouble::Lasting(came_back)) => return Err(failed(url, came_back)),
                    Err(Trouble::Passing(trouble)) if at == 0 => troubles.push(trouble),
                    Err(Trouble::Passing(trouble)) => troubles.push(format!("{url}: {trouble}")),
                }
            }
            let mut chance = [128];
            // Without randomness the wait is the middle one.
            let _ = random(&mut chance);
            let wait = backoff(attempt, chance[0]);
            attempt += 1;
            if self.clock.now() + wait >= self.deadline {
                let seconds = (self.clock.now().saturating_sub(started)).as_secs();
                let came_back = format!("{} ({attempt} attempts in {seconds} s)", troubles.join("; "));
                return Err(failed(urls.first().map_or("", String::as_str), came_back));
            }
            self.clock.sleep(wait);
        }
    }

    fn once(&self, url: &str, ask: &Ask<'_>, time: Duration) -> Result<Option<Vec<u8>>, Trouble> {
        let request = ask
            .headers
            .iter()
            .fold(ureq::http::Request::builder().method(ask.method).uri(url), |r, (name, value)| {
                r.header(name.as_ref(), value)
            })
            .body(ask.body)
            // The reason might have a header in it, which might be a secret.
            .map_err(|_| Trouble::Lasting("the URL or a header isn't valid".into()))?;
        // A port can't be used again at once, so each of these requests has a client of its own.
        let low;
        let client = if ask.low_port {
            low = agent(Some(low_port::Connector));
            &low
        } else {
            &self.client
        };
        let request = client.configure_request(request).timeout_global(Some(time)).build();
        let mut response = client.run(request).map_err(|e| match &e {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::TlsRequired => {
                Trouble::Lasting(cause(&e))
            }
            _ => Trouble::Passing(cause(&e)),
        })?;
        let status = response.status();
        match status.as_u16() {
            code if ask.not_yet.contains(&code) => return Err(Trouble::Passing(format!("status {status}"))),
            204 | 404 => return Ok(None),
            200..=203 => {}
            408 | 425 | 429 | 500..=599 => return Err(Trouble::Passing(format!("status {status}"))),
            300..=399 => return Err(Trouble::Lasting(format!("status {status}; redirects aren't followed"))),
            _ => return Err(Trouble::Lasting(format!("status {status}"))),
        }
        let limit = ask.limit;
        let too_long = || Trouble::Lasting(format!("a body of more than {limit} bytes"));
        if response.body().content_length().is_some_and(|n| n > limit as u64) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        response.body_mut().as_reader().take(limit as u64 + 1).read_to_end(&mut body).map_err(|e| {
            Trouble::Passing(format!("status {status}, then the body broke off: {}", cause(&e)))
        })?;
        if body.len() > limit { Err(too_long()) } else { Ok(Some(body)) }
    }
}

fn agent(connector: Option<low_port::Connector>) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("twinhull-firstboot/", env!("CARGO_PKG_VERSION")))
        .build();
    match connector {
        None => config.into(),
        Some(connector) => ureq::Agent::with_parts(
            config,
            connector,
            ureq::unversioned::resolver::DefaultResolver::default(),
        ),
    }
}

fn nothing(url: &str) -> Error {
    Error::Http {
        method: "GET",
        url: url.to_owned(),
        came_back: "there is nothing (204 or 404), and it is required; is this the right service?".into(),
    }
}

/// The innermost cause: the outer ones only repeat the URL.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
