//! `users:` of cloud-config, with its habits: names as bare texts, lists as texts with commas, `default`, and
//! passwords that are locked unless one says otherwise.

use crate::machine::SshKey;
use crate::userdata::fields::Fields;
use crate::userdata::users::{self, Sudo, User};
use crate::yaml::{Node, Problem, Value};

const USED: &[&str] = &[
    "name",
    "uid",
    "gecos",
    "shell",
    "groups",
    "primary_group",
    "homedir",
    "ssh_authorized_keys",
    "sudo",
    "passwd",
    "hashed_passwd",
    "lock_passwd",
    "create_groups",
    "no_log_init",
];

const REFUSED: &[(&str, &str)] = &[
    ("plain_text_passwd", "passwords are never given as such: use `hashed_passwd`"),
    ("ssh_import_id", "nothing is fetched beyond user data: give the keys themselves"),
    ("ssh_redirect_user", "a key belongs to the user who has it"),
    ("system", "accounts of services belong to the image"),
    ("no_create_home", "every user has a home below /home"),
    ("no_user_group", "every user has a group of its own name"),
    ("expiredate", "accounts don't expire; take the user out of user data"),
    ("inactive", "accounts don't expire; take the user out of user data"),
    ("selinux_user", "it isn't set"),
    ("doas", "doas isn't configured; use `write_files`"),
    ("snapuser", "there are no snaps"),
];

pub(super) fn parse(node: Option<&Node>, notes: &mut Vec<Problem>, problems: &mut Vec<Problem>) -> Vec<User> {
    let Some(node) = node else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_) => std::slice::from_ref(node),
        other => {
            let message = format!("`users` must be a list, but this is {}", other.kind());
            problems.push(Problem::new(&node.place, message));
            return Vec::new();
        }
    };
    let mut out = Vec::new();
    for item in items {
        let Value::Text(names) = &item.value else {
            out.extend(one(item, notes, problems));
            continue;
        };
        for name in words(names) {
            if name == "default" {
                let message =
                    "`default` makes no difference: there is no default user; the platform's keys are root's";
                notes.push(Problem::new(&item.place, message));
                continue;
            }
            match users::name(name) {
                Ok(name) => out.push(User { name, place: item.place.clone(), ..User::default() }),
                Err(problem) => problems.push(Problem::new(&item.place, problem)),
            }
        }
    }
    out
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|w| !w.is_empty())
}

fn one(item: &Node, notes: &mut Vec<Problem>, problems: &mut Vec<Problem>) -> Option<User> {
    // Hyphens count as underscores, which documents of old still use.
    let item = &underscored(item);
    let refused: Vec<&str> = REFUSED.iter().map(|(key, _)| *key).collect();
    let fields = Fields::beside(item, "a user", USED, &refused, problems)?;
    fields.refuse(REFUSED, problems);
    let name = fields.required_checked("name", users::name, problems);
    let own = |text: &str| match &name {
        Some(name) if text != name => Err("every user has a group of its own name"),
        _ => Ok(()),
    };
    fields.checked("primary_group", own, problems);
    let home = |text: &str| match &name {
        Some(name) if text.trim_end_matches('/') != format!("/home/{name}") => {
            Err("every user's home is /home/NAME")
        }
        _ => Ok(()),
    };
    fields.checked("homedir", home, problems);
    let groups = match fields.node("groups") {
        Some(Node { value: Value::Text(text), place }) => words(text)
            .filter_map(|word| users::group(word).map_err(|e| problems.push(Problem::new(place, e))).ok())
            .collect(),
        _ => fields.each("groups", users::group, problems),
    };
    let ssh_keys = match fields.node("ssh_authorized_keys") {
        Some(Node { value: Value::Text(_), .. }) => {
            fields.checked("ssh_authorized_keys", SshKey::new, problems).into_iter().collect()
        }
        _ => fields.each("ssh_authorized_keys", SshKey::new, problems),
    };
    fields.flag("create_groups", problems);
    fields.flag("no_log_init", problems);
    Some(User {
        uid: users::uid(fields.node("uid"), true, problems),
        gecos: fields.checked("gecos", users::gecos, problems),
        shell: fields.checked("shell", users::shell, problems),
        groups,
        ssh_keys,
        password_hash: password(&fields, notes, problems),
        sudo: sudo(&fields, problems),
        place: item.place.clone(),
        name: name?,
    })
}

fn underscored(item: &Node) -> Node {
    let mut item = item.clone();
    if let Value::Map(entries) = &mut item.value {
        for (key, _) in entries {
            if let Value::Text(text) = &mut key.value {
                *text = text.replace('-', "_");
            }
        }
    }
    item
}

fn password(fields: &Fields<'_>, notes: &mut Vec<Problem>, problems: &mut Vec<Problem>) -> Option<String> {
    let locked = fields.flag("lock_passwd", problems).unwrap_or(true);
    let [hashed, passwd] = ["hashed_passwd", "passwd"]
        .map(|key| fields.checked(key, |text| users::password_hash(key, text), problems));
    let hash = hashed.or(passwd)?;
    if locked {
        let message = "the hash isn't used: a password is locked unless the user has `lock_passwd: false`";
        notes.push(Problem::new(fields.place(), message));
        return None;
    }
    Some(hash)
}

fn sudo(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Sudo> {
    let node = fields.node("sudo")?;
    let items = match &node.value {
        Value::Bool(false) => return None,
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut rules = Vec::new();
    for item in items {
        match Sudo::rule(item.text().unwrap_or_default()) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(Problem::new(&item.place, problem)),
        }
    }
    (!rules.is_empty()).then_some(Sudo(rules))
}
