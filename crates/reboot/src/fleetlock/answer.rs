//! What an answer of a lock server means: done, ask again, or tell somebody.

use serde::Deserialize;

use crate::text::shown;

/// The kind of error that says that all slots are taken, with whatever status it comes.
const FULL: &str = "failed_lock_semaphore_full";

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The lock is held, or released.
    Done,
    /// Not now: all slots are taken, or the server or the way to it has trouble. Ask again after a pause, see
    /// [`Backoff`](super::Backoff).
    Retry {
        /// Why, as a part of a sentence.
        reason: String,
    },
    /// The server won't do it: asking again helps when somebody has changed something, here or there. Ask again after
    /// an hour or so: a proxy that is being set up can say this too.
    Refused {
        /// Type of the error, when the server follows the protocol.
        kind: Option<String>,
        /// The server's words, or what came instead of them.
        value: String,
    },
}

/// An error of the protocol.
#[derive(Deserialize)]
struct Problem {
    kind: String,
    value: String,
}

impl Answer {
    /// What a status and a body mean. Only 200 is success: anything else may come from a server that isn't the one
    /// that was meant.
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        if status == 200 {
            return Answer::Done;
        }
        let problem = serde_json::from_slice::<Problem>(body).ok().filter(|p| !p.kind.is_empty());
        let value = match &problem {
            Some(problem) => shown(&problem.value),
            None => {
                let text = String::from_utf8_lossy(body);
                let line = shown(text.trim().lines().next().unwrap_or_default());
                if line.is_empty() { format!("status {status}") } else { format!("status {status}: {line}") }
            }
        };
        let full = problem.as_ref().is_some_and(|p| p.kind == FULL);
        match status {
            // Conflict and Locked are how servers say that all slots are taken when they don't use 500.
            _ if full => Answer::Retry { reason: value },
            408 | 409 | 423 | 425 | 429 | 500..=599 => Answer::Retry { reason: value },
            300..=399 => Answer::Refused {
                kind: None,
                value: format!(
                    "status {status}: redirects aren't followed; correct the url of the lock server"
                ),
            },
            _ => Answer::Refused { kind: problem.map(|p| shown(&p.kind)), value },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings() {
        let retry = |reason: &str| Answer::Retry { reason: reason.into() };
        let refused = |kind: Option<&str>, value: &str| Answer::Refused {
            kind: kind.map(str::to_owned),
            value: value.into(),
        };
        let full = r#"{"kind": "failed_lock_semaphore_full", "value": "all slots are locked"}"#;
        for (status, body, want) in [
            (200, "", Answer::Done),
            (200, "anything", Answer::Done),
            (201, "", refused(None, "status 201")),
            (204, "", refused(None, "status 204")),
            (500, full, retry("all slots are locked")),
            (409, full, retry("all slots are locked")),
            (403, full, retry("all slots are locked")),
            (423, "", retry("status 423")),
            (500, "conflict on semaphore\n", retry("status 500: conflict on semaphore")),
            (503, "", retry("status 503")),
            (429, "<html>", retry("status 429: <html>")),
            (
                400,
                r#"{"kind":"unknown_group","value":"no group x"}"#,
                refused(Some("unknown_group"), "no group x"),
            ),
            (400, r#"{"kind":"","value":"x"}"#, refused(None, r#"status 400: {"kind":"","value":"x"}"#)),
            (404, "404 page\u{1b} not found\n", refused(None, "status 404: 404 page\u{fffd} not found")),
            (404, "\0", refused(None, "status 404: \u{fffd}")),
        ] {
            assert_eq!(Answer::new(status, body.as_bytes()), want, "{status} {body}");
        }
        assert!(
            matches!(Answer::new(307, b""), Answer::Refused { value, .. } if value.contains("redirects"))
        );
        assert!(matches!(Answer::new(400, &[0xff; 9]), Answer::Refused { kind: None, .. }));
    }
}
