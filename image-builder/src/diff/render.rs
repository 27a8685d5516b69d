//! The report as text: one section a subject, `+` for what the new image gained, `-` for what it lost, `~` for
//! what is not the same.

use std::fmt::Write;

use twinhull_sysutil::size;

use super::changes::{Changed, Changes};
use super::files::File;
use super::units::{Unit, Want};
use super::users::{Group, User};
use super::{Facts, Report};
use crate::image::boot::Part;
use crate::image::shown;
use crate::packages::Package;

/// Lines of each sign that a section has unless everything is asked for.
const CAP: usize = 20;

/// The report for people; with `all`, no list is cut off.
pub(crate) fn render(report: &Report, all: bool) -> String {
    let mut page = Page { out: String::new(), cap: if all { usize::MAX } else { CAP } };
    page.head("old", &report.old);
    page.head("new", &report.new);
    for note in &report.notes {
        page.line(format_args!("note: {note}"));
    }
    page.changes(
        "Privileges (setuid, setgid, capabilities)",
        &report.privileges,
        |p| [p.path.clone(), p.describe()],
        |c| format!("{} -> {}", c.old.describe(), c.new.describe()),
    );
    match &report.packages {
        None => page.line(format_args!("\nPackages: not known")),
        Some(packages) => page.changes("Packages", packages, package, |c| {
            format!(
                "{} -> {}{}",
                c.old.version,
                c.new.version,
                if c.what == ["downgrade"] { "  (older)" } else { "" }
            )
        }),
    }
    page.changes("Units", &report.units, unit, unit_change);
    page.changes("Started by", &report.wants, want, |c| c.what.join(", "));
    page.changes("Users", &report.users, user, user_change);
    page.changes("Groups", &report.groups, group, group_change);
    page.cmdline(report);
    page.changes("UKI sections", &report.uki, part, part_change);
    page.changes("Files on the ESP", &report.esp, part, part_change);
    page.changes("Files", &report.files, file, file_change);
    if report.times > 0 {
        page.line(format_args!(
            "\n{} entries have another modification time, which is not compared",
            report.times
        ));
    }
    page.sizes(&report.old, &report.new);
    page.line(format_args!("\n{}", if report.equal { "no differences" } else { "the images differ" }));
    page.out
}

struct Page {
    out: String,
    cap: usize,
}

impl Page {
    // Writing to a String can't fail.
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{text}");
    }

    fn head(&mut self, name: &str, facts: &Facts) {
        let unknown = "?".to_owned();
        let text = |value: &Option<String>| shown(value.as_ref().unwrap_or(&unknown).as_bytes());
        self.line(format_args!(
            "{name}  {}\n     {} {}, kernel {}{}",
            facts.path,
            text(&facts.id),
            text(&facts.version),
            text(&facts.kernel),
            facts.root_hash.as_ref().map_or(String::new(), |h| format!(", root hash {}", &h[..16]))
        ));
    }

    fn section(&mut self, title: &str, count: usize) {
        match count {
            0 => self.line(format_args!("\n{title}: no differences")),
            1 => self.line(format_args!("\n{title}: 1 difference")),
            n => self.line(format_args!("\n{title}: {n} differences")),
        }
    }

    /// Lines of sign, name and remark, the names as wide as the widest, within reason.
    fn rows(&mut self, rows: Vec<(char, String, String)>) {
        let listed = rows.len().min(self.cap);
        let width = rows[..listed].iter().map(|r| r.1.chars().count()).max().unwrap_or(0).min(60);
        for (sign, name, remark) in &rows[..listed] {
            let row = format!("  {sign} {name:width$}  {remark}");
            self.line(format_args!("{}", row.trim_end()));
        }
        if rows.len() > listed {
            self.line(format_args!("  … and {} more (--all shows them)", rows.len() - listed));
        }
    }

    fn changes<T>(
        &mut self,
        title: &str,
        changes: &Changes<T>,
        row: impl Fn(&T) -> [String; 2],
        change: impl Fn(&Changed<T>) -> String,
    ) {
        self.section(title, changes.len());
        let line = |sign, item: &T| {
            let [name, remark] = row(item);
            (sign, name, remark)
        };
        // Cut off one by one, so that a thousand new files don't hide the one that changed.
        self.rows(changes.added.iter().map(|item| line('+', item)).collect());
        self.rows(changes.removed.iter().map(|item| line('-', item)).collect());
        self.rows(changes.changed.iter().map(|c| ('~', row(&c.new)[0].clone(), change(c))).collect());
    }

    fn cmdline(&mut self, report: &Report) {
        let words = &report.cmdline;
        self.section("Kernel command line", words.len());
        let row = |sign, word: &String| (sign, shown(word.as_bytes()), String::new());
        let mut rows: Vec<_> = words.added.iter().map(|w| row('+', w)).collect();
        rows.extend(words.removed.iter().map(|w| row('-', w)));
        if words.reordered {
            rows.push((
                '~',
                "the order of the words".into(),
                "where two disagree, the later one wins".into(),
            ));
        }
        self.rows(rows);
    }

    fn sizes(&mut self, old: &Facts, new: &Facts) {
        self.line(format_args!("\nSizes            old         new         change"));
        let (a, b) = (&old.sizes, &new.sizes);
        for (name, old, new) in [
            ("usr image", Some(a.usr), Some(b.usr)),
            ("data in it", Some(a.content), Some(b.content)),
            ("UKI", a.uki, b.uki),
            ("image file", Some(a.total), Some(b.total)),
        ] {
            let text = |size: Option<u64>| size.map_or("-".into(), size::human);
            let change = old.zip(new).map_or("-".into(), |(old, new)| match old.cmp(&new) {
                std::cmp::Ordering::Equal => "none".into(),
                std::cmp::Ordering::Less => format!("+{}", size::human(new - old)),
                std::cmp::Ordering::Greater => format!("-{}", size::human(old - new)),
            });
            self.line(format_args!("  {name:<15}{:<12}{:<12}{change}", text(old), text(new)));
        }
    }
}

