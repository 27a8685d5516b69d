//! A client of FleetLock, the protocol of Zincati and airlock: a semaphore that lets few machines of a fleet reboot at
//! a time.
//!
//! Locks belong to a client's id, may be taken and released again and again, and never expire. So a machine
//! releases its lock when it is back and well, and also whenever it turns out not to reboot after all; a
//! machine that never comes back keeps its lock, which stops the fleet from following it.

mod answer;
mod backoff;
mod client;

use reqwest::Url;
use serde::Deserialize;

pub use answer::Answer;
pub use backoff::Backoff;
pub use client::{Client, Options, Proxies};

use crate::{Error, Result};

/// A lock server as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerText {
    /// Where the server is: `/v1/pre-reboot` comes after its path.
    pub url: String,
    /// The group of machines to share slots with.
    #[serde(default = "default_group")]
    pub group: String,
}

fn default_group() -> String {
    "default".into()
}

/// A lock server that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    base: Url,
    group: String,
}

impl Server {
    /// Checks a server's address and group.
    ///
    /// # Errors
    /// [`Error::Url`] when the address isn't `http` or `https`, or has a password, a query or a fragment;
    /// [`Error::Group`] when the group isn't `[a-zA-Z0-9.-]+`.
    pub fn new(written: &ServerText) -> Result<Self> {
        let error = |reason: &str| Error::Url { reason: reason.into() };
        let base = Url::parse(&written.url)
            .map_err(|e| error(&format!("{e}; write it as https://lock.example.com/base")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(error("it doesn't begin with http:// or https://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(error("it has a user or a password, which FleetLock doesn't know; take them out"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(error("it has a query or a fragment; it ends with its path"));
        }
        let group = &written.group;
        if group.is_empty() || !group.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)) {
            return Err(Error::Group { group: group.clone() });
        }
        Ok(Server { base, group: group.clone() })
    }

    /// The address below which the protocol is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The group of machines.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// An endpoint below the base. Joining URLs would drop the last part of a base without a slash at its end.
    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        // Addresses of http and https always have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", name]);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, group: &str) -> Result<Server> {
        Server::new(&ServerText { url: url.into(), group: group.into() })
    }

    #[test]
    fn the_path_of_the_base_stays() {
        for (base, want) in [
            ("http://lock.example.com", "http://lock.example.com/v1/pre-reboot"),
            ("http://lock.example.com/", "http://lock.example.com/v1/pre-reboot"),
            ("https://lock.example.com:8443/base", "https://lock.example.com:8443/base/v1/pre-reboot"),
            ("https://lock.example.com/base/", "https://lock.example.com/base/v1/pre-reboot"),
            ("https://lock.example.com/a%2Fb/c", "https://lock.example.com/a%2Fb/c/v1/pre-reboot"),
            ("http://[::1]:1/a", "http://[::1]:1/a/v1/pre-reboot"),
        ] {
            assert_eq!(server(base, "default").unwrap().endpoint("pre-reboot").as_str(), want);
        }
    }

    #[test]
    fn mistakes_are_found_when_servers_are_read() {
        for (url, want) in [
            ("lock.example.com", "write it as https://"),
            ("ftp://lock.example.com", "doesn't begin with http"),
            ("http://", "write it as https://"),
            ("http://u:secret@lock.example.com", "has a user or a password"),
            ("http://lock.example.com/?a=b", "query"),
            ("http://lock.example.com/#a", "fragment"),
        ] {
            let error = server(url, "default").unwrap_err().to_string();
            assert!(error.contains(want) && !error.contains("secret"), "{url}: {error}");
        }
        for group in ["", "a b", "a/b", "ä", "a_b", "a\n"] {
            assert!(matches!(server("http://x", group), Err(Error::Group { .. })), "{group:?}");
        }
        for group in ["default", "Az09.-"] {
            assert_eq!(server("http://x", group).unwrap().group(), group);
        }
    }
}
