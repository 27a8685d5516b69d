//! FleetLock as its specification has it: what a request asks for, and what the answer looks like.

use serde::Deserialize;
use serde_json::json;

use crate::semaphore::{Outcome, Semaphores, Store};

/// A request, without what the protocol doesn't look at.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// Whether the method is POST.
    pub(crate) post: bool,
    /// Path of the address.
    pub(crate) path: &'a str,
    /// Whether the header of the protocol is there.
    pub(crate) marked: bool,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status of HTTP.
    pub(crate) status: u16,
    /// Nothing, or an error of the protocol as JSON.
    pub(crate) body: String,
}

impl Answer {
    fn ok() -> Self {
        Answer { status: 200, body: String::new() }
    }

    fn error(status: u16, kind: &str, value: impl AsRef<str>) -> Self {
        Answer { status, body: json!({"kind": kind, "value": value.as_ref()}).to_string() }
    }

    /// A request that can't be understood.
    pub(crate) fn bad_request(kind: &str, value: impl AsRef<str>) -> Self {
        Answer::error(400, kind, value)
    }
}

#[derive(Deserialize)]
struct Body {
    client_params: Client,
}

#[derive(Deserialize)]
struct Client {
    id: String,
    group: String,
}

impl Client {
    fn read(question: &Question<'_>) -> Result<Self, String> {
        if !question.marked {
            return Err("the header fleet-lock-protocol isn't \"true\"".into());
        }
        let Body { client_params: client } =
            serde_json::from_slice(question.body).map_err(|e| format!("the body can't be read: {e}"))?;
        if client.id.is_empty() {
            return Err("the id is empty".into());
        }
        let group = &client.group;
        if group.is_empty() || !group.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)) {
            return Err("the group isn't [a-zA-Z0-9.-]+".into());
        }
        Ok(client)
    }
}

/// Does what a request asks for. Statuses and kinds are those of airlock, the server that most fleets have: a full
/// semaphore is a 500.
pub(crate) fn answer<S: Store>(question: &Question<'_>, semaphores: &Semaphores<S>) -> Answer {
    let lock = match question.path {
        "/v1/pre-reboot" => true,
        "/v1/steady-state" => false,
        path => return Answer::error(404, "unknown_endpoint", format!("there is nothing at {path}")),
    };
    if !question.post {
        return Answer::error(405, "unknown_method", "requests of this protocol are POST");
    }
    let client = match Client::read(question) {
        Ok(client) => client,
        Err(reason) => return Answer::bad_request("invalid_client_identity", reason),
    };
    let (outcome, kind) = if lock {
        (semaphores.lock(&client.group, &client.id), "failed_lock")
    } else {
        (semaphores.unlock(&client.group, &client.id), "failed_unlock")
    };
    match outcome {
        Ok(Outcome::Done) => Answer::ok(),
        Ok(Outcome::Full) => Answer::error(500, kind, "all slots of the group are taken"),
        Err(e) => Answer::error(500, kind, format!("{e:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semaphore::tests::Memory;

    fn ask(semaphores: &Semaphores<Memory>, path: &str, body: &str) -> (u16, String) {
        let question = Question { post: true, path, marked: true, body: body.as_bytes() };
        let answer = answer(&question, semaphores);
        let kind = serde_json::from_str::<serde_json::Value>(&answer.body);
        (answer.status, kind.map_or(String::new(), |k| k["kind"].as_str().unwrap().to_owned()))
    }

    #[test]
    fn answers() {
        const LOCK: &str = "/v1/pre-reboot";
        const UNLOCK: &str = "/v1/steady-state";
        let semaphores = Semaphores::new(Memory::default(), 1);
        let body = |id: &str, group: &str| json!({"client_params": {"id": id, "group": group}}).to_string();
        let (a, b) = (body("a", "web"), body("b", "web"));
        for (path, body, status, kind) in [
            (LOCK, &*a, 200, ""),
            (LOCK, &a, 200, ""),
            (LOCK, &b, 500, "failed_lock"),
            (UNLOCK, &b, 200, ""),
            (LOCK, &b, 500, "failed_lock"),
            (LOCK, &body("b", "other"), 200, ""),
            (UNLOCK, &a, 200, ""),
            (LOCK, &b, 200, ""),
            (LOCK, &body("", "web"), 400, "invalid_client_identity"),
            (LOCK, &body("a", ""), 400, "invalid_client_identity"),
            (LOCK, &body("a", "a/b"), 400, "invalid_client_identity"),
            (UNLOCK, "{}", 400, "invalid_client_identity"),
            (UNLOCK, "", 400, "invalid_client_identity"),
            ("/v1/pre-reboot/", &a, 404, "unknown_endpoint"),
            ("/", &a, 404, "unknown_endpoint"),
        ] {
            assert_eq!(ask(&semaphores, path, body), (status, kind.to_owned()), "{path} {body}");
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let semaphores = Semaphores::new(Memory::default(), 1);
        let body = br#"{"client_params": {"id": "a", "group": "web"}}"#;
        for (post, marked, status) in [(false, true, 405), (true, false, 400)] {
            let question = Question { post, path: "/v1/pre-reboot", marked, body };
            assert_eq!(answer(&question, &semaphores).status, status);
        }
    }
}
