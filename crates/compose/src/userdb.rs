//! Users and groups, settled at build time.
//!
//! Packages declare system users in sysusers.d(5) fragments that systemd would apply at boot. Here they are
//! merged into passwd, group, shadow and gshadow once, with numbers that depend only on the fragments, so
//! that no boot has to. A number once given to a name stays with it: files in /var carry it from version to version.

use std::collections::BTreeMap;

use twinhull_tree::{Metadata, Node, Tree};

use crate::{Error, Result};

/// Where automatic numbers start, counting down, as systemd-sysusers does.
const SYSTEM_MAX: u32 = 999;
const SYSTEM_MIN: u32 = 100;

/// Numbers of users and groups by name; a user and a group of one name share theirs.
pub type Numbers = BTreeMap<String, u32>;

/// A user or group that a fragment asks for.
#[derive(Debug)]
struct Entry {
    kind: char,
    name: String,
    id: String,
    gecos: String,
    home: String,
    shell: String,
}

/// Adds every missing user, group and membership of /usr/lib/sysusers.d to the tree's databases.
///
/// Names that are in `kept` have their numbers, unless the tree gave them to somebody else; no other name gets one of
/// those. Returns all names that were given a number here, with those that were kept.
///
/// Returns [`Error::Config`] for a line that can't be understood and [`Error::Lacks`] when no number is left.
pub(crate) fn complete(tree: &mut Tree, kept: &Numbers) -> Result<Numbers> {
    let mut db = Database { kept: kept.clone(), ..Database::read(tree)? };
    let entries = fragments(tree)?;
    // Groups with fixed numbers first, then everything with fixed numbers, then the rest.
    for pass in 0..4 {
        for entry in &entries {
            let fixed = entry.id.split(':').next().is_some_and(|i| i.parse::<u32>().is_ok());
            let now = match (entry.kind, fixed) {
                ('g', true) => 0,
                ('u', true) => 1,
                ('g', false) => 2, // before the users that name them
                ('u', false) => 3,
                _ => continue,
            };
            if now == pass {
                db.add(entry)?;
            }
        }
    }
    for entry in entries.iter().filter(|e| e.kind == 'm') {
        db.add_member(&entry.id, &entry.name);
    }
    db.lock_passwords();
    db.write(tree)?;
    Ok(db.kept)
}

