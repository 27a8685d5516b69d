//! `storage` of Ignition: files, folders and links. Two paths mean more than a file: /etc/hostname is the host
//! name, and /etc/localtime the time zone, because Ignition has no other words for them.

use sha2::{Digest, Sha256, Sha512};

use super::data_url;
use crate::machine::Hostname;
use crate::userdata::envelope::Budget;
use crate::userdata::fields::Fields;
use crate::userdata::files::{self, Directory, File, Link};
use crate::userdata::{Set, UserData, settings};
use crate::yaml::{Node, Problem, Value};

const DISKS: &str = "the image's spec says what is on the disk, and /var takes the rest";
const REFUSED: &[(&str, &str)] = &[
    ("disks", DISKS),
    ("raid", DISKS),
    ("filesystems", DISKS),
    ("luks", "the image's spec says what is on the disk"),
];

pub(super) fn parse(node: &Node, budget: &mut Budget, data: &mut UserData, problems: &mut Vec<Problem>) {
    let keys = ["files", "directories", "links", "disks", "raid", "filesystems", "luks"];
    let Some(fields) = Fields::new(node, "`storage`", &keys, problems) else { return };
    fields.refuse(REFUSED, problems);
    for item in fields.list("files", problems) {
        file(item, budget, data, problems);
    }
    for item in fields.list("directories", problems) {
        data.directories.extend(directory(item, problems));
    }
    for item in fields.list("links", problems) {
        link(item, data, problems);
    }
}

fn file(item: &Node, budget: &mut Budget, data: &mut UserData, problems: &mut Vec<Problem>) {
    let keys = ["path", "overwrite", "contents", "append", "mode", "user", "group"];
    let Some(fields) = Fields::new(item, "a file", &keys, problems) else { return };
    fields.refuse(&[("append", "a file is written as a whole; give all of its contents")], problems);
    // User data win over the image with or without it.
    fields.flag("overwrite", problems);
    let hostname = fields.node("path").and_then(Node::text) == Some("/etc/hostname");
    let path = match hostname {
        true => Some("/etc/hostname".to_owned()),
        false => fields.required_checked("path", files::path, problems),
    };
    let (content, mode) =
        (contents(fields.node("contents"), budget, problems), mode(&fields, 0o644, problems));
    let (owner, group) = (account(&fields, "user", problems), account(&fields, "group", problems));
    let (Some(path), Some(content), Some(mode), Some(owner), Some(group)) =
        (path, content, mode, owner, group)
    else {
        return;
    };
    let place = item.place.clone();
    if !hostname {
        data.files.push(File { path, content, mode, owner, group, place });
        return;
    }
    match Hostname::new(&String::from_utf8_lossy(&content)) {
        Ok(_) if data.hostname.is_some() => {
            problems.push(Problem::new(place, "the host name is there twice"));
        }
        Ok(value) => data.hostname = Some(Set { value, place }),
        Err(problem) => problems.push(Problem::new(place, problem)),
    }
}

fn contents(node: Option<&Node>, budget: &mut Budget, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let keys = ["source", "compression", "verification", "httpHeaders"];
    let fields = Fields::new(node, "`contents`", &keys, problems)?;
    fields.refuse(&[("httpHeaders", "nothing is fetched")], problems);
    let source = fields.text("source", problems);
    let (source, place) = source.unwrap_or(("", &node.place));
    let mut bytes = data_url::contents(source).map_err(|e| problems.push(Problem::new(place, e))).ok()?;
    match fields.text("compression", problems) {
        None | Some(("", _)) => {}
        Some(("gzip", place)) => {
            bytes = budget.gunzip(&bytes).map_err(|e| problems.push(Problem::new(place, e))).ok()?;
        }
        Some((_, place)) => {
            problems.push(Problem::new(place, "`compression` is gzip or nothing"));
            return None;
        }
    }
    if let Some(node) = fields.node("verification")
        && let Some(fields) = Fields::new(node, "`verification`", &["hash"], problems)
    {
        fields.checked("hash", |hash| verify(&bytes, hash), problems);
    }
    Some(bytes)
}

