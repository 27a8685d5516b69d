//! Accounts: what they are once they have been checked, the checks, and `users:` of the native format.

use super::fields::Fields;
use crate::machine::SshKey;
use crate::yaml::{Node, Place, Problem, Value};

/// An account to make, or one of the image to complete.
#[derive(Clone, Default, PartialEq, Eq)]
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

/// What a user may do with sudo, one rule an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sudo(pub Vec<String>);

impl Sudo {
    /// Everything, without a password.
    pub(super) fn all() -> Self {
        Sudo(vec!["ALL=(ALL:ALL) NOPASSWD: ALL".into()])
    }

    /// Checks a rule.
    pub(super) fn rule(text: &str) -> Result<String, &'static str> {
        if text.contains('=') && text.len() <= 1024 && !text.chars().any(|c| c.is_control() || c == '\\') {
            return Ok(text.to_owned());
        }
        Err("`sudo` is true, false, or one rule as in `ALL=(ALL) /usr/bin/systemctl`")
    }
}

/// Whether this can be an account's name.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 31
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("a user's name has lower-case letters, digits, `-` and `_`, 31 at most")
}

pub(super) fn group(text: &str) -> Result<String, &'static str> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("this isn't a group's name") }
}

/// A uid from a number; formats that write it as text may allow that.
pub(super) fn uid(node: Option<&Node>, text_too: bool, problems: &mut Vec<Problem>) -> Option<u32> {
    let node = node?;
    let uid = match &node.value {
        Value::Text(_) if !text_too => None,
        _ => node.text().and_then(|digits| digits.parse().ok()).filter(|n| (1000..60_000).contains(n)),
    };
    if uid.is_none() {
        problems.push(Problem::new(&node.place, "`uid` is a number from 1000 to 59999"));
    }
    uid
}

pub(super) fn gecos(text: &str) -> Result<String, &'static str> {
    if text.contains(':') || text.len() > 512 || text.chars().any(char::is_control) {
        return Err("`gecos` is one line without `:`");
    }
    Ok(text.to_owned())
}

pub(super) fn shell(text: &str) -> Result<String, &'static str> {
    let good = text.starts_with('/')
        && text.len() < 200
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b))
        && !text.split('/').any(|p| p == "..");
    if good { Ok(text.to_owned()) } else { Err("`shell` is the absolute path of a program") }
}

/// A hash, never a password. `key` is what the format calls it.
pub(super) fn password_hash(key: &str, text: &str) -> Result<String, String> {
    let good = matches!(text, "!" | "*")
        || (text.starts_with('$')
            && text.matches('$').count() >= 3
            && text.len() <= 512
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
    if good {
        return Ok(text.to_owned());
    }
    Err(format!("`{key}` is a hash as `openssl passwd -6` or `mkpasswd` makes it, not a password"))
}

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<User> {
    items.iter().filter_map(|item| one(item, problems)).collect()
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<User> {
    let allowed = ["name", "uid", "gecos", "shell", "groups", "ssh-keys", "password-hash", "sudo"];
    let fields = Fields::new(item, "a user", &allowed, problems)?;
    let name = fields.required_checked("name", name, problems);
    let sudo = fields.node("sudo").and_then(|node| match &node.value {
        Value::Bool(true) => Some(Sudo::all()),
        Value::Bool(false) => None,
        other => {
            let text = if let Value::Text(text) = other { text } else { "" };
            let rule = Sudo::rule(text).map_err(|problem| problems.push(Problem::new(&node.place, problem)));
            rule.ok().map(|rule| Sudo(vec![rule]))
        }
    });
    Some(User {
        uid: uid(fields.node("uid"), false, problems),
        gecos: fields.checked("gecos", gecos, problems),
        shell: fields.checked("shell", shell, problems),
        groups: fields.each("groups", group, problems),
        ssh_keys: fields.each("ssh-keys", SshKey::new, problems),
        password_hash: fields.checked("password-hash", |t| password_hash("password-hash", t), problems),
        sudo,
        place: item.place.clone(),
        name: name?,
    })
}
