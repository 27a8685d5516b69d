//! Fetches from release folders: bounded in bytes and patience, and taken up again where a connection broke off. Nothing
//! that comes back is believed here.

mod limit;

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Url;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use twinhull_release::{Source, SourceError};

use limit::Limit;

/// Patience of one request, connecting and each read.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long nothing may come.
    pub silence: Duration,
    /// Fewest bytes a second over [`Patience::window`]: slower is an attack that never ends by itself.
    pub rate: u64,
    /// Over how long the rate is measured.
    pub window: Duration,
    /// Requests that bring nothing before it is given up.
    pub attempts: u32,
    /// Pause before the second request; it doubles.
    pub pause: Duration,
}

impl Default for Patience {
    /// Half a minute of silence, 1 KiB a second, 8 requests in about two minutes.
    fn default() -> Self {
        Patience {
            silence: Duration::from_secs(30),
            rate: 1024,
            window: Duration::from_secs(60),
            attempts: 8,
            pause: Duration::from_secs(1),
        }
    }
}

/// Why there is nothing more to read.
#[derive(Debug)]
enum Trouble {
    /// It may go on later.
    Passing(String),
    /// Asking this server again is no use.
    Lasting(String),
}

/// The release folders of an image, which are mirrors of each other.
#[derive(Debug)]
pub struct Folders {
    client: Client,
    /// With a slash at the end.
    urls: Vec<Url>,
    patience: Patience,
    /// Bytes of all bodies that came.
    fetched: AtomicU64,
    limit: Option<Limit>,
}

impl Folders {
    /// The folders BASE/IMAGE of each of `bases`.
    pub fn new(bases: &[String], image: &str, patience: Patience) -> Result<Self> {
        let client = twinhull_http::builder()
            .timeout(patience.silence)
            .connect_timeout(patience.silence)
            .user_agent(concat!("twinhull-update/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no HTTP client can be made")?;
        let folder = |base: &String| -> Result<Url> {
            let mut url = Url::parse(base)?;
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend([image, ""]);
            }
            Ok(url)
        };
        Ok(Folders {
            client,
            urls: bases.iter().map(folder).collect::<Result<_>>()?,
            patience,
            fetched: AtomicU64::new(0),
            limit: None,
        })
    }

    /// Holds all downloads together to `rate` bytes a second.
    pub fn limited(self, rate: Option<u64>) -> Self {
        Folders { limit: rate.map(Limit::new), ..self }
    }

    fn count(&self, bytes: u64) {
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
        if let Some(limit) = &self.limit {
            limit.spend(bytes);
        }
    }

    /// Bytes that were fetched so far, without what HTTP adds.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// The file `name` of exactly `length` bytes, as a reader that survives broken connections.
    pub fn open(&self, name: &str, length: u64) -> Download<'_> {
        self.open_range(name, length, 0..length)
    }

    /// As [`Folders::open`], for a range of the file only; it fails with servers that know no ranges.
    pub fn open_range(&self, name: &str, length: u64, range: Range<u64>) -> Download<'_> {
        let patience = self.patience;
        Download {
            folders: self,
            name: name.into(),
            length,
            at: range.start,
            end: range.end.min(length),
            body: None,
            mirror: 0,
            failures: 0,
            patience,
        }
    }

    /// `bound` is for all of the answer; without it only silence ends a request.
    fn get(&self, url: &Url, range: Option<String>, bound: Option<Duration>) -> Result<Response, String> {
        let request = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        let request = bound.into_iter().fold(request, |request, bound| request.timeout(bound));
        let request = range.into_iter().fold(request, |request, range| request.header(RANGE, range));
        let response = request.send().map_err(|e| cause(&e))?;
        match response.status().as_u16() {
            200 | 206 | 404 => Ok(response),
            status => Err(format!("the server answered with status {status}")),
        }
    }
}

