//! `passwd` of Ignition.

use crate::machine::SshKey;
use crate::userdata::fields::Fields;
use crate::userdata::users::{self, User};
use crate::yaml::{Node, Problem, Value};

const KEYS: &[&str] = &[
    "name",
    "uid",
    "gecos",
    "shell",
    "groups",
    "sshAuthorizedKeys",
    "passwordHash",
    "homeDir",
    "primaryGroup",
    "noCreateHome",
    "noUserGroup",
    "noLogInit",
    "shouldExist",
    "system",
];

const REFUSED: &[(&str, &str)] = &[
    ("noCreateHome", "every user has a home below /home"),
    ("noUserGroup", "every user has a group of its own name"),
    ("system", "accounts of services belong to the image"),
];

pub(super) fn parse(node: &Node, problems: &mut Vec<Problem>) -> Vec<User> {
    let Some(fields) = Fields::new(node, "`passwd`", &["users", "groups"], problems) else {
        return Vec::new();
    };
    let why = "groups are the image's; a new user has a group of its own name";
    fields.refuse(&[("groups", why)], problems);
    fields.list("users", problems).iter().filter_map(|item| one(item, problems)).collect()
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<User> {
    let fields = Fields::new(item, "a user", KEYS, problems)?;
    fields.refuse(REFUSED, problems);
    let name = fields.required_checked("name", users::name, problems);
    if let Some(Node { value: Value::Bool(false), place }) = fields.node("shouldExist") {
        problems.push(Problem::new(
            place,
            "accounts of the image can't be taken away; lock the password with `!`",
        ));
    }
    let same = |key: &str, want: &str, problems: &mut Vec<Problem>| {
        if let Some((text, place)) = fields.text(key, problems)
            && !text.is_empty()
            && text.trim_end_matches('/') != want
        {
            problems.push(Problem::new(
                place,
                format!("`{key}` is given: /home/NAME, and a group of the user's name"),
            ));
        }
    };
    if let Some(name) = &name {
        same("homeDir", &format!("/home/{name}"), problems);
        same("primaryGroup", name, problems);
    }
    fields.flag("noLogInit", problems);
    // An empty text is the same as none.
    let some = |key: &str| matches!(fields.node(key), Some(n) if n.value != Value::Text(String::new()));
    Some(User {
        uid: users::uid(fields.node("uid"), false, problems),
        gecos: fields.checked("gecos", users::gecos, problems),
        shell: some("shell").then(|| fields.checked("shell", users::shell, problems)).flatten(),
        groups: fields.each("groups", users::group, problems),
        ssh_keys: fields.each("sshAuthorizedKeys", SshKey::new, problems),
        password_hash: some("passwordHash")
            .then(|| fields.checked("passwordHash", |t| users::password_hash("passwordHash", t), problems))
            .flatten(),
        sudo: None,
        place: item.place.clone(),
        name: name?,
    })
}
