//! What a metadata service answers to what: the protocol of each cloud as a table, for one server.

use std::collections::BTreeMap;

/// A header that requests must have, and the status of those that don't.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: &'static str,
    /// What is said without it.
    pub(crate) status: &'static str,
}

/// Something other than GET that is answered.
#[derive(Clone, Debug)]
struct Action {
    method: &'static str,
    path: &'static str,
    /// A header it must have.
    header: &'static str,
    answer: &'static str,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    documents: BTreeMap<String, Vec<u8>>,
    needed: Option<Needed>,
    /// A word that the query must have.
    query: Option<&'static str>,
    actions: Vec<Action>,
    /// A header of every answer.
    says: Option<&'static str>,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    head: &'a str,
}

impl<'a> Request<'a> {
    /// Reads the head of a request, if it is one.
    pub(crate) fn parse(head: &'a [u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let words: Vec<_> = head.split('\r').next().unwrap_or_default().split(' ').collect();
        match words[..] {
            [method, target, "HTTP/1.1" | "HTTP/1.0"] if target.starts_with('/') => {
                Some(Request { method, target, head })
            }
            _ => None,
        }
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Routes {
    /// Serves a document. An empty one is answered with 204.
    pub(crate) fn get(&mut self, path: &str, body: impl Into<Vec<u8>>) {
        self.documents.insert(path.to_owned(), body.into());
    }

    /// Takes a document back, which is then answered with 404.
    pub(crate) fn remove(&mut self, path: &str) {
        self.documents.remove(path);
    }

    /// Asks for a header.
    pub(crate) fn need(&mut self, name: &'static str, value: &'static str, status: &'static str) {
        self.needed = Some(Needed { name, value, status });
    }

    /// Asks for a word in the query.
    pub(crate) fn need_query(&mut self, word: &'static str) {
        self.query = Some(word);
    }

    /// Answers another method, when the request has a header. It needs no other.
    pub(crate) fn act(
        &mut self,
        method: &'static str,
        path: &'static str,
        header: &'static str,
        answer: &'static str,
    ) {
        self.actions.push(Action { method, path, header, answer });
    }

    /// Says a header in every answer.
    pub(crate) fn say(&mut self, header: &'static str) {
        self.says = Some(header);
    }

    /// The header of every answer.
    pub(crate) fn said(&self) -> Option<&'static str> {
        self.says
    }

    /// The document at `path`.
    #[cfg(test)]
    pub(crate) fn at(&self, path: &str) -> Option<&[u8]> {
        self.documents.get(path).map(Vec::as_slice)
    }

    /// Status and body of the answer to a request.
    pub(crate) fn answer(&self, request: &Request<'_>) -> (&'static str, &[u8]) {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if let Some(action) = self.actions.iter().find(|a| a.path == path && a.method == request.method) {
            return match request.header(action.header) {
                Some(_) => ("200 OK", action.answer.as_bytes()),
                None => ("400 Bad Request", b"A header is missing.\n"),
            };
        }
        if !matches!(request.method, "GET" | "HEAD") {
            return ("405 Method Not Allowed", b"Only GET and HEAD are answered.\n");
        }
        if let Some(needed) = &self.needed
            && request.header(needed.name) != Some(needed.value)
        {
            return (needed.status, b"");
        }
        if self.query.is_some_and(|word| !query.contains(word)) {
            return ("400 Bad Request", b"Something is missing in the query.\n");
        }
        match self.documents.get(path) {
            Some(body) if body.is_empty() => ("204 No Content", b""),
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", b"not found\n"),
        }
    }
}