fn fragments(tree: &Tree) -> Result<Vec<Entry>> {
    let mut files: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for dir in ["/usr/lib/sysusers.d", "/etc/sysusers.d"] {
        for name in tree.list(dir) {
            if name.ends_with(b".conf") {
                files.insert(name.clone(), format!("{dir}/{}", String::from_utf8_lossy(&name)));
            }
        }
    }
    let mut entries = Vec::new();
    for path in files.values() {
        for (index, line) in tree.read_text(path)?.lines().enumerate() {
            let bad = |reason: &str| Error::Config {
                path: path.clone(),
                line: index + 1,
                reason: reason.to_owned(),
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words = words(line).ok_or_else(|| bad("a quotation mark is not closed"))?;
            let field = |n: usize| words.get(n).filter(|w| *w != "-").cloned().unwrap_or_default();
            let kind = field(0);
            let Some(kind) = kind.trim_end_matches('!').chars().next().filter(|c| "ugmr".contains(*c)) else {
                return Err(bad("the line must begin with u, g, m or r"));
            };
            if field(1).is_empty() || field(1).contains([':', '\n']) {
                return Err(bad("a name is needed in the second column"));
            }
            entries.push(Entry {
                kind,
                name: field(1),
                id: field(2),
                gecos: field(3),
                home: field(4),
                shell: field(5),
            });
        }
    }
    Ok(entries)
}

/// Splits a line at blanks, keeping quoted parts together.
fn words(line: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

/// The four files as rows of fields.
#[derive(Debug, Default)]
struct Database {
    passwd: Vec<Vec<String>>,
    group: Vec<Vec<String>>,
    shadow: Vec<Vec<String>>,
    gshadow: Vec<Vec<String>>,
    /// What was given without being asked for, now or in earlier versions.
    kept: Numbers,
}

impl Database {
    fn read(tree: &Tree) -> Result<Self> {
        let rows = |name: &str, fields: usize| -> Result<Vec<Vec<String>>> {
            let path = format!("/etc/{name}");
            if tree.get(&path).is_none() {
                return Ok(Vec::new());
            }
            let text = tree.read_text(&path)?;
            let rows = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(|(index, line)| {
                let row: Vec<String> = line.split(':').map(str::to_owned).collect();
                if row.len() == fields {
                    return Ok(row);
                }
                let reason = format!("{} fields, where {fields} are expected", row.len());
                Err(Error::Config { path: path.clone(), line: index + 1, reason })
            });
            rows.collect()
        };
        Ok(Database {
            passwd: rows("passwd", 7)?,
            group: rows("group", 4)?,
            shadow: rows("shadow", 9)?,
            gshadow: rows("gshadow", 4)?,
            kept: Numbers::new(),
        })
    }

    fn add(&mut self, entry: &Entry) -> Result<()> {
        let has_group = self.group.iter().any(|g| g[0] == entry.name);
        if entry.kind == 'g' {
            if !has_group {
                let id = self.number(&entry.id, &entry.name)?;
                self.add_group(&entry.name, id);
            }
            return Ok(());
        }
        if self.passwd.iter().any(|u| u[0] == entry.name) {
            return Ok(());
        }
        let (uid, group) = entry.id.split_once(':').unwrap_or((&entry.id, ""));
        let existing = self.group.iter().find(|g| g[0] == entry.name).map(|g| g[2].clone());
        let uid =
            self.number(if uid.is_empty() { existing.as_deref().unwrap_or("") } else { uid }, &entry.name)?;
        let gid = if group.is_empty() {
            match existing {
                Some(gid) => gid,
                None => {
                    self.add_group(&entry.name, uid);
                    uid.to_string()
                }
            }
        } else if group.parse::<u32>().is_ok() {
            group.to_owned()
        } else {
            let named = self.group.iter().find(|g| g[0] == group).map(|g| g[2].clone());
            named.ok_or_else(|| Error::Lacks {
                what: "group",
                path: format!("{group} (of user {})", entry.name),
                advice: "declare it in a sysusers.d fragment of the tree".into(),
            })?
        };
        let or =
            |value: &str, default: &str| if value.is_empty() { default.to_owned() } else { value.to_owned() };
        let shell = or(&entry.shell, if uid == 0 { "/bin/sh" } else { "/usr/sbin/nologin" });
        self.passwd.push(vec![
            entry.name.clone(),
            "x".into(),
            uid.to_string(),
            gid,
            entry.gecos.clone(),
            or(&entry.home, "/"),
            shell,
        ]);
        let mut shadow = vec![String::new(); 9];
        shadow[0] = entry.name.clone();
        shadow[1] = "!*".into();
        self.shadow.push(shadow);
        Ok(())
    }

    /// Takes every password out: what is in an image is on all machines, and no secret.
    fn lock_passwords(&mut self) {
        for row in self.shadow.iter_mut().chain(&mut self.passwd) {
            // An empty field would let anybody in.
            if row[1] != "x" && !row[1].starts_with(['!', '*']) {
                row[1] = "!*".into();
            }
        }
        for row in self.gshadow.iter_mut().chain(&mut self.group).filter(|row| row[1].starts_with('$')) {
            row[1] = "!*".into();
        }
    }

    fn add_group(&mut self, name: &str, id: u32) {
        self.group.push(vec![name.to_owned(), "x".into(), id.to_string(), String::new()]);
        self.gshadow.push(vec![name.to_owned(), "!*".into(), String::new(), String::new()]);
    }

    fn add_member(&mut self, group: &str, user: &str) {
        if !self.group.iter().any(|g| g[0] == group)
            && let Ok(id) = self.number("", group)
        {
            self.add_group(group, id);
        }
        for (rows, field) in [(&mut self.group, 3), (&mut self.gshadow, 3)] {
            for row in rows.iter_mut().filter(|r| r[0] == group) {
                let mut members: Vec<&str> = row[field].split(',').filter(|m| !m.is_empty()).collect();
                if !members.contains(&user) {
                    members.push(user);
                    row[field] = members.join(",");
                }
            }
        }
    }

    /// The number asked for, the one that the name had, or the highest free one.
    fn number(&mut self, asked: &str, name: &str) -> Result<u32> {
        let taken = |id: u32| {
            let text = id.to_string();
            self.passwd.iter().any(|u| u[2] == text) || self.group.iter().any(|g| g[2] == text)
        };
        // A user and a group of one name share a number.
        let shared_name = |id: u32| {
            let text = id.to_string();
            let other = |row: &Vec<String>| row[2] == text && row[0] != name;
            !self.passwd.iter().any(other) && !self.group.iter().any(other)
        };
        // A number that another name has would let one service read the other's files.
        if let Ok(id) = asked.parse::<u32>()
            && (!taken(id) || shared_name(id))
        {
            return Ok(id);
        }
        let had = self.kept.get(name).copied().filter(|id| !taken(*id) || shared_name(*id));
        let free = || {
            let given = |id: &u32| self.kept.values().any(|other| other == id);
            (SYSTEM_MIN..=SYSTEM_MAX).rev().find(|id| !taken(*id) && !given(id))
        };
        let id = had.or_else(free).ok_or_else(|| Error::Lacks {
            what: "free system user number",
            path: name.to_owned(),
            advice: format!("all of {SYSTEM_MIN} to {SYSTEM_MAX} are taken"),
        })?;
        self.kept.insert(name.to_owned(), id);
        Ok(id)
    }

    fn write(&self, tree: &mut Tree) -> Result<()> {
        let shadow_gid =
            self.group.iter().find(|g| g[0] == "shadow").and_then(|g| g[2].parse().ok()).unwrap_or(0);
        for (name, rows, mode, gid) in [
            ("passwd", &self.passwd, 0o644, 0),
            ("group", &self.group, 0o644, 0),
            ("shadow", &self.shadow, 0o640, shadow_gid),
            ("gshadow", &self.gshadow, 0o640, shadow_gid),
        ] {
            let text: String = rows.iter().map(|row| row.join(":") + "\n").collect();
            let mut node = Node::file(text);
            node.meta = Metadata { gid, ..Metadata::root(mode) };
            tree.insert(format!("/etc/{name}"), node)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_only_on_the_fragments() {
        let mut tree = Tree::new();
        tree.insert("/etc/passwd", Node::file("root:x:0:0:root:/root:/bin/bash\n")).unwrap();
        tree.insert("/etc/group", Node::file("root:x:0:\nsudo:x:27:me\n")).unwrap();
        let conf = "# c\ng shadow 42\nu web - \"The web\" /srv -\nu fixed 998 - - /bin/sh\nu! app 500:web\nm web sudo\n";
        tree.insert("/usr/lib/sysusers.d/x.conf", Node::file(conf)).unwrap();
        complete(&mut tree, &Numbers::new()).unwrap_err(); // group web of app does not exist yet: fixed numbers come first
        let conf = conf.replace("500:web", "500");
        tree.insert("/usr/lib/sysusers.d/x.conf", Node::file(conf)).unwrap();
        complete(&mut tree, &Numbers::new()).unwrap();
        assert_eq!(
            tree.read_text("/etc/passwd").unwrap(),
            "root:x:0:0:root:/root:/bin/bash\nfixed:x:998:998::/:/bin/sh\napp:x:500:500::/:/usr/sbin/nologin\n\
             web:x:999:999:The web:/srv:/usr/sbin/nologin\n"
        );
        assert!(tree.read_text("/etc/group").unwrap().contains("sudo:x:27:me,web\n"));
        assert_eq!(tree.get("/etc/shadow").unwrap().meta.gid, 42);
        let before = tree.read("/etc/passwd").unwrap();
        complete(&mut tree, &Numbers::new()).unwrap();
        assert_eq!(tree.read("/etc/passwd").unwrap(), before);
    }

    #[test]
    fn no_number_is_shared_and_no_password_stays() {
        let mut tree = Tree::new();
        tree.insert("/etc/passwd", Node::file("root:x:0:0:root:/root:/bin/bash\nme::1000:1000::/:/bin/sh\n"))
            .unwrap();
        tree.insert("/etc/group", Node::file("root:x:0:\nold:x:300:\n")).unwrap();
        tree.insert("/etc/shadow", Node::file("root:$6$secret:1::::::\nme::1::::::\n")).unwrap();
        tree.insert("/usr/lib/sysusers.d/x.conf", Node::file("u new 300\nm me crowd\n")).unwrap();
        complete(&mut tree, &Numbers::new()).unwrap();
        let passwd = tree.read_text("/etc/passwd").unwrap();
        assert!(passwd.contains("new:x:999:999:"), "{passwd}");
        assert!(passwd.contains("me:!*:1000"), "{passwd}");
        let shadow = tree.read_text("/etc/shadow").unwrap();
        assert!(shadow.starts_with("root:!*:1") && shadow.contains("me:!*:"), "{shadow}");
        assert!(tree.read_text("/etc/group").unwrap().contains("crowd:x:998:me\n"));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let mut tree = Tree::new();
        tree.insert("/usr/lib/sysusers.d/x.conf", Node::file("\nz nonsense\n")).unwrap();
        let error = complete(&mut tree, &Numbers::new()).unwrap_err().to_string();
        assert!(error.starts_with("/usr/lib/sysusers.d/x.conf:2:"), "{error}");
    }

    #[test]
    fn numbers_stay_with_their_names() {
        let made = |conf: &str, kept: &[(&str, u32)]| {
            let mut tree = Tree::new();
            tree.insert(
                "/etc/passwd",
                Node::file("root:x:0:0:root:/root:/bin/bash\nold:x:950:950::/:/bin/sh\n"),
            )
            .unwrap();
            tree.insert("/etc/group", Node::file("root:x:0:\nold:x:950:\n")).unwrap();
            tree.insert("/usr/lib/sysusers.d/x.conf", Node::file(conf)).unwrap();
            let kept = kept.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
            let numbers = complete(&mut tree, &kept).unwrap();
            let passwd = tree.read_text("/etc/passwd").unwrap();
            let ids: Vec<_> = (passwd.lines().skip(2))
                .map(|line| line.split(':').take(4).collect::<Vec<_>>().join(":"))
                .collect();
            (
                ids.join(" "),
                numbers.into_iter().map(|(name, id)| format!("{name}={id}")).collect::<Vec<_>>().join(" "),
            )
        };
        let pair = |ids: &str, numbers: &str| (ids.to_owned(), numbers.to_owned());
        for (conf, kept, want) in [
            ("u bots -\n", &[][..], pair("bots:x:999:999", "bots=999")),
            // A new name in front of it takes another number.
            (
                "u acme -\nu bots -\n",
                &[("bots", 999)],
                pair("acme:x:998:998 bots:x:999:999", "acme=998 bots=999"),
            ),
            // What is gone may come back, and its files are nobody else's.
            ("u acme -\n", &[("bots", 999)], pair("acme:x:998:998", "acme=998 bots=999")),
            // The tree's own word counts, and a number that it gave away isn't taken from its user.
            ("u bots 300\n", &[("bots", 999)], pair("bots:x:300:300", "bots=999")),
            ("u bots -\n", &[("bots", 950)], pair("bots:x:999:999", "bots=999")),
        ] {
            assert_eq!(made(conf, kept), want, "{conf:?} {kept:?}");
        }
    }
}
