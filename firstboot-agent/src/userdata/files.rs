//! Files, folders and links: where on an immutable system they can go, and `files:` of the native format.

use super::envelope;
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

/// A folder to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Absolute path, as a file's.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner, a name or a number.
    pub owner: String,
    /// Group, a name or a number.
    pub group: String,
    /// Where the document has it.
    pub place: Place,
}

/// A symbolic link below /etc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Absolute path.
    pub path: String,
    /// What it points to.
    pub target: String,
    /// Where the document has it.
    pub place: Place,
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
    ("/etc/hostname", "use `hostname` (in Ignition, a file with mode and contents only)"),
    ("/etc/localtime", "use `time-zone` (in cloud-config `timezone`, in Ignition a link)"),
    ("/etc/machine-id", "every machine has one of its own"),
    ("/etc/ssh/authorized_keys.d/", "use `ssh-keys` of a user"),
    ("/etc/systemd/network/10-twinhull-", "these names belong to firstboot-agent; choose another"),
    ("/var/lib/twinhull/", "this is Twinhull's own state"),
    ("/var/run/", "/run is made anew on every boot"),
    ("/var/lock/", "/run is made anew on every boot"),
];

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<File> {
    let mut files = Vec::new();
    for item in items {
        let before = problems.len();
        let file = one(item, problems);
        files.extend(file.filter(|_| problems.len() == before));
    }
    files
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<File> {
    let allowed = ["path", "content", "content-base64", "mode", "owner", "group"];
    let fields = Fields::new(item, "a file", &allowed, problems)?;
    let path = fields.required_checked("path", path, problems);
    let content = match (fields.node("content"), fields.node("content-base64")) {
        (Some(_), None) => fields.text("content", problems).map(|(t, _)| t.as_bytes().to_vec()),
        (None, Some(_)) => {
            let decode =
                |text: &str| envelope::base64(text.as_bytes()).ok_or("`content-base64` isn't base64");
            fields.checked("content-base64", decode, problems)
        }
        _ => {
            let message = "a file needs either `content` or `content-base64`";
            problems.push(Problem::new(&item.place, message));
            None
        }
    };
    let mode = match fields.node("mode") {
        None => Some(0o644),
        Some(node) => {
            let mode = fields.text("mode", &mut Vec::new()).and_then(|(text, _)| octal(text));
            if mode.is_none() {
                problems.push(Problem::new(&node.place, "`mode` is octal, with its zero: 0600"));
            }
            mode
        }
    };
    let mut account = |key| {
        let Some(node) = fields.node(key) else { return Some("root".to_owned()) };
        let text = node.text().filter(|t| is_account(t));
        if text.is_none() {
            problems.push(Problem::new(&node.place, format!("`{key}` is the name or number of an account")));
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
        place: item.place.clone(),
    })
}

/// Octal digits with their zero, as `0600`, or three of them.
pub(super) fn octal(text: &str) -> Option<u32> {
    (3..=5)
        .contains(&text.len())
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten()
        .filter(|m| *m <= 0o7777)
}

/// The name or the number of a user or group.
pub(super) fn is_account(text: &str) -> bool {
    super::users::is_name(text) || text.parse::<u32>().is_ok()
}

/// Where a path really is, or why nothing can be there.
pub(super) fn path(text: &str) -> Result<String, String> {
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
