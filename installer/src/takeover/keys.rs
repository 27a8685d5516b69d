//! Whose SSH keys stay: root's, or those of people who may become root.

use std::path::{Path, PathBuf};

/// Groups whose members may use sudo on Debian, Ubuntu and others.
const GROUPS: &[&str] = &["sudo", "admin", "wheel"];

/// How a key of authorized_keys begins that has no options.
const TYPES: &[&str] = &["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// Lines without options, as they were.
    pub(super) lines: Vec<String>,
    /// Whose they were.
    pub(super) users: Vec<String>,
    /// What isn't taken, as sentences.
    pub(super) left_out: Vec<String>,
}

impl Keys {
    /// The keys' comments, for people.
    pub(super) fn comments(&self) -> Vec<&str> {
        self.lines
            .iter()
            .map(|line| match line.splitn(3, ' ').nth(2).map(str::trim) {
                Some(comment) if !comment.is_empty() => comment,
                _ => "without a comment",
            })
            .collect()
    }
}

/// A line of authorized_keys (sshd(8)).
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// Empty, or a comment.
    Nothing,
    /// A key without options.
    Key(&'a str),
    /// cloud-init's word that nobody logs in as this user.
    Closed,
    /// A key with options, which a machine's metadata has no faithful place for.
    Options(&'a str),
    /// Something else.
    Strange,
}

fn line(text: &str) -> Line<'_> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Line::Nothing;
    }
    let is_key = |text: &str| {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        TYPES.iter().any(|begin| kind.starts_with(begin))
            && words.next().is_some_and(|blob| blob.starts_with("AAAA"))
    };
    if text.chars().any(char::is_control) {
        return Line::Strange;
    }
    if is_key(text) {
        return Line::Key(text);
    }
    // Options end at the first space that is in no quotes.
    let (mut quoted, mut escaped) = (false, false);
    let end = text.char_indices().find(|(_, c)| {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return true,
            _ => {}
        }
        escaped = *c == '\\' && !escaped;
        false
    });
    match end.map(|(at, _)| (&text[..at], text[at..].trim_start())) {
        Some((options, key)) if is_key(key) => {
            let closed = options.contains("command=\"echo 'Please login as");
            if closed { Line::Closed } else { Line::Options(options) }
        }
        _ => Line::Strange,
    }
}

/// Adds the keys in the text of a user's authorized_keys.
fn take(keys: &mut Keys, user: &str, text: &str) {
    for found in text.lines().map(line) {
        match found {
            Line::Nothing | Line::Closed => {}
            Line::Key(line) => {
                if !keys.lines.iter().any(|known| known == line) {
                    keys.lines.push(line.to_owned());
                }
                if !keys.users.iter().any(|known| known == user) {
                    keys.users.push(user.to_owned());
                }
            }
            Line::Options(options) => keys.left_out.push(format!(
                "a key of {user}'s, because it has options that wouldn't be kept ({})",
                options.chars().take(60).collect::<String>()
            )),
            Line::Strange => keys.left_out.push(format!("a line of {user}'s authorized_keys that is no key")),
        }
    }
}

/// The users of /etc/passwd: name, group and home.
fn users(passwd: &str) -> Vec<(&str, &str, &str)> {
    fn user(line: &str) -> Option<(&str, &str, &str)> {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(2)?, fields.nth(1)?))
    }
    passwd.lines().filter_map(user).collect()
}

/// Names of users who may become root by sudo, in the order of /etc/passwd. `sudoers` is all text of sudo's settings.
fn may_sudo<'a>(passwd: &'a str, group: &str, sudoers: &str) -> Vec<&'a str> {
    let groups: Vec<(&str, &str)> = group
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, id, members] = fields[..] else { return None };
            GROUPS.contains(&name).then_some((id, members))
        })
        .collect();
    let named = |user: &str| sudoers.lines().any(|line| line.split_whitespace().next() == Some(user));
    users(passwd)
        .into_iter()
        .filter(|(name, gid, _)| {
            *name != "root"
                && (named(name)
                    || groups.iter().any(|(id, members)| id == gid || members.split(',').any(|m| m == *name)))
        })
        .map(|(name, _, _)| name)
        .collect()
}