/// The hash is that of the unpacked contents.
fn verify(bytes: &[u8], hash: &str) -> Result<(), &'static str> {
    let hex = |digest: &[u8]| digest.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (want, got) = match hash.split_once('-') {
        Some(("sha512", want)) => (want, hex(&Sha512::digest(bytes))),
        Some(("sha256", want)) => (want, hex(&Sha256::digest(bytes))),
        _ => return Err("`hash` begins with sha512- or sha256-"),
    };
    if want.eq_ignore_ascii_case(&got) { Ok(()) } else { Err("the contents don't have this hash") }
}

/// JSON has no octal numbers: 420 is 0644.
fn mode(fields: &Fields<'_>, default: u32, problems: &mut Vec<Problem>) -> Option<u32> {
    let Some(node) = fields.node("mode") else { return Some(default) };
    let mode = match &node.value {
        Value::Number(digits) => digits.parse().ok().filter(|mode| *mode <= 0o7777),
        _ => None,
    };
    if mode.is_none() {
        problems.push(Problem::new(&node.place, "`mode` is a decimal number: 420 is octal 0644"));
    }
    mode
}

/// `user` and `group`, by name or number.
fn account(fields: &Fields<'_>, key: &'static str, problems: &mut Vec<Problem>) -> Option<String> {
    let Some(node) = fields.node(key) else { return Some("root".into()) };
    let fields = Fields::new(node, "an owner", &["id", "name"], problems)?;
    let text = match (fields.node("id"), fields.node("name")) {
        (None, None) => Some("root"),
        (Some(Node { value: Value::Number(id), .. }), None) => Some(id.as_str()),
        (None, Some(name)) => name.text(),
        _ => None,
    };
    let text = text.filter(|t| files::is_account(t));
    if text.is_none() {
        problems.push(Problem::new(&node.place, format!("`{key}` has either an `id` or a `name`")));
    }
    text.map(str::to_owned)
}

fn directory(item: &Node, problems: &mut Vec<Problem>) -> Option<Directory> {
    let fields = Fields::new(item, "a folder", &["path", "overwrite", "mode", "user", "group"], problems)?;
    fields.refuse(&[("overwrite", "what is in a folder isn't taken away")], problems);
    let path = fields.required_checked("path", |text| files::path(text.trim_end_matches('/')), problems);
    let mode = mode(&fields, 0o755, problems);
    let (owner, group) = (account(&fields, "user", problems), account(&fields, "group", problems));
    Some(Directory { path: path?, mode: mode?, owner: owner?, group: group?, place: item.place.clone() })
}

fn link(item: &Node, data: &mut UserData, problems: &mut Vec<Problem>) {
    let keys = ["path", "target", "hard", "overwrite", "user", "group"];
    let Some(fields) = Fields::new(item, "a link", &keys, problems) else { return };
    fields.refuse(&[("hard", "/etc is in memory and /usr read-only; use a symbolic link")], problems);
    fields.flag("overwrite", problems);
    let target = fields.required_checked("target", target, problems);
    let place = item.place.clone();
    if fields.node("path").and_then(Node::text) == Some("/etc/localtime") {
        let zone = target
            .as_deref()
            .and_then(|t| t.split_once("/usr/share/zoneinfo/").or(t.split_once("usr/share/zoneinfo/")));
        match zone.map(|(_, zone)| settings::time_zone(zone)) {
            Some(Ok(_)) if data.time_zone.is_some() => {
                problems.push(Problem::new(place, "the time zone is there twice"))
            }
            Some(Ok(value)) => data.time_zone = Some(Set { value, place }),
            _ => problems.push(Problem::new(place, "/etc/localtime is a link into /usr/share/zoneinfo")),
        }
        return;
    }
    let Some(path) = fields.required_checked("path", files::path, problems) else { return };
    if !path.starts_with("/etc/") {
        let message =
            "links are made below /etc only; elsewhere, use a line `L+` in a file of /etc/tmpfiles.d";
        problems.push(Problem::new(place, message));
        return;
    }
    data.links.extend(target.map(|target| Link { path, target, place }));
}

fn target(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
        return Err("a link's target is a path");
    }
    Ok(text.to_owned())
}
