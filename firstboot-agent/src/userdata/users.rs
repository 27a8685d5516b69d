//! `users:`

use super::fields::Fields;
use crate::machine::SshKey;
use crate::yaml::{Node, Place, Problem, Value};

/// An account to make, or one of the image to complete.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Number; the agent chooses and remembers one when there is none.
    pub uid: Option<u32>,
    /// Full name.
    pub gecos: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
    /// Further groups.
    pub groups: Vec<String>,
    /// Public keys.
    pub ssh_keys: Vec<SshKey>,
    /// Hash of the password, as crypt(5) makes it.
    pub password_hash: Option<String>,
    /// What sudo allows.
    pub sudo: Option<Sudo>,
    /// Where the document has it.
    pub place: Place,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({})", self.name)
    }
}

/// What a user may do with sudo: everything without a password, or a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sudo(pub String);

/// Whether this can be an account's name.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 31
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for item in items {
        if let Some(user) = one(item, problems) {
            if let Some(other) = users.iter().find(|u| u.name == user.name) {
                let message = format!("user `{}` is already at {}", user.name, other.place);
                problems.push(Problem::new(user.place, message));
            }
            if let Some(other) = users.iter().find(|u| u.uid.is_some() && u.uid == user.uid) {
                let message = format!("the user at {} has this uid already", other.place);
                problems.push(Problem::new(user.place, message));
            }
            users.push(user);
        }
    }
    users
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<User> {
    let allowed = ["name", "uid", "gecos", "shell", "groups", "ssh-keys", "password-hash", "sudo"];
    let fields = Fields::new(item, "a user", &allowed, problems)?;
    let name = fields.required("name", problems).and_then(|(name, place)| {
        if !is_name(name) {
            let message = "a user's name has lower-case letters, digits, `-` and `_`, 31 at most";
            problems.push(Problem::new(place, message));
            return None;
        }
        Some(name.to_owned())
    });
    let uid = fields.node("uid").and_then(|node| {
        let uid = match &node.value {
            Value::Number(digits) => digits.parse().ok().filter(|n| (1000..60_000).contains(n)),
            _ => None,
        };
        if uid.is_none() {
            problems.push(Problem::new(node.place, "`uid` is a number from 1000 to 59999"));
        }
        uid
    });
    let gecos = fields.text("gecos", problems).and_then(|(text, place)| {
        if text.contains(':') || text.chars().any(char::is_control) {
            problems.push(Problem::new(place, "`gecos` is one line without `:`"));
            return None;
        }
        Some(text.to_owned())
    });
    let shell = fields.text("shell", problems).and_then(|(text, place)| {
        let good = text.starts_with('/')
            && text.len() < 200
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b))
            && !text.split('/').any(|p| p == "..");
        if !good {
            problems.push(Problem::new(place, "`shell` is the absolute path of a program"));
            return None;
        }
        Some(text.to_owned())
    });
    let mut groups = Vec::new();
    for node in fields.list("groups", problems) {
        match node.text() {
            Some(group) if is_name(group) => groups.push(group.to_owned()),
            _ => problems.push(Problem::new(node.place, "this isn't a group's name")),
        }
    }
    let mut ssh_keys = Vec::new();
    for node in fields.list("ssh-keys", problems) {
        match node.text().map_or(Err("an SSH key is text"), SshKey::new) {
            Ok(key) => ssh_keys.push(key),
            Err(problem) => problems.push(Problem::new(node.place, problem)),
        }
    }
    let password_hash = fields.text("password-hash", problems).and_then(|(text, place)| {
        let good = matches!(text, "!" | "*")
            || (text.starts_with('$')
                && text.matches('$').count() >= 3
                && text.len() <= 512
                && text.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        if !good {
            let message =
                "`password-hash` is a hash as `openssl passwd -6` or `mkpasswd` makes it, not a password";
            problems.push(Problem::new(place, message));
            return None;
        }
        Some(text.to_owned())
    });
    let sudo = fields.node("sudo").and_then(|node| match &node.value {
        Value::Bool(true) => Some(Sudo("ALL=(ALL:ALL) NOPASSWD: ALL".into())),
        Value::Bool(false) => None,
        Value::Text(rule) if rule.contains('=') && !rule.chars().any(|c| c.is_control() || c == '\\') => {
            Some(Sudo(rule.clone()))
        }
        _ => {
            let message = "`sudo` is true, false, or one rule as in `ALL=(ALL) /usr/bin/systemctl`";
            problems.push(Problem::new(node.place, message));
            None
        }
    });
    Some(User { name: name?, uid, gecos, shell, groups, ssh_keys, password_hash, sudo, place: item.place })
}
