//! User data: what somebody asked this machine to be.
//!
//! The native format is YAML that says so, by `#twinhull` as its first line or by the key `twinhull: 1`.
//! It is read strictly: an unknown key is an error with its place, and all errors are collected, because
//! each attempt at first boot costs a machine. Nothing here quotes a value: user data has secrets.

mod fields;
mod files;
mod units;
mod users;

pub use files::File;
pub use units::{DropIn, Unit};
pub use users::{Sudo, User};

use crate::http::USER_DATA_LIMIT;
use crate::machine::Hostname;
use crate::yaml::{self, Place, Problem, Value};
use fields::Fields;

/// Checked user data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// Host name; wins over the platform's.
    pub hostname: Option<Hostname>,
    /// Accounts.
    pub users: Vec<User>,
    /// Files in /etc and /var.
    pub files: Vec<File>,
    /// Units and drop-ins.
    pub units: Vec<Unit>,
}

impl UserData {
    /// One line for the console.
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        [count(self.users.len(), "user"), count(self.files.len(), "file"), count(self.units.len(), "unit")]
            .join(", ")
    }
}

/// What user data looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Nothing but white space.
    Empty,
    /// Ours.
    Native,
    /// Something else that has a name.
    Foreign(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// Recognises a format by how it begins.
pub fn format(bytes: &[u8]) -> Format {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Format::Empty;
    }
    for (magic, name) in [
        (&b"\x1f\x8b"[..], "gzip-compressed data"),
        (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
        (b"\xfd7zXZ", "xz-compressed data"),
        (b"BZh", "bzip2-compressed data"),
    ] {
        if bytes.starts_with(magic) {
            return Format::Foreign(name);
        }
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let first = head.lines().next().unwrap_or_default().trim_end();
    let lower = head.to_ascii_lowercase();
    if first == "#twinhull" {
        return Format::Native;
    }
    for (start, name) in [
        ("#cloud-config", "a cloud-config document"),
        ("#cloud-boothook", "a cloud-init boothook"),
        ("#include", "a cloud-init include list"),
        ("#part-handler", "a cloud-init part handler"),
        ("## template:", "a cloud-init template"),
        ("#systemd-userdata", "a systemd-userdata document"),
        ("#!", "a script"),
        ("content-type:", "a MIME message"),
        ("mime-version:", "a MIME message"),
    ] {
        if lower.starts_with(start) {
            return Format::Foreign(name);
        }
    }
    if head.starts_with('{') && head.contains("\"ignition\"") {
        return Format::Foreign("an Ignition configuration");
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\r\n".contains(c);
    if head.len() >= 24 && head.trim_end().chars().all(base64) {
        return Format::Foreign("base64-encoded data");
    }
    let marked = |l: &str| l.strip_prefix("twinhull").is_some_and(|r| r.trim_start().starts_with(':'));
    let whole = String::from_utf8_lossy(bytes);
    if whole.lines().any(marked) { Format::Native } else { Format::Unknown }
}

/// Reads user data; `None` when there is none. The problems come in the order of the document.
pub fn parse(bytes: &[u8]) -> Result<Option<UserData>, Vec<Problem>> {
    let start = Place { line: 1, column: 1 };
    match format(bytes) {
        Format::Empty => return Ok(None),
        Format::Native => {}
        Format::Foreign(name) => {
            let message = format!("user data is {name}, which isn't supported; give Twinhull's own format");
            return Err(vec![Problem::new(start, message)]);
        }
        Format::Unknown => {
            let message =
                "user data is in no format that is known: Twinhull's own has `#twinhull` as its first line";
            return Err(vec![Problem::new(start, message)]);
        }
    }
    let node = yaml::parse(bytes, USER_DATA_LIMIT).map_err(|p| vec![p])?;
    let mut problems = Vec::new();
    let mut data = UserData::default();
    if node.value == Value::Null {
        return Ok(Some(data));
    }
    if let Some(fields) =
        Fields::new(&node, "user data", &["twinhull", "hostname", "users", "files", "units"], &mut problems)
    {
        if let Some(version) = fields.node("twinhull")
            && version.text() != Some("1")
        {
            problems.push(Problem::new(version.place, "`twinhull` is the version of the format; it is 1"));
        }
        if let Some((text, place)) = fields.text("hostname", &mut problems) {
            match Hostname::new(text) {
                Ok(hostname) => data.hostname = Some(hostname),
                Err(problem) => problems.push(Problem::new(place, problem)),
            }
        }
        data.users = users::parse(fields.list("users", &mut problems), &mut problems);
        data.files = files::parse(fields.list("files", &mut problems), &mut problems);
        data.units = units::parse(fields.list("units", &mut problems), &mut problems);
    }
    problems.sort_by_key(|p| p.place);
    if problems.is_empty() { Ok(Some(data)) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
