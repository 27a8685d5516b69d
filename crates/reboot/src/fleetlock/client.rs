//! The requests themselves. This is the only file that knows the HTTP client.
//!
//! What a server can do is bounded: a time for the whole request, bytes of the answer, no redirects (the protocol has a
//! header against requests that end up elsewhere). Proxies are used when the caller names them, never from
//! the environment by themselves.

use std::io::Read as _;
use std::time::Duration;

use reqwest::blocking::{Client as Http, ClientBuilder};
use serde_json::json;

use super::{Answer, Server};
use crate::{AppId, Error, Result, text};

/// The most of an answer that is read.
const LIMIT: u64 = 64 << 10;

/// How to reach a lock server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a request may take, from the name of the server to the last byte of its answer.
    pub timeout: Duration,
    /// Proxies to go through; none by default.
    pub proxies: Proxies,
}

impl Default for Options {
    /// 30 seconds and no proxies.
    fn default() -> Self {
        Options { timeout: Duration::from_secs(30), proxies: Proxies::default() }
    }
}

/// Addresses of proxies.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http`.
    pub http: Option<String>,
    /// For `https`.
    pub https: Option<String>,
    /// Names, domains and networks that are reached without, with commas between them.
    pub no_proxy: Option<String>,
}

impl Proxies {
    /// What an environment says, for callers who want it: `http_proxy`, `https_proxy` and `no_proxy`. Names in capitals
    /// count when there is no other, except `HTTP_PROXY`, which a header of a request can set in CGI programs.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| var(name).filter(|value| !value.is_empty());
        Proxies {
            http: get("http_proxy"),
            https: get("https_proxy").or_else(|| get("HTTPS_PROXY")),
            no_proxy: get("no_proxy").or_else(|| get("NO_PROXY")),
        }
    }
}

/// Addresses of proxies may have passwords.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = |value: &Option<String>| value.as_ref().map(|_| "..");
        f.debug_struct("Proxies")
            .field("http", &set(&self.http))
            .field("https", &set(&self.https))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// A client of one server, with the id that locks belong to.
#[derive(Debug)]
pub struct Client {
    http: Http,
    server: Server,
    body: String,
    timeout: Duration,
}

impl Client {
    /// A client with what the HTTP client was built with.
    ///
    /// # Errors
    /// See [`Client::with_builder`].
    pub fn new(server: &Server, id: &AppId, options: &Options) -> Result<Self> {
        Self::with_builder(twinhull_http::builder(), server, id.as_str(), options)
    }

    /// A client for callers who have set up TLS in a builder, or have an id of their own. Redirects, proxies and
    /// the user agent of the builder are replaced.
    ///
    /// # Errors
    /// [`Error::NoId`] when `id` is empty, [`Error::Proxy`] when a proxy's address can't be read, [`Error::Client`]
    /// when the builder has settings that can't be used.
    pub fn with_builder(
        builder: ClientBuilder,
        server: &Server,
        id: &str,
        options: &Options,
    ) -> Result<Self> {
        if id.is_empty() {
            return Err(Error::NoId);
        }
        let mut builder = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("twinhull-reboot/", env!("CARGO_PKG_VERSION")));
        let proxies = &options.proxies;
        let without = || proxies.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        for (scheme, address) in [("http", &proxies.http), ("https", &proxies.https)] {
            let Some(address) = address else { continue };
            let make = if scheme == "http" { reqwest::Proxy::http } else { reqwest::Proxy::https };
            let proxy = make(address).map_err(|e| Error::Proxy { scheme, reason: cause(&e) })?;
            builder = builder.proxy(proxy.no_proxy(without()));
        }
        let http = builder.build().map_err(|e| Error::Client(cause(&e)))?;
        let body = json!({"client_params": {"id": id, "group": server.group()}}).to_string();
        Ok(Client { http, server: server.clone(), body, timeout: options.timeout })
    }

    /// Asks for a slot to reboot in. It is also granted to who has it already.
    pub fn lock(&self) -> Answer {
        self.post("pre-reboot")
    }

    /// Gives the slot back. That is also done for who has none.
    pub fn unlock(&self) -> Answer {
        self.post("steady-state")
    }

    fn post(&self, endpoint: &str) -> Answer {
        // The time limit of a request covers its answer's body, that of a client only each read.
        let request = self
            .http
            .post(self.server.endpoint(endpoint))
            .header("fleet-lock-protocol", "true")
            .header("content-type", "application/json")
            .timeout(self.timeout)
            .body(self.body.clone());
        let response = match request.send() {
            Ok(response) => response,
            Err(e) if e.is_builder() => return Answer::Refused { kind: None, value: cause(&e) },
            Err(e) => return Answer::Retry { reason: format!("no answer: {}", cause(&e)) },
        };
        let status = response.status().as_u16();
        if status == 200 {
            return Answer::Done;
        }
        let mut body = Vec::new();
        // An answer that breaks off still has its status.
        let _ = response.take(LIMIT).read_to_end(&mut body);
        Answer::new(status, &body)
    }
}

/// The innermost cause: the outer ones repeat the address.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    text::shown(&error.to_string())
}

#[cfg(test)]
mod tests;
