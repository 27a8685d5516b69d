//! The account files of this boot: the image's, with the users that user data asks for.
//!
//! They are written as whole files before systemd-tmpfiles runs, whose `C` lines then leave them alone. Pure
//! text to text, so the same image and user data always give the same files. Numbers that were given out
//! stay given out: /var/home keeps files of their owners.

use std::collections::BTreeMap;

use crate::userdata::{User, UserData};
use crate::yaml::Problem;

/// The four files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    passwd: Vec<Vec<String>>,
    group: Vec<Vec<String>>,
    shadow: Vec<Vec<String>>,
    gshadow: Vec<Vec<String>>,
}

/// Names of the files below /etc, in the order of [`Accounts::texts`].
pub const FILES: [&str; 4] = ["passwd", "group", "shadow", "gshadow"];

fn lines(text: &str, fields: usize) -> Vec<Vec<String>> {
    let split = |line: &str| {
        let mut parts: Vec<_> = line.split(':').map(str::to_owned).collect();
        parts.resize(fields.max(parts.len()), String::new());
        parts
    };
    text.lines().filter(|l| !l.trim().is_empty()).map(split).collect()
}

impl Accounts {
    /// Reads passwd, group, shadow and gshadow.
    pub fn parse(texts: [&str; 4]) -> Self {
        let [passwd, group, shadow, gshadow] = texts;
        Accounts {
            passwd: lines(passwd, 7),
            group: lines(group, 4),
            shadow: lines(shadow, 9),
            gshadow: lines(gshadow, 4),
        }
    }

    /// The files' contents.
    pub fn texts(&self) -> [String; 4] {
        [&self.passwd, &self.group, &self.shadow, &self.gshadow]
            .map(|table| table.iter().map(|line| line.join(":") + "\n").collect())
    }

    /// Number and primary group of a user, by name or number.
    pub fn user(&self, name: &str) -> Option<(u32, u32)> {
        if let Some(line) = self.passwd.iter().find(|l| l[0] == name) {
            return Some((line[2].parse().ok()?, line[3].parse().ok()?));
        }
        name.parse().ok().map(|n| (n, n))
    }

    /// Number of a group, by name or number.
    pub fn group(&self, name: &str) -> Option<u32> {
        match self.group.iter().find(|l| l[0] == name) {
            Some(line) => line[2].parse().ok(),
            None => name.parse().ok(),
        }
    }

    /// Whether there is such a user.
    pub fn has(&self, name: &str) -> bool {
        self.passwd.iter().any(|l| l[0] == name)
    }

    /// Adds the users of user data. `uids` remembers which number each name has had.
    pub fn add(
        &mut self,
        data: &UserData,
        uids: &mut BTreeMap<String, u32>,
        default_shell: &str,
        problems: &mut Vec<Problem>,
    ) {
        // Fixed numbers first, so that a chosen one never takes a number that was asked for.
        let mut order: Vec<&User> = data.users.iter().collect();
        order.sort_by_key(|u| u.uid.is_none());
        for user in order {
            if self.has(&user.name) {
                self.complete(user, problems);
            } else {
                self.make(user, uids, default_shell, problems);
            }
            if let Some(hash) = &user.password_hash {
                self.set_password(&user.name, hash);
            }
        }
        for user in &data.users {
            for group in &user.groups {
                if !self.join(&user.name, group) {
                    let message = format!("user `{}`: this image has no group `{group}`", user.name);
                    problems.push(Problem::new(&user.place, message));
                }
            }
        }
    }

    /// An account of the image gets keys, a password, groups; who it is stays.
    fn complete(&mut self, user: &User, problems: &mut Vec<Problem>) {
        if user.uid.is_some() || user.gecos.is_some() {
            let message =
                format!("user `{}` belongs to the image; its `uid` and `gecos` can't be changed", user.name);
            problems.push(Problem::new(&user.place, message));
        }
        if let (Some(shell), Some(line)) = (&user.shell, self.passwd.iter_mut().find(|l| l[0] == user.name)) {
            line[6].clone_from(shell);
        }
    }