impl Source for Folders {
    fn fetch(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let mut problem = None;
        for base in &self.urls {
            let url = base.join(name).map_err(|e| SourceError::Other(e.to_string()))?;
            // A document is small: a drip that never falls silent must end, too.
            let response = match self.get(&url, None, Some(self.patience.window)) {
                Ok(response) if response.status() == 404 => continue,
                Ok(response) => response,
                Err(reason) => {
                    problem = Some(format!("{url}: {reason}"));
                    continue;
                }
            };
            let mut bytes = Vec::new();
            let read = response.take(limit + 1).read_to_end(&mut bytes);
            self.count(bytes.len() as u64);
            match read {
                Ok(_) if bytes.len() as u64 > limit => return Err(SourceError::TooLong),
                Ok(_) => return Ok(Some(bytes)),
                Err(error) => problem = Some(format!("{url}: {}", cause(&error))),
            }
        }
        // "There is none" counts only when every mirror says so.
        problem.map_or(Ok(None), |problem| Err(SourceError::Other(problem)))
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub struct Download<'a> {
    folders: &'a Folders,
    name: String,
    length: u64,
    at: u64,
    /// Where reading ends.
    end: u64,
    body: Option<Body>,
    mirror: usize,
    /// Requests since the last byte.
    failures: u32,
    patience: Patience,
}

#[derive(Debug)]
struct Body {
    response: Response,
    /// Bytes that come before those that are wanted.
    skip: u64,
    /// Start of the present window, and bytes since.
    since: Instant,
    bytes: u64,
}

impl Download<'_> {
    fn mirrors(&self) -> u32 {
        u32::try_from(self.folders.urls.len()).unwrap_or(u32::MAX)
    }

    /// Asks for what is still to be read.
    fn connect(&self) -> Result<Body, Trouble> {
        let base = &self.folders.urls[self.mirror % self.folders.urls.len()];
        let url = base.join(&self.name).map_err(|e| Trouble::Lasting(e.to_string()))?;
        let passing = |reason: String| Trouble::Passing(format!("{url}: {reason}"));
        let lasting = |reason: String| Trouble::Lasting(format!("{url}: {reason}"));
        let (at, last) = (self.at, self.end - 1);
        let range = (at > 0 || self.end < self.length).then(|| format!("bytes={at}-{last}"));
        let response = self.folders.get(&url, range, None).map_err(passing)?;
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let expected = match response.status().as_u16() {
            404 => return Err(lasting("the server doesn't have it".into())),
            206 => {
                let range = header(CONTENT_RANGE).unwrap_or_default().to_owned();
                let wanted = format!("bytes {at}-{last}/{}", self.length);
                if range != wanted {
                    return Err(lasting(format!("the server sent {range:?} for {wanted:?}")));
                }
                self.end - at
            }
            _ if self.end < self.length => return Err(lasting("the server sends no ranges of files".into())),
            _ => self.length,
        };
        if let Some(length) = header(CONTENT_LENGTH).filter(|length| *length != expected.to_string()) {
            return Err(lasting(format!("it has {length} bytes, {expected} were signed")));
        }
        // Without ranges, what is here already comes again.
        let skip = if response.status() == 206 { 0 } else { self.at };
        Ok(Body { response, skip, since: Instant::now(), bytes: 0 })
    }

    /// Reads on, or says why not; 0 when what came was not wanted.
    fn step(&mut self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.connect()?,
        };
        let left = if body.skip > 0 { body.skip } else { self.end - self.at };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = body.response.read(&mut buffer[..most]).map_err(|e| Trouble::Passing(cause(&e)))?;
        if n == 0 {
            return Err(Trouble::Passing("the connection was closed".into()));
        }
        body.bytes += n as u64;
        self.folders.count(n as u64);
        let time = body.since.elapsed();
        if time >= self.patience.window {
            let rate = body.bytes as f64 / time.as_secs_f64();
            if rate < self.patience.rate as f64 {
                let wanted = self.patience.rate;
                let text = format!("slow retrieval: {rate:.0} bytes a second, at least {wanted} are wanted");
                return Err(Trouble::Passing(text));
            }
            (body.since, body.bytes) = (Instant::now(), 0);
        }
        let wanted = if body.skip > 0 { 0 } else { n };
        body.skip -= (n - wanted) as u64;
        self.body = Some(body);
        Ok(wanted)
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.end || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.step(buffer) {
                Ok(0) => {}
                Ok(n) => {
                    self.at += n as u64;
                    self.failures = 0;
                    return Ok(n);
                }
                Err(trouble) => {
                    self.body = None;
                    self.mirror += 1;
                    // Every mirror is asked once for what asking again won't change.
                    let (reason, cost) = match trouble {
                        Trouble::Passing(reason) => (reason, 1),
                        Trouble::Lasting(reason) => (reason, self.patience.attempts / self.mirrors() + 1),
                    };
                    self.failures += cost;
                    if self.failures >= self.patience.attempts {
                        return Err(io::Error::other(format!(
                            "{} can't be fetched, {} of {} bytes are here: {reason}",
                            self.name, self.at, self.length
                        )));
                    }
                    let pause = match cost {
                        1 => self.patience.pause * 2_u32.saturating_pow(self.failures - 1),
                        _ => Duration::ZERO,
                    };
                    log::info!("{reason}; trying again in {} s", pause.as_secs_f64());
                    std::thread::sleep(pause);
                }
            }
        }
    }
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
