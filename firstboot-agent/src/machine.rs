//! What a platform says about a machine, in one shape for all platforms.
//!
//! Values of these types have been checked; writers take nothing else.

use serde::{Deserialize, Serialize};

use crate::network::Interface;
use crate::yaml::{self, Node, Value};

/// The most SSH keys that are taken from one place.
const MAX_KEYS: usize = 256;

/// A machine as its platform describes it. User data is kept apart: it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Which source said so.
    pub source: String,
    /// The platform's name for this instance; a change means a new machine.
    pub instance_id: Option<String>,
    /// Host name.
    pub hostname: Option<Hostname>,
    /// Public keys for root.
    pub ssh_keys: Vec<SshKey>,
    /// Network interfaces.
    pub network: Vec<Interface>,
}

/// A part of what a platform says about a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its host name.
    Hostname,
    /// Its keys.
    SshKeys,
    /// Its interfaces.
    Network,
}

impl Machine {
    /// Keeps what was said before of the parts that couldn't be had this time; what was had counts more.
    /// Whether that changed anything.
    pub fn keep(&mut self, before: &Machine, missed: &[Part]) -> bool {
        let now = self.clone();
        for part in missed {
            match part {
                Part::Hostname => self.hostname = self.hostname.take().or_else(|| before.hostname.clone()),
                Part::SshKeys => {
                    let keys = before.ssh_keys.iter().filter(|key| !now.ssh_keys.contains(key));
                    self.ssh_keys.extend(keys.cloned());
                }
                Part::Network => {
                    let same = |a: &Interface, b: &Interface| {
                        a.kind.name() == b.kind.name() && (!a.kind.is_card() || a.mac == b.mac)
                    };
                    let gone = |i: &&Interface| now.network.iter().all(|n| !same(n, i));
                    self.network.extend(before.network.iter().filter(gone).cloned());
                }
            }
        }
        *self != now
    }

    /// One line for the console.
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut parts = Vec::new();
        if let Some(id) = &self.instance_id {
            parts.push(format!("instance {id}"));
        }
        if let Some(hostname) = &self.hostname {
            parts.push(format!("host name {hostname}"));
        }
        parts.push(count(self.ssh_keys.len(), "key"));
        parts.push(count(self.network.len(), "interface"));
        parts.join(", ")
    }
}

/// A host name the kernel and DNS both take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(String);

impl Hostname {
    /// Checks a host name: labels of letters, digits and inner hyphens, 64 bytes at most.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_end_matches('.');
        if text.is_empty() {
            return Err("a host name can't be empty");
        }
        // A longer name is cut at its first dot: the kernel takes 64 bytes, DNS more.
        let text = if text.len() > 64 { text.split('.').next().unwrap_or(text) } else { text };
        if text.len() > 64 {
            return Err("a host name has 64 characters at most");
        }
        let good = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !text.split('.').all(good) {
            return Err("a host name consists of letters, digits, hyphens and dots");
        }
        Ok(Hostname(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Hostname {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Hostname {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        Hostname::new(&text)
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> String {
        name.0
    }
}

/// One line of an authorized_keys file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey(String);

impl SshKey {
    /// Checks a public key, options in front of it included.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(
                "this is a private key; it is compromised now: make a new pair and give the public one",
            );
        }
        if text.chars().any(char::is_control) {
            return Err("an SSH key is one line");
        }
        if text.len() > 16 << 10 {
            return Err("an SSH key has 16 KiB at most");
        }
        let words: Vec<_> = text.split_whitespace().collect();
        let is_type =
            |w: &str| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|p| w.starts_with(p));
        // Every key blob starts with its own type's length: three zero bytes, AAAA in base64.
        if !words.windows(2).any(|w| is_type(w[0]) && w[1].starts_with("AAAA")) {
            return Err("an SSH key looks like `ssh-ed25519 AAAA... comment`");
        }
        Ok(SshKey(text.to_owned()))
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SshKey {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        SshKey::new(&text)
    }
}

impl From<SshKey> for String {
    fn from(key: SshKey) -> String {
        key.0
    }
}

/// Reads keys in any shape that platforms use: a list, lines of text, a JSON array within text, or a mapping
/// of names to any of these. What isn't a key becomes a note.
pub fn ssh_keys(node: Option<&Node>, notes: &mut Vec<String>) -> Vec<SshKey> {
    let mut keys = Vec::new();
    if let Some(node) = node {
        collect_keys(node, 0, &mut keys, notes);
    }
    keys
}

fn collect_keys(node: &Node, depth: usize, keys: &mut Vec<SshKey>, notes: &mut Vec<String>) {
    if depth > 4 {
        return;
    }
    match &node.value {
        Value::List(items) => items.iter().for_each(|n| collect_keys(n, depth + 1, keys, notes)),
        Value::Map(entries) => entries.iter().for_each(|(_, n)| collect_keys(n, depth + 1, keys, notes)),
        Value::Text(text) if text.trim_start().starts_with('[') => {
            match yaml::parse(text.as_bytes(), 256 << 10) {
                Ok(inner) if matches!(inner.value, Value::List(_)) => {
                    collect_keys(&inner, depth + 1, keys, notes);
                }
                _ => notes.push(format!("{}: the list of SSH keys can't be read", node.place)),
            }
        }
        Value::Text(text) => {
            for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
                match SshKey::new(line) {
                    Ok(key) if keys.contains(&key) => {}
                    Ok(_) if keys.len() >= MAX_KEYS => {
                        notes.push(format!("more than {MAX_KEYS} SSH keys; the rest is left out"));
                        return;
                    }
                    Ok(key) => keys.push(key),
                    Err(problem) => notes.push(format!("{}: an SSH key is left out: {problem}", node.place)),
                }
            }
        }
        Value::Null => {}
        other => notes.push(format!("{}: an SSH key is left out: it is {}", node.place, other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for (text, want) in [
            ("boxy", Some("boxy")),
            ("a.example.org.", Some("a.example.org")),
            ("-a", None),
            ("a_b", None),
            ("", None),
            ("a..b", None),
            ("b\nc", None),
        ] {
            assert_eq!(Hostname::new(text).ok().map(String::from).as_deref(), want, "{text}");
        }
        let long = format!("short.{}", "x".repeat(60));
        assert_eq!(Hostname::new(&long).unwrap().as_str(), "short");
        assert!(Hostname::new(&"x".repeat(65)).is_err());
    }

    #[test]
    fn keys_in_every_shape() {
        for (yaml, count, noted) in [
            ("k: [ssh-ed25519 AAAAx a, ssh-rsa AAAAy b]", 2, 0),
            ("k: '[\"ssh-ed25519 AAAAx a\", \"ssh-rsa AAAAy b\"]'", 2, 0),
            ("k: |\n  ssh-ed25519 AAAAx a\n  # no\n  ssh-rsa AAAAy b\n", 2, 0),
            ("k: {me: {openssh-key: ssh-ed25519 AAAAx}, you: ssh-rsa AAAAy}", 2, 0),
            ("k: ['restrict,command=\"x y\" ssh-ed25519 AAAAx']", 1, 0),
            ("k: [ssh-ed25519 AAAAx, ssh-ed25519 AAAAx, nonsense, 5, '[1']", 1, 3),
            ("k:", 0, 0),
            ("k: \"[broken\"", 0, 1),
        ] {
            let node = yaml::parse(yaml.as_bytes(), 1000).unwrap();
            let mut notes = Vec::new();
            assert_eq!(ssh_keys(node.get("k"), &mut notes).len(), count, "{yaml}");
            assert_eq!(notes.len(), noted, "{yaml} {notes:?}");
        }
    }
}
