//! A platform's metadata service: where it is, what each request to it carries, and what "not yet" looks like
//! there. Sources ask through this, so that bounds and retries are the same everywhere.

use std::cell::Cell;

use super::{Ask, Header, Http, METADATA_LIMIT, USER_DATA_LIMIT, nothing};
use crate::source::UserDataState;
use crate::yaml::Node;
use crate::{Error, Result, json};

/// A metadata service.
#[derive(Debug)]
pub struct Service<'a> {
    http: &'a Http<'a>,
    /// Addresses of the same service, for instance for IPv4 and IPv6.
    bases: Vec<String>,
    /// The one that has answered.
    chosen: Cell<Option<usize>>,
    /// Whether the addresses come from the command line.
    given: bool,
    headers: Vec<Header>,
    not_yet: &'static [u16],
}

impl<'a> Service<'a> {
    /// The service that is at one of these addresses.
    pub fn new(http: &'a Http<'a>, bases: &[&str]) -> Self {
        let bases = bases.iter().map(|b| b.trim_end_matches('/').to_owned()).collect();
        Service { http, bases, chosen: Cell::new(None), given: false, headers: Vec::new(), not_yet: &[] }
    }

    /// The service that the command line says is at this address.
    pub fn given_at(http: &'a Http<'a>, base: &str) -> Self {
        Service { given: true, ..Service::new(http, &[base]) }
    }

    /// The address that the command line says, if it does.
    pub fn given(&self) -> Option<&str> {
        self.given.then(|| self.place())
    }

    /// From now on, every request has this header. The value may be a secret.
    pub fn add_header(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    /// From now on, these statuses are asked again, too.
    pub fn ask_again_on(&mut self, statuses: &'static [u16]) {
        self.not_yet = statuses;
    }

    /// The address that answered, or the first one.
    pub fn place(&self) -> &str {
        self.bases.get(self.chosen.get().unwrap_or(0)).map_or("", String::as_str)
    }

    /// A URL for messages.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.place())
    }

    /// The error that a document of this service is wrong.
    pub fn wrong(&self, path: &str, problem: impl Into<String>) -> Error {
        Error::Document { place: self.url(path), problem: problem.into() }
    }

    /// Sends a request of any kind.
    pub fn ask(&self, path: &str, ask: Ask<'_>) -> Result<Option<Vec<u8>>> {
        let headers = [ask.headers, &self.headers].concat();
        let ask = Ask { headers: &headers, not_yet: self.not_yet, ..ask };
        let bases = match self.chosen.get() {
            Some(at) => &self.bases[at..=at],
            None => &self.bases,
        };
        let urls: Vec<String> = bases.iter().map(|base| format!("{base}{path}")).collect();
        let (at, body) = self.http.ask(&urls, &ask)?;
        self.chosen.set(self.chosen.get().or(Some(at)));
        Ok(body)
    }

    /// What is at a path, if anything.
    pub fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        self.ask(path, Ask::get(limit))
    }

    /// What must be at a path.
    pub fn required(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        self.get(path, limit)?.ok_or_else(|| nothing(&self.url(path)))
    }

    /// Short text at a path, if any.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        let Some(bytes) = self.get(path, METADATA_LIMIT)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| self.wrong(path, "it isn't UTF-8 text"))?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// A JSON document at a path, if there is one.
    pub fn json(&self, path: &str, limit: usize) -> Result<Option<Node>> {
        let Some(bytes) = self.get(path, limit)? else { return Ok(None) };
        json::parse(&bytes, limit).map(Some).map_err(|p| self.wrong(path, p.to_string()))
    }

    /// A JSON object that must be at a path.
    pub fn object(&self, path: &str, limit: usize) -> Result<Node> {
        let node = self.json(path, limit)?.ok_or_else(|| nothing(&self.url(path)))?;
        json::object(node).map_err(|problem| self.wrong(path, problem))
    }

    /// User data at a path.
    pub fn user_data(&self, path: &str) -> UserDataState {
        UserDataState::of(self.get(path, USER_DATA_LIMIT))
    }
}
