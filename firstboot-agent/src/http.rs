//! A client for metadata services: bounded in time, bytes and patience.
//!
//! No TLS, no proxies, no redirects: these services are on the same host. "Nothing there" (204, 404) is an
//! answer; trouble (no route yet, 5xx, 429) is asked again until the source's time is over.

use std::io::Read;
use std::time::Duration;

use crate::clock::{Clock, backoff, random};
use crate::{Error, Result};

/// The longest a single request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Largest metadata document.
pub const METADATA_LIMIT: usize = 256 << 10;

/// Largest user data.
pub const USER_DATA_LIMIT: usize = 1 << 20;

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

enum Trouble {
    Lasting(String),
    Passing(String),
}

impl<'a> Http<'a> {
    /// A client all of whose requests end before `bound` from now is over.
    pub fn new(clock: &'a dyn Clock, bound: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("twinhull-firstboot/", env!("CARGO_PKG_VERSION")))
            .build();
        Http { client: config.into(), clock, deadline: clock.now() + bound }
    }

    /// The body at a URL; `None` when the service says that there is none.
    pub fn get(&self, url: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let started = self.clock.now();
        let mut attempt = 0;
        loop {
            let left = self.deadline.saturating_sub(self.clock.now());
            let trouble = match self.once(url, limit, left.clamp(Duration::from_millis(100), REQUEST)) {
                Ok(body) => return Ok(body),
                Err(Trouble::Lasting(came_back)) => {
                    return Err(Error::Http { url: url.to_owned(), came_back });
                }
                Err(Trouble::Passing(came_back)) => came_back,
            };
            let mut chance = [128];
            // Without randomness the wait is the middle one.
            let _ = random(&mut chance);
            let wait = backoff(attempt, chance[0]);
            attempt += 1;
            if self.clock.now() + wait >= self.deadline {
                let seconds = (self.clock.now().saturating_sub(started)).as_secs();
                let came_back = format!("{trouble} ({attempt} attempts in {seconds} s)");
                return Err(Error::Http { url: url.to_owned(), came_back });
            }
            self.clock.sleep(wait);
        }
    }

    /// Like [`Http::get`], for what must be there.
    pub fn required(&self, url: &str, limit: usize) -> Result<Vec<u8>> {
        self.get(url, limit)?.ok_or_else(|| Error::Http {
            url: url.to_owned(),
            came_back: "there is nothing (204 or 404), and it is required; is this the right service?".into(),
        })
    }

    fn once(&self, url: &str, limit: usize, time: Duration) -> Result<Option<Vec<u8>>, Trouble> {
        let request = self.client.get(url).config().timeout_global(Some(time)).build();
        let mut response = request.call().map_err(|e| match &e {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::TlsRequired => {
                Trouble::Lasting(cause(&e))
            }
            _ => Trouble::Passing(cause(&e)),
        })?;
        let status = response.status();
        match status.as_u16() {
            204 | 404 => return Ok(None),
            200 => {}
            408 | 425 | 429 | 500..=599 => return Err(Trouble::Passing(format!("status {status}"))),
            300..=399 => return Err(Trouble::Lasting(format!("status {status}; redirects aren't followed"))),
            _ => return Err(Trouble::Lasting(format!("status {status}"))),
        }
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

/// The innermost cause: the outer ones only repeat the URL.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
