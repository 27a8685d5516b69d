//! Units, and `units:` of the native format, with links instead of [Install]: enabling happens here, where it
//! can be checked.

use super::fields::Fields;
use super::install;
use crate::yaml::{Node, Place, Problem};

const SUFFIXES: &[&str] =
    &["service", "socket", "timer", "path", "mount", "automount", "target", "slice", "swap"];

/// A unit file, drop-ins for one, or both.
#[derive(Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name, suffix included.
    pub name: String,
    /// The unit file; without it, the image's is meant.
    pub content: Option<String>,
    /// What starts it.
    pub enable: Enable,
    /// Drop-ins.
    pub drop_ins: Vec<DropIn>,
    /// Where the document has it.
    pub place: Place,
}

/// What starts a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Enable {
    /// Nothing more than in the image.
    #[default]
    No,
    /// Links to it, as names below /etc/systemd/system: `multi-user.target.wants/app.service`.
    Links(Vec<String>),
    /// The links that [Install] of the image's unit asks for.
    AsTheImageSays,
    /// Nothing may: a link to /dev/null.
    Masked,
}

/// A file in NAME.d.
#[derive(Clone, PartialEq, Eq)]
pub struct DropIn {
    /// Its name, with .conf.
    pub name: String,
    /// Its contents.
    pub content: String,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unit({})", self.name)
    }
}

impl std::fmt::Debug for DropIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DropIn({})", self.name)
    }
}

pub(super) fn parse(items: &[Node], problems: &mut Vec<Problem>) -> Vec<Unit> {
    items.iter().filter_map(|item| one(item, problems)).collect()
}

/// Whether a unit can have this name.
pub(crate) fn is_unit_name(text: &str) -> bool {
    text.len() <= 200
        && text.rsplit_once('.').is_some_and(|(base, suffix)| !base.is_empty() && SUFFIXES.contains(&suffix))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
        && !text.starts_with(['.', '-', '@'])
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<Unit> {
    let allowed = ["name", "content", "enable", "target", "drop-ins"];
    let fields = Fields::new(item, "a unit", &allowed, problems)?;
    let name = fields.required_checked("name", name, problems);
    let content = fields.text("content", problems);
    if let Some((text, place)) = content {
        problems.extend(check(text, place, false));
    }
    let enable = fields.flag("enable", problems).unwrap_or(false);
    let target = fields.text("target", problems);
    if let Some((target, place)) = target {
        if !enable {
            problems.push(Problem::new(place, "`target` says what wants the unit; it needs `enable: true`"));
        }
        if !is_unit_name(target) || !target.ends_with(".target") {
            problems.push(Problem::new(place, "`target` is a target, as in timers.target"));
        }
    }
    let drop_ins = drop_ins(&fields, ["drop-ins", "name", "content"], problems);
    if content.is_none() && drop_ins.is_empty() && !enable {
        let message = "a unit needs `content`, `drop-ins`, or `enable: true` for a unit of the image";
        problems.push(Problem::new(&item.place, message));
    }
    if enable && name.as_ref().is_some_and(|n| n.contains("@.")) {
        let message = "a template can't be enabled; name an instance, as in app@one.service";
        problems.push(Problem::new(&item.place, message));
    }
    let name = name?;
    let target = target.map_or("multi-user.target", |(t, _)| t);
    Some(Unit {
        content: content.map(|(text, _)| text.to_owned()),
        enable: if enable { Enable::Links(vec![format!("{target}.wants/{name}")]) } else { Enable::No },
        drop_ins,
        place: item.place.clone(),
        name,
    })
}

/// Drop-ins of a unit; the keys are the list's, and in it the name's and the contents'.
pub(super) fn drop_ins(fields: &Fields<'_>, keys: [&str; 3], problems: &mut Vec<Problem>) -> Vec<DropIn> {
    let [list, name, content] = keys;
    let mut out: Vec<DropIn> = Vec::new();
    for part in fields.list(list, problems) {
        let Some(fields) = Fields::new(part, "a drop-in", &[name, content], problems) else { continue };
        let (name, content) = (fields.required(name, problems), fields.required(content, problems));
        let (Some((name, place)), Some((content, at))) = (name, content) else { continue };
        let good = name.len() <= 200
            && name.len() > 5
            && name.ends_with(".conf")
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.@".contains(&b));
        if !good || out.iter().any(|d| d.name == name) {
            problems.push(Problem::new(place, "a drop-in has a name of its own that ends in .conf"));
        }
        problems.extend(check(content, at, false));
        out.push(DropIn { name: name.to_owned(), content: content.to_owned() });
    }
    out
}

pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if is_unit_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a unit's name ends in its type, as in app.service")
    }
}

/// The shape of a unit file: sections, assignments, comments. What they mean is systemd's to say.
pub(super) fn check(text: &str, place: &Place, install: bool) -> Option<Problem> {
    let mut sections = false;
    for (at, line) in install::lines(text) {
        let message = match line {
            install::Line::Section(name) if name.eq_ignore_ascii_case("Install") && !install => {
                "[Install] has no effect here: nothing runs `systemctl enable`; say `enable: true`, and `target` if \
                 it isn't multi-user.target"
            }
            install::Line::Section(_) => {
                sections = true;
                continue;
            }
            _ if !sections => "a unit file begins with a [Section]",
            install::Line::Assignment(..) => continue,
            install::Line::Other => "this is neither a [Section] nor an assignment",
        };
        return Some(Problem::new(place, format!("line {at} of this text: {message}")));
    }
    (!sections).then(|| Problem::new(place, "a unit file has at least one [Section]"))
}

impl Unit {
    /// The files it becomes.
    pub fn paths(&self) -> Vec<String> {
        let unit = self.content.is_some() || self.enable == Enable::Masked;
        let unit = unit.then(|| format!("/etc/systemd/system/{}", self.name));
        let parts = self.drop_ins.iter().map(|d| format!("/etc/systemd/system/{}.d/{}", self.name, d.name));
        unit.into_iter().chain(parts).collect()
    }
}
