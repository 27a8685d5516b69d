//! Users and groups: those of passwd(5) and group(5) in the factory, and what sysusers.d(5) would add to them.
//!
//! Of shadow(5) no more is told than whether somebody can log in with a password.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::changes::{Item, respects};
use crate::image::snapshot::Snapshot;
use crate::image::{Image, shown};

/// A user.
#[derive(Debug, Clone, Serialize)]
pub(super) struct User {
    pub(super) name: String,
    /// `None` when it is only decided on the machine.
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) home: Option<String>,
    pub(super) shell: Option<String>,
    /// `locked`, `none` (anybody can log in) or `set`.
    pub(super) password: &'static str,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: Option<u32>,
    pub(super) members: Vec<String>,
}

impl Item for User {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([
            ("uid", self.uid != new.uid),
            ("gid", self.gid != new.gid),
            ("home", self.home != new.home),
            ("shell", self.shell != new.shell),
            ("password", self.password != new.password),
        ])
    }
}

impl Item for Group {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([("gid", self.gid != new.gid), ("members", self.members != new.members)])
    }
}

type Users = BTreeMap<String, User>;
type Groups = BTreeMap<String, Group>;

pub(super) fn read(image: &Image, snapshot: &Snapshot) -> Result<(Users, Groups)> {
    let database = |name: &str| -> Result<String> {
        for dir in ["/usr/share/factory/etc", "/etc"] {
            if let Some(text) = snapshot.text(image, &format!("{dir}/{name}"))? {
                return Ok(text);
            }
        }
        Ok(String::new())
    };
    let mut users = passwd(&database("passwd")?, &database("shadow")?);
    let mut groups = group(&database("group")?);
    let dir = "/usr/lib/sysusers.d/";
    for (name, _) in snapshot.list(dir).filter(|(name, _)| name.ends_with(b".conf")) {
        let path = format!("{dir}{}", String::from_utf8_lossy(name));
        if let Some(text) = snapshot.text(image, &path)? {
            sysusers(&text, &mut users, &mut groups);
        }
    }
    Ok((users, groups))
}

/// Text of a database, made fit to be shown.
fn clean(text: &str) -> String {
    shown(text.as_bytes())
}

fn passwd(passwd: &str, shadow: &str) -> Users {
    let hashes: BTreeMap<&str, &str> = shadow
        .lines()
        .filter_map(|l| {
            let mut fields = l.split(':');
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    let user = |line: &str| {
        let f: Vec<&str> = line.split(':').collect();
        let [name, hash, uid, gid, _, home, shell] = f[..] else { return None };
        let hash = if hash == "x" { hashes.get(name).copied().unwrap_or("*") } else { hash };
        let password = match hash {
            "" => "none",
            h if h.starts_with(['!', '*']) => "locked",
            _ => "set",
        };
        let user = User {
            name: clean(name),
            uid: uid.parse().ok(),
            gid: gid.parse().ok(),
            home: Some(clean(home)),
            shell: Some(clean(shell)),
            password,
        };
        Some((user.name.clone(), user))
    };
    passwd.lines().filter_map(user).collect()
}

fn group(text: &str) -> Groups {
    let group = |line: &str| {
        let f: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = f[..] else { return None };
        let mut members: Vec<String> = members.split(',').filter(|m| !m.is_empty()).map(clean).collect();
        members.sort();
        let group = Group { name: clean(name), gid: gid.parse().ok(), members };
        Some((group.name.clone(), group))
    };
    text.lines().filter_map(group).collect()
}

/// Adds what the lines `u`, `g` and `m` of sysusers.d(5) make that isn't there yet.
fn sysusers(text: &str, users: &mut Users, groups: &mut Groups) {
    for line in text.lines() {
        let fields = words(line);
        let [kind, name, rest @ ..] = &fields[..] else { continue };
        let id = rest.first().map(String::as_str).filter(|id| *id != "-").unwrap_or_default();
        let (uid, gid) = id.split_once(':').unwrap_or((id, id));
        let text_of = |n: usize| rest.get(n).filter(|v| *v != "-").map(|v| clean(v));
        let name = clean(name);
        match kind.trim_end_matches('!') {
            "u" => {
                users.entry(name.clone()).or_insert_with(|| User {
                    name: name.clone(),
                    uid: uid.parse().ok(),
                    gid: gid.parse().ok(),
                    home: text_of(2),
                    shell: text_of(3),
                    password: "locked",
                });
                // A group of another name is made by its own line.
                if !id.contains(':') {
                    let group = Group { name: name.clone(), gid: gid.parse().ok(), members: Vec::new() };
                    groups.entry(name).or_insert(group);
                }
            }
            "g" => {
                let group = Group { name: name.clone(), gid: gid.parse().ok(), members: Vec::new() };
                groups.entry(name).or_insert(group);
            }
            "m" => {
                let of = clean(id);
                let group = groups.entry(of.clone());
                let group = group.or_insert_with(|| Group { name: of, gid: None, members: Vec::new() });
                if let Err(at) = group.members.binary_search(&name) {
                    group.members.insert(at, name);
                }
            }
            _ => {}
        }
    }
}

/// The words of a line, double quotes around some of them.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    if line.trim_start().starts_with('#') {
        return all;
    }
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            c if c.is_whitespace() && !quoted => {
                if any {
                    all.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        all.push(word);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_told_only_by_kind() {
        let users = passwd(
            "root:x:0:0:root:/root:/bin/bash\na:x:1:1::/:/x\nb:x:2:2::/:/x\nc::3:3::/:/x\nbroken\n",
            "root:!*:1::::::\na:$y$hash:1::::::\n",
        );
        let kinds: Vec<_> = users.values().map(|u| (u.name.as_str(), u.password)).collect();
        assert_eq!(kinds, [("a", "set"), ("b", "locked"), ("c", "none"), ("root", "locked")]);
        assert!(!format!("{users:?}").contains("hash"));
    }

    #[test]
    fn sysusers_adds_what_is_missing() {
        let mut users = passwd("root:x:0:0:root:/root:/bin/bash\n", "");
        let mut groups = group("root:x:0:\n");
        let text = "# u no 1\nu root 5 \"Super User\" /r /s\nu! new 77:88 \"A B\" /var/new -\ng lonely -\nm new lonely\nu auto -\n";
        sysusers(text, &mut users, &mut groups);
        assert_eq!(users["root"].uid, Some(0));
        assert_eq!((users["new"].uid, users["new"].home.as_deref()), (Some(77), Some("/var/new")));
        assert_eq!(users["auto"].uid, None);
        assert_eq!(groups["lonely"].members, ["new"]);
        assert!(groups.contains_key("auto") && !groups.contains_key("new"));
    }
}