    fn make(
        &mut self,
        user: &User,
        uids: &mut BTreeMap<String, u32>,
        default_shell: &str,
        problems: &mut Vec<Problem>,
    ) {
        let used = |n: u32, uids: &BTreeMap<String, u32>| {
            let text = n.to_string();
            self.passwd.iter().any(|l| l[2] == text)
                || self.group.iter().any(|l| l[2] == text)
                || uids.iter().any(|(name, uid)| *uid == n && *name != user.name)
        };
        let uid = match user.uid.or_else(|| uids.get(&user.name).copied()) {
            Some(uid) if used(uid, uids) => {
                let message = format!("user `{}`: number {uid} belongs to somebody else", user.name);
                problems.push(Problem::new(&user.place, message));
                return;
            }
            Some(uid) => uid,
            None => (1000..60_000).find(|n| !used(*n, uids)).unwrap_or(59_999),
        };
        if self.group.iter().any(|l| l[0] == user.name) {
            let message = format!("user `{}`: the image has a group of this name", user.name);
            problems.push(Problem::new(&user.place, message));
            return;
        }
        uids.insert(user.name.clone(), uid);
        let (name, uid) = (user.name.as_str(), uid.to_string());
        let home = format!("/home/{name}");
        let gecos = user.gecos.as_deref().unwrap_or_default();
        let shell = user.shell.as_deref().unwrap_or(default_shell);
        let line = |parts: &[&str]| parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        self.passwd.push(line(&[name, "x", &uid, &uid, gecos, &home, shell]));
        self.group.push(line(&[name, "x", &uid, ""]));
        // `*`: no password fits, but unlike with `!` sshd doesn't take the account for a locked one.
        self.shadow.push(line(&[name, "*", "", "0", "99999", "7", "", "", ""]));
        self.gshadow.push(line(&[name, "!", "", ""]));
    }

    fn set_password(&mut self, name: &str, hash: &str) {
        match self.shadow.iter_mut().find(|l| l[0] == name) {
            Some(line) => line[1] = hash.to_owned(),
            None => {
                let line = [name, hash, "", "0", "99999", "7", "", "", ""];
                self.shadow.push(line.map(str::to_owned).to_vec());
            }
        }
    }

    fn join(&mut self, user: &str, group: &str) -> bool {
        let mut found = false;
        for table in [&mut self.group, &mut self.gshadow] {
            if let Some(line) = table.iter_mut().find(|l| l[0] == group) {
                found = true;
                if !line[3].split(',').any(|m| m == user) {
                    if !line[3].is_empty() {
                        line[3].push(',');
                    }
                    line[3].push_str(user);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata;

    const IMAGE: [&str; 4] = [
        "root:x:0:0:root:/root:/bin/bash\nmail:x:8:8::/var/mail:/usr/sbin/nologin\n",
        "root:x:0:\nadm:x:4:\nmail:x:8:\nstaff:x:1001:\n",
        "root:*:1:0:99999:7:::\nmail:*:1:0:99999:7:::\n",
        "root:*::\nadm:*::\n",
    ];

    fn run(yaml: &str, uids: &mut BTreeMap<String, u32>) -> ([String; 4], Vec<String>) {
        let data = userdata::parse(format!("#twinhull\nusers:\n{yaml}").as_bytes()).unwrap().unwrap();
        let mut accounts = Accounts::parse(IMAGE);
        let mut problems = Vec::new();
        accounts.add(&data, uids, "/bin/bash", &mut problems);
        (accounts.texts(), problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn nothing_added_is_nothing_changed() {
        assert_eq!(Accounts::parse(IMAGE).texts(), IMAGE.map(str::to_owned));
    }

    #[test]
    fn users_keep_their_numbers() {
        let mut uids = BTreeMap::from([("gone".to_owned(), 1000)]);
        let yaml = "- {name: ann, groups: [adm], gecos: A}\n- {name: bob, uid: 1002}\n\
                    - {name: root, password-hash: $6$a$b}\n";
        let ([passwd, group, shadow, gshadow], problems) = run(yaml, &mut uids);
        assert_eq!(problems, [""; 0]);
        assert!(
            passwd.ends_with("bob:x:1002:1002::/home/bob:/bin/bash\nann:x:1003:1003:A:/home/ann:/bin/bash\n")
        );
        assert!(group.contains("adm:x:4:ann\n") && group.contains("ann:x:1003:\n"), "{group}");
        assert!(gshadow.contains("adm:*::ann\n"), "{gshadow}");
        assert!(shadow.contains("root:$6$a$b:1:") && shadow.contains("ann:*::0:99999:7:::\n"), "{shadow}");
        let again = run("- {name: zoe}\n- {name: ann}\n", &mut uids).0;
        assert!(again[0].contains("ann:x:1003:") && again[0].contains("zoe:x:1004:"), "{}", again[0]);
    }

    #[test]
    fn what_the_image_forbids() {
        for (yaml, want) in [
            ("- {name: ann, groups: [wheel]}", "no group `wheel`"),
            ("- {name: mail, uid: 1000}", "belongs to the image"),
            ("- {name: adm}", "a group of this name"),
            ("- {name: ann, uid: 1001}", "belongs to somebody else"),
        ] {
            let problems = run(yaml, &mut BTreeMap::new()).1;
            assert!(problems.iter().any(|p| p.contains(want)), "{yaml} {problems:?}");
        }
    }
}
