//! `units:`, with links instead of [Install]: enabling happens here, where it can be checked.

use super::fields::Fields;
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
    /// The target that wants it.
    pub wanted_by: Option<String>,
    /// Drop-ins.
    pub drop_ins: Vec<DropIn>,
    /// Where the document has it.
    pub place: Place,
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
    let mut units: Vec<Unit> = Vec::new();
    for item in items {
        if let Some(unit) = one(item, problems) {
            if let Some(other) = units.iter().find(|u| u.name == unit.name) {
                let message = format!("unit `{}` is already at {}", unit.name, other.place);
                problems.push(Problem::new(unit.place, message));
            }
            units.push(unit);
        }
    }
    units
}

fn is_unit_name(text: &str) -> bool {
    text.len() <= 200
        && text.rsplit_once('.').is_some_and(|(base, suffix)| !base.is_empty() && SUFFIXES.contains(&suffix))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
        && !text.starts_with(['.', '-', '@'])
}

fn one(item: &Node, problems: &mut Vec<Problem>) -> Option<Unit> {
    let allowed = ["name", "content", "enable", "target", "drop-ins"];
    let fields = Fields::new(item, "a unit", &allowed, problems)?;
    let name = fields.required("name", problems).and_then(|(name, place)| {
        if !is_unit_name(name) {
            problems.push(Problem::new(place, "a unit's name ends in its type, as in app.service"));
            return None;
        }
        Some(name.to_owned())
    });
    let content = fields.text("content", problems);
    if let Some((text, place)) = content {
        check(text, place, problems);
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
    let mut drop_ins: Vec<DropIn> = Vec::new();
    for part in fields.list("drop-ins", problems) {
        let Some(fields) = Fields::new(part, "a drop-in", &["name", "content"], problems) else { continue };
        let name = fields.required("name", problems);
        let content = fields.required("content", problems);
        let (Some((name, place)), Some((content, at))) = (name, content) else { continue };
        let good = name.len() <= 200
            && name.len() > 5
            && name.ends_with(".conf")
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.@".contains(&b));
        if !good || drop_ins.iter().any(|d| d.name == name) {
            problems.push(Problem::new(place, "a drop-in has a name of its own that ends in .conf"));
        }
        check(content, at, problems);
        drop_ins.push(DropIn { name: name.to_owned(), content: content.to_owned() });
    }
    if content.is_none() && drop_ins.is_empty() && !enable {
        let message = "a unit needs `content`, `drop-ins`, or `enable: true` for a unit of the image";
        problems.push(Problem::new(item.place, message));
    }
    if enable && name.as_ref().is_some_and(|n| n.contains("@.")) {
        let message = "a template can't be enabled; name an instance, as in app@one.service";
        problems.push(Problem::new(item.place, message));
    }
    Some(Unit {
        name: name?,
        content: content.map(|(text, _)| text.to_owned()),
        wanted_by: enable.then(|| target.map_or("multi-user.target", |(t, _)| t).to_owned()),
        drop_ins,
        place: item.place,
    })
}

/// The shape of a unit file: sections, assignments, comments. What they mean is systemd's to say.
fn check(text: &str, place: Place, problems: &mut Vec<Problem>) {
    let (mut section, mut continued) = (false, false);
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        let continues = trimmed.ends_with('\\');
        if std::mem::replace(&mut continued, continues)
            || trimmed.is_empty()
            || trimmed.starts_with(['#', ';'])
        {
            continue;
        }
        let message = if trimmed.eq_ignore_ascii_case("[Install]") {
            "[Install] has no effect here: nothing runs `systemctl enable`; say `enable: true`, and `target` if \
             it isn't multi-user.target"
        } else if trimmed.starts_with('[') && trimmed.ends_with(']') {
            section = true;
            continue;
        } else if !section {
            "a unit file begins with a [Section]"
        } else if trimmed.contains('=') {
            continue;
        } else {
            "this is neither a [Section] nor an assignment"
        };
        problems.push(Problem::new(place, format!("line {} of this text: {message}", at + 1)));
        return;
    }
    if !section {
        problems.push(Problem::new(place, "a unit file has at least one [Section]"));
    }
}