/// The keys that stay, on the machine whose root is `root`.
pub(super) fn collect(root: &Path) -> Keys {
    let text = |path: PathBuf| fs_err::read_to_string(path).unwrap_or_default();
    let etc = root.join("etc");
    let passwd = text(etc.join("passwd"));
    let homes = users(&passwd);
    let mut keys = Keys::default();
    let add = |keys: &mut Keys, user: &str| {
        let home = homes.iter().find(|(name, _, _)| *name == user).map_or("/root", |(_, _, home)| home);
        for file in ["authorized_keys", "authorized_keys2"] {
            take(keys, user, &text(root.join(home.trim_start_matches('/')).join(".ssh").join(file)));
        }
    };
    add(&mut keys, "root");
    if keys.lines.is_empty() {
        let mut sudoers = text(etc.join("sudoers"));
        for entry in fs_err::read_dir(etc.join("sudoers.d")).into_iter().flatten().flatten() {
            sudoers += "\n";
            sudoers += &text(entry.path());
        }
        for user in may_sudo(&passwd, &text(etc.join("group")), &sudoers) {
            add(&mut keys, user);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_authorized_keys() {
        let cloud = "no-port-forwarding,command=\"echo 'Please login as the user \\\"debian\\\" rather than the user \\\"root\\\".';echo;sleep 10;exit 142\" ssh-ed25519 AAAAx me";
        for (text, want) in [
            ("", Line::Nothing),
            (" # ssh-rsa AAAA", Line::Nothing),
            ("ssh-ed25519 AAAAx me at home\r", Line::Key("ssh-ed25519 AAAAx me at home")),
            ("sk-ssh-ed25519@openssh.com AAAAx", Line::Key("sk-ssh-ed25519@openssh.com AAAAx")),
            (cloud, Line::Closed),
            (
                "restrict,from=\"10.0.0.1, ::1\" ssh-rsa AAAAx",
                Line::Options("restrict,from=\"10.0.0.1, ::1\""),
            ),
            (
                "environment=\"A=\\\" ssh-rsa AAAA\" ssh-rsa AAAAx",
                Line::Options("environment=\"A=\\\" ssh-rsa AAAA\""),
            ),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", Line::Strange),
            ("ssh-rsa", Line::Strange),
            ("ssh-rsa AAAA\u{7}", Line::Strange),
            ("command=\"x ssh-rsa AAAAx", Line::Strange),
        ] {
            assert_eq!(line(text), want, "{text}");
        }
    }

    #[test]
    fn people_who_may_become_root() {
        let passwd = "root:x:0:0::/root:/bin/bash\nann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\nbob:x:1001:27::/srv/bob:/bin/sh\n\
            eve:x:1002:1002::/home/eve:/bin/sh\ndebian:x:1003:1003::/home/debian:/bin/sh\nbroken\n";
        let group = "root:x:0:\nsudo:x:27:ann,zoe\nadm:x:4:eve\n";
        let sudoers = "# eve\nDefaults x\ndebian ALL=(ALL) NOPASSWD:ALL\n%sudo ALL\n";
        assert_eq!(may_sudo(passwd, group, sudoers), ["ann", "bob", "debian"]);
        assert_eq!(users(passwd)[2], ("bob", "27", "/srv/bob"));
    }

    #[test]
    fn roots_keys_or_those_of_others() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        put(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nann:x:1:1::/home/ann:/bin/sh\neve:x:2:2::/home/eve:/bin/sh\n",
        );
        put("etc/group", "sudo:x:27:ann\n");
        let closed = "command=\"echo 'Please login as the user x'\" ssh-rsa AAAAx me\n";
        put("root/.ssh/authorized_keys", closed);
        put(
            "home/ann/.ssh/authorized_keys",
            "ssh-rsa AAAAx ann\nssh-rsa AAAAx ann\nssh-rsa AAAAy\nfrom=\"1\" ssh-rsa AAAAz\n",
        );
        put("home/eve/.ssh/authorized_keys", "ssh-rsa AAAAe eve\n");
        let keys = collect(root.path());
        assert_eq!(keys.lines, ["ssh-rsa AAAAx ann", "ssh-rsa AAAAy"]);
        assert_eq!(
            (&keys.users[..], keys.comments()),
            (&["ann".to_owned()][..], vec!["ann", "without a comment"])
        );
        assert!(keys.left_out.len() == 1 && keys.left_out[0].contains("from=\"1\""), "{keys:?}");
        put("root/.ssh/authorized_keys", &format!("{closed}ssh-rsa AAAAr root\n"));
        assert_eq!(collect(root.path()).lines, ["ssh-rsa AAAAr root"]);
    }
}
