//! A file from a web server, which goes on where a connection broke off: a rescue system's hundreds of megabytes rarely come
//! in one piece. Nothing that comes is believed here.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED,
    RANGE,
};

use crate::names::Names;
use crate::{Error, Result};

/// How long is waited, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long nothing may come.
    pub(crate) silence: Duration,
    /// Requests that bring nothing before it is given up.
    pub(crate) attempts: u32,
    /// Pause before the second request; it doubles.
    pub(crate) pause: Duration,
}

/// Half a minute of silence, eight requests in about two minutes.
pub(crate) const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(30), attempts: 8, pause: Duration::from_secs(1) };

/// A client that waits as long as `patience` says.
pub(crate) fn client(patience: Patience) -> Result<Client> {
    let client = twinhull_http::builder()
        .dns_resolver(Arc::new(Names::default()))
        // Of each read, not of the whole.
        .timeout(patience.silence)
        .connect_timeout(patience.silence)
        .user_agent(concat!("twinhull-install/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|e| Error::Io(io::Error::other(format!("no HTTP client can be made: {e}"))))
}

/// The small file at `url`, or `None` if the server has none.
///
/// Returns [`Error::Source`], also for more than `limit` bytes.
pub(crate) fn small(client: &Client, url: &Url, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = |reason: String| Error::Source { name: url.to_string(), reason };
    let response = client.get(url.clone()).send().map_err(|e| failed(cause(&e)))?;
    match response.status().as_u16() {
        404 => return Ok(None),
        200 => {}
        status => return Err(failed(format!("the server answered with status {status}"))),
    }
    let mut bytes = Vec::new();
    response.take(limit + 1).read_to_end(&mut bytes).map_err(|e| failed(cause(&e)))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("it is longer than {limit} bytes; is it the signed document?")));
    }
    Ok(Some(bytes))
}

/// Why there is nothing more to read.
#[derive(Debug)]
enum Trouble {
    /// It may go on later.
    Passing(String),
    /// Asking again is no use.
    Lasting(String),
}

/// A file that is being fetched.
#[derive(Debug)]
pub(crate) struct Download {
    client: Client,
    url: Url,
    at: u64,
    /// Its length, if the server says.
    length: Option<u64>,
    /// What tells this file from another at the same place.
    tag: Option<String>,
    body: Option<Response>,
    /// Bytes of the body that are here already.
    skip: u64,
    /// Requests since the last byte.
    failures: u32,
    patience: Patience,
}

impl Download {
    /// Asks for the file at `url`.
    ///
    /// Returns [`Error::Source`].
    pub(crate) fn open(client: Client, url: Url, patience: Patience) -> Result<Self> {
        let mut download = Download {
            client,
            url,
            at: 0,
            length: None,
            tag: None,
            body: None,
            skip: 0,
            failures: 0,
            patience,
        };
        loop {
            match download.connect() {
                Ok(()) => return Ok(download),
                Err(trouble) => download.pause(trouble).map_err(|reason| Error::Source {
                    name: download.url.to_string(),
                    reason: reason.to_string(),
                })?,
            }
        }
    }

    /// Length in bytes, if the server says.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Asks for what is still to be read.
    fn connect(&mut self) -> Result<(), Trouble> {
        let mut request = self.client.get(self.url.clone()).header(ACCEPT_ENCODING, "identity");
        if self.at > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.at));
            request = self.tag.iter().fold(request, |request, tag| request.header(IF_RANGE, tag));
        }
        let response = request.send().map_err(|e| Trouble::Passing(cause(&e)))?;
        let headers = response.headers();
        let tag = tag(headers);
        let changed = || Trouble::Lasting("the file on the server has changed; begin anew".into());
        match response.status().as_u16() {
            200 => {
                let length = text(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok());
                if self.at > 0 && (length != self.length || tag != self.tag) {
                    return Err(changed());
                }
                // Without ranges, what is here already comes again.
                (self.length, self.tag, self.skip) = (length, tag, self.at);
            }
            206 if self.at > 0 => {
                let range = text(headers, CONTENT_RANGE).unwrap_or_default();
                let range = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
                let (from, total) = range.unwrap_or_default();
                let from = from.split_once('-').and_then(|(from, _)| from.parse::<u64>().ok());
                if from != Some(self.at) {
                    return Err(Trouble::Lasting(
                        "the server sent another range than it was asked for".into(),
                    ));
                }
                let another = self.length.is_some() && total.parse().ok() != self.length;
                if another || (tag.is_some() && tag != self.tag) {
                    return Err(changed());
                }
                self.skip = 0;
            }
            416 => return Err(changed()),
            404 => return Err(Trouble::Lasting("the server doesn't have it".into())),
            status @ (408 | 429 | 500..) => {
                return Err(Trouble::Passing(format!("the server answered with status {status}")));
            }
            status => return Err(Trouble::Lasting(format!("the server answered with status {status}"))),
        }
        self.body = Some(response);
        Ok(())
    }

    /// Reads on, or says why not; `None` when what came was not wanted.
    fn step(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Trouble> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => {
                self.connect()?;
                return Ok(None);
            }
        };
        let left = if self.skip > 0 { self.skip } else { u64::MAX };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = body.read(&mut buffer[..most]).map_err(|e| Trouble::Passing(cause(&e)))?;
        if n == 0 && self.length.is_some_and(|length| self.at < length) {
            return Err(Trouble::Passing("the connection was closed".into()));
        }
        self.body = Some(body);
        if self.skip > 0 {
            self.skip -= n as u64;
            return Ok(None);
        }
        Ok(Some(n))
    }

    /// Waits before another try, or fails if there is no use in one.
    fn pause(&mut self, trouble: Trouble) -> io::Result<()> {
        self.body = None;
        self.failures += 1;
        let given_up = |reason: String| Err(io::Error::other(reason));
        match trouble {
            Trouble::Lasting(reason) => given_up(reason),
            Trouble::Passing(reason) if self.failures >= self.patience.attempts => {
                given_up(format!("{reason}; {} requests in a row brought nothing", self.failures))
            }
            Trouble::Passing(reason) if self.at > 0 && self.length.is_none() && self.tag.is_none() => {
                given_up(format!("{reason}; the server says nothing by which it could go on"))
            }
            Trouble::Passing(reason) => {
                let pause = self.patience.pause * 2_u32.saturating_pow(self.failures - 1);
                eprintln!("note: {reason}; going on at byte {} in {} s", self.at, pause.as_secs_f64());
                std::thread::sleep(pause);
                Ok(())
            }
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.length.is_some_and(|length| self.at >= length) {
            return Ok(0);
        }
        loop {
            match self.step(buffer) {
                Ok(None) => {}
                Ok(Some(n)) => {
                    self.at += n as u64;
                    self.failures = 0;
                    return Ok(n);
                }
                Err(trouble) => self.pause(trouble)?,
            }
        }
    }
}

/// A strong entity tag, or else the time of the last change.
fn tag(headers: &HeaderMap) -> Option<String> {
    text(headers, ETAG).filter(|tag| tag.starts_with('"')).or_else(|| text(headers, LAST_MODIFIED))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The innermost cause, on one line: the outer ones repeat the address.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests;