fn package(p: &Package) -> [String; 2] {
    [shown(format!("{}:{}", p.name, p.arch).as_bytes()), shown(p.version.as_bytes())]
}

fn scoped(scope: &str, name: &str) -> String {
    if scope == "system" { name.to_owned() } else { format!("{name} ({scope})") }
}

fn unit(u: &Unit) -> [String; 2] {
    let state = match (&u.target, u.state) {
        (_, "file") => String::new(),
        (Some(target), _) => format!("link to {target}"),
        (None, state) => state.to_owned(),
    };
    [scoped(u.scope, &u.name), state]
}

fn unit_change(c: &Changed<Unit>) -> String {
    match (c.old.state == c.new.state, &c.old.target, &c.new.target) {
        (false, ..) => format!("{} -> {}", c.old.state, c.new.state),
        (true, Some(old), Some(new)) if old != new => format!("link to {old} -> {new}"),
        _ => c.what.join(", "),
    }
}

fn want(w: &Want) -> [String; 2] {
    [scoped(w.scope, &w.by), format!("{} {}", w.relation, w.unit)]
}

fn number(id: Option<u32>) -> String {
    id.map_or("made at boot".into(), |id| id.to_string())
}

fn user(u: &User) -> [String; 2] {
    let shell = u.shell.as_deref().unwrap_or("no shell");
    [u.name.clone(), format!("uid {}, shell {shell}, password {}", number(u.uid), u.password)]
}

fn user_change(c: &Changed<User>) -> String {
    let value = |u: &User, what: &str| match what {
        "uid" => number(u.uid),
        "gid" => number(u.gid),
        "home" => u.home.clone().unwrap_or_default(),
        "shell" => u.shell.clone().unwrap_or_default(),
        _ => u.password.to_owned(),
    };
    let each = |what: &&str| format!("{what} {} -> {}", value(&c.old, what), value(&c.new, what));
    c.what.iter().map(each).collect::<Vec<_>>().join(", ")
}

fn group(g: &Group) -> [String; 2] {
    let members = if g.members.is_empty() { String::new() } else { format!(", {}", g.members.join(" ")) };
    [g.name.clone(), format!("gid {}{members}", number(g.gid))]
}

fn group_change(c: &Changed<Group>) -> String {
    format!("{} -> {}", group(&c.old)[1], group(&c.new)[1])
}

fn part(p: &Part) -> [String; 2] {
    [shown(p.name.as_bytes()), size::human(p.length)]
}

fn part_change(c: &Changed<Part>) -> String {
    format!("content, {} -> {}", size::human(c.old.length), size::human(c.new.length))
}

fn file(f: &File) -> [String; 2] {
    let remark = match (&f.target, f.kind) {
        (Some(target), _) => format!("-> {target}"),
        (None, "file") => size::human(f.size),
        (None, kind) => kind.to_owned(),
    };
    [f.path.clone(), remark]
}

fn file_change(c: &Changed<File>) -> String {
    let (old, new) = (&c.old, &c.new);
    let each = |what: &&str| match *what {
        "type" => format!("{} -> {}", old.kind, new.kind),
        "content" if old.size != new.size => {
            format!("content, {} -> {}", size::human(old.size), size::human(new.size))
        }
        "target" => {
            let text = |f: &File| f.target.clone().unwrap_or_default();
            format!("target {} -> {}", text(old), text(new))
        }
        "mode" => format!("mode {} -> {}", old.mode, new.mode),
        "owner" => format!("owner {}:{} -> {}:{}", old.uid, old.gid, new.uid, new.gid),
        what => what.to_owned(),
    };
    c.what.iter().map(each).collect::<Vec<_>>().join(", ")
}
