//! `write_files:` of cloud-config.

use crate::userdata::envelope::{self, Budget};
use crate::userdata::fields::Fields;
use crate::userdata::files::{self, File};
use crate::yaml::{Node, Problem, Value};

const KEYS: &[&str] = &["path", "content", "encoding", "owner", "permissions"];

const REFUSED: &[(&str, &str)] = &[
    ("append", "a file is written as a whole; give all of its contents"),
    ("defer", "files are written once, when the accounts are there already; leave it out"),
    ("source", "nothing is fetched beyond user data: give the contents, or put the file into the image"),
];

pub(super) fn parse(items: &[Node], budget: &mut Budget, problems: &mut Vec<Problem>) -> Vec<File> {
    let mut out = Vec::new();
    for item in items {
        let before = problems.len();
        let file = one(item, budget, problems);
        out.extend(file.filter(|_| problems.len() == before));
    }
    out
}

fn one(item: &Node, budget: &mut Budget, problems: &mut Vec<Problem>) -> Option<File> {
    let refused: Vec<&str> = REFUSED.iter().map(|(key, _)| *key).collect();
    let fields = Fields::beside(item, "a file", KEYS, &refused, problems)?;
    fields.refuse(REFUSED, problems);
    let path = fields.required_checked("path", files::path, problems);
    let encoding = fields.text("encoding", problems).map_or("text/plain", |(text, _)| text);
    let content = match fields.node("content") {
        Some(Node { value: Value::Number(digits), .. }) => Some(digits.as_str()),
        Some(_) => fields.text("content", problems).map(|(text, _)| text),
        None => Some(""),
    };
    let content = content.and_then(|text| {
        let decoded = decode(text, encoding, budget);
        decoded.map_err(|problem| problems.push(Problem::new(&item.place, problem))).ok()
    });
    let mode = match fields.node("permissions") {
        None => Some(0o644),
        Some(Node { value: Value::Text(text), .. }) => files::octal(text.trim_start_matches("0o")),
        Some(_) => None,
    };
    if mode.is_none() {
        let message = "`permissions` is octal in quotes: '0600'";
        problems.push(Problem::new(item.get("permissions").map_or(&item.place, |n| &n.place), message));
    }
    let (owner, group) = match fields.text("owner", problems) {
        None => ("root", "root"),
        Some((text, place)) => {
            let (owner, group) = text.split_once(':').unwrap_or((text, "root"));
            if !files::is_account(owner) || !files::is_account(group) {
                problems.push(Problem::new(place, "`owner` is user:group, by name or number"));
            }
            (owner, group)
        }
    };
    Some(File {
        path: path?,
        content: content?,
        mode: mode?,
        owner: owner.to_owned(),
        group: group.to_owned(),
        place: item.place.clone(),
    })
}

fn decode(text: &str, encoding: &str, budget: &mut Budget) -> Result<Vec<u8>, String> {
    let base64 = || envelope::base64(text.as_bytes()).ok_or_else(|| "`content` isn't base64".to_owned());
    match encoding.to_ascii_lowercase().as_str() {
        "text/plain" | "plain" => Ok(text.as_bytes().to_vec()),
        "b64" | "base64" => base64(),
        "gz+b64" | "gzip+b64" | "gz+base64" | "gzip+base64" => budget.gunzip(&base64()?),
        "gz" | "gzip" => budget.gunzip(text.as_bytes()),
        _ => Err("`encoding` is b64, gz+b64, gzip or text/plain".into()),
    }
}
