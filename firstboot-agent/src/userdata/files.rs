//! `files:`, and where on an immutable system a file can go.

use base64::Engine;

use super::fields::Fields;
use crate::yaml::{Node, Place, Problem};

/// A file with its contents.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute path below /etc or /var; /home, /root, /srv and /opt have become theirs in /var.
    pub path: String,
    /// Contents.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner, a name or a number.
    pub owner: String,
    /// Group, a name or a number.
    pub group: String,
    /// Where the document has it.
    pub place: Place,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({}, {} bytes)", self.path, self.content.len())
    }
}

/// What each link at the top level of an image stands for.
const LINKS: &[(&str, &str)] =
    &[("/home/", "/var/home/"), ("/root/", "/var/roothome/"), ("/srv/", "/var/srv/"), ("/opt/", "/var/opt/")];

/// Paths that have another way in, or none.
const MANAGED: &[(&str, &str)] = &[
    ("/etc/passwd", "accounts are made from `users`"),
    ("/etc/group", "accounts are made from `users`"),
    ("/etc/shadow", "accounts are made from `users`"),
    ("/etc/gshadow", "accounts are made from `users`"),
    ("/etc/hostname", "use `hostname`"),
    ("/etc/machine-id", "every machine has one of its own"),
    ("/etc/ssh/authorized_keys.d/", "use `ssh-keys` of a user"),
    ("/etc/systemd/network/10-twinhull-", "these names belong to firstboot-agent; choose another"),
    ("/var/lib/twinhull/", "this is Twinhull's own state"),
    ("/var/run/", "/run is made anew on every boot"),
    ("/var/lock/", "/run is made anew on every boot"),
];

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for item in items {
        let before = problems.len();
        let file = one(item, problems);
        if let Some(file) = file.filter(|_| problems.len() == before) {
            if let Some(other) = files.iter().find(|f| clash(&f.path, &file.path)) {
                let message = format!("this file and the one at {} are in each other's way", other.place);
                problems.push(Problem::new(file.place, message));
            }
            files.push(file);
        }
    }
    files
}

fn clash(a: &str, b: &str) -> bool {
    let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    a == b || below(a, b) || below(b, a)
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<File> {
    let allowed = ["path", "content", "content-base64", "mode", "owner", "group"];
    let fields = Fields::new(item, "a file", &allowed, problems)?;
    let path = fields.required("path", problems).and_then(|(text, place)| match path(text) {
        Ok(path) => Some(path),
        Err(problem) => {
            problems.push(Problem::new(place, problem));
            None
        }
    });
    let content = match (fields.node("content"), fields.node("content-base64")) {
        (Some(_), None) => fields.text("content", problems).map(|(t, _)| t.as_bytes().to_vec()),
        (None, Some(_)) => fields.text("content-base64", problems).and_then(|(text, place)| {
            let text: String = text.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
            if bytes.is_none() {
                problems.push(Problem::new(place, "`content-base64` isn't base64"));
            }
            bytes
        }),
        _ => {
            let message = "a file needs either `content` or `content-base64`";
            problems.push(Problem::new(item.place, message));
            None
        }
    };
    let mode = match fields.node("mode") {
        None => Some(0o644),
        Some(node) => {
            let mode = match fields.text("mode", &mut Vec::new()) {
                Some((t, _)) if (3..=4).contains(&t.len()) => u32::from_str_radix(t, 8).ok(),
                _ => None,
            };
            if mode.is_none() {
                problems.push(Problem::new(node.place, "`mode` is octal, with its zero: 0600"));
            }
            mode
        }
    };
    let mut account = |key| {
        let Some(node) = fields.node(key) else { return Some("root".to_owned()) };
        let text = node.text().filter(|t| super::users::is_name(t) || t.parse::<u32>().is_ok());
        if text.is_none() {
            problems.push(Problem::new(node.place, format!("`{key}` is the name or number of an account")));
        }
        text.map(str::to_owned)
    };
    let (owner, group) = (account("owner"), account("group"));
    Some(File {
        path: path?,
        content: content?,
        mode: mode?,
        owner: owner?,
        group: group?,
        place: item.place,
    })
}

/// Where a path really is, or why nothing can be there.
fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("a path begins with /".into());
    }
    if text.len() > 1024 || text.chars().any(char::is_control) {
        return Err("a path has 1024 bytes at most, and no control characters".into());
    }
    if text[1..].split('/').any(|part| matches!(part, "" | "." | "..") || part.len() > 240) {
        return Err("a path has no empty parts, no `.` and no `..`, and names a file".into());
    }
    let path = LINKS
        .iter()
        .find_map(|(link, to)| Some(format!("{to}{}", text.strip_prefix(link)?)))
        .unwrap_or_else(|| text.to_owned());
    for (managed, advice) in MANAGED {
        if path == *managed || (path.starts_with(managed) && (managed.ends_with(['/', '-']))) {
            return Err(format!(
                "{} can't be written by user data: {advice}",
                managed.trim_end_matches(['/', '-'])
            ));
        }
    }
    if ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"].iter().any(|p| text.starts_with(p)) {
        return Err(
            "/usr belongs to the image, is read-only and verified; change the image, or use /etc or /var"
                .into(),
        );
    }
    if path.starts_with("/etc/") || path.starts_with("/var/") {
        return Ok(path);
    }
    Err("a file can be below /etc, /var, /home, /root, /srv or /opt; the rest is made anew on every boot"
        .into())
}
