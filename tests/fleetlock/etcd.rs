//! The two calls of etcd that a semaphore needs, through its JSON gateway: keys and values are base64 there, and numbers
//! are text.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::semaphore::Store;

/// How long etcd may take; a client of ours waits longer for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An etcd server.
#[derive(Debug)]
pub(crate) struct Etcd {
    http: Client,
    url: String,
}

impl Etcd {
    /// The server at a URL; nobody is asked yet.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let http = twinhull_http::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Etcd { http, url: url.trim_end_matches('/').to_owned() })
    }

    fn call(&self, method: &str, body: &Value) -> Result<Value> {
        let response = self.http.post(format!("{}/v3/kv/{method}", self.url)).body(body.to_string()).send();
        let response = response.context("etcd doesn't answer")?;
        let status = response.status();
        let text = response.text().context("etcd's answer breaks off")?;
        ensure!(status.is_success(), "etcd answered {status}: {}", text.trim());
        serde_json::from_str(&text).context("etcd's answer isn't JSON")
    }
}

impl Store for Etcd {
    fn get(&self, key: &str) -> Result<(i64, Option<String>)> {
        let found = self.call("range", &json!({"key": encode(key)}))?;
        let Some(found) = found["kvs"].get(0) else { return Ok((0, None)) };
        let revision = found["mod_revision"].as_str().and_then(|r| r.parse().ok());
        let revision = revision.context("etcd's answer has no revision")?;
        let value = BASE64_STANDARD.decode(found["value"].as_str().unwrap_or_default())?;
        Ok((revision, Some(String::from_utf8(value)?)))
    }

    fn swap(&self, key: &str, revision: i64, value: &str) -> Result<bool> {
        let key = encode(key);
        // A key that isn't there has the revision 0.
        let unchanged = json!({
            "key": key, "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string(),
        });
        let put = json!({"request_put": {"key": key, "value": encode(value)}});
        let done = self.call("txn", &json!({"compare": [unchanged], "success": [put]}))?;
        // False is left out.
        Ok(done["succeeded"].as_bool().unwrap_or(false))
    }
}

fn encode(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}
