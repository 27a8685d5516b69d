//! Reads mappings of module.yaml and of services: what is missing, unknown or of another shape goes into the
//! report, and the rest is still read.

use std::ops::Range;

use twinhull_source::yaml::{Content, Node, Type};
use twinhull_source::{Code, Report, quoted, suggest};

use crate::kind::{key_text, usable};

/// One entry of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'n> {
    pub(crate) name: &'n str,
    pub(crate) key: &'n Node,
    pub(crate) value: &'n Node,
}

/// The entries of a mapping, each name once.
pub(crate) fn entries<'n>(report: &mut Report<'_>, node: &'n Node, path: &str) -> Vec<Entry<'n>> {
    if !usable(report, node, path) {
        return Vec::new();
    }
    let Content::Map(pairs) = &node.content else {
        if !node.is_null() {
            let message = format!("{path}: expected a mapping, found {}", node.noun());
            report.add(Code::WrongType, &node.span, path, message);
        }
        return Vec::new();
    };
    let mut out: Vec<Entry<'n>> = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for (key, value) in pairs {
        let Some(name) = key_text(report, key, path) else { continue };
        if let Some(first) = seen.insert(name, key) {
            let path = join(path, name);
            report
                .add(Code::DuplicateKey, &key.span, &path, format!("{path} is there twice"))
                .related(&first.span, "first here");
            continue;
        }
        out.push(Entry { name, key, value });
    }
    out
}

/// The items of a list; one item may stand alone.
pub(crate) fn items<'n>(report: &mut Report<'_>, node: &'n Node, path: &str) -> Vec<&'n Node> {
    if !usable(report, node, path) {
        return Vec::new();
    }
    match &node.content {
        Content::List(items) => items.iter().collect(),
        _ if node.is_null() => Vec::new(),
        _ => vec![node],
    }
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) path: String,
    pub(crate) at: Range<usize>,
    entries: Vec<Entry<'n>>,
}

impl<'n> Fields<'n> {
    /// Reads the mapping `node`, whose key is at `at`; other keys than `known` are mistakes.
    pub(crate) fn read(
        report: &mut Report<'_>,
        node: &'n Node,
        at: &Range<usize>,
        path: &str,
        known: &[&str],
    ) -> Self {
        let mut found = entries(report, node, path);
        found.retain(|entry| known.contains(&entry.name) || unknown(report, entry, path, known));
        Fields { path: path.into(), at: at.clone(), entries: found }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Entry<'n>> {
        self.entries.iter().find(|entry| entry.name == name).copied()
    }

    pub(crate) fn join(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// The text of a key, if it is there.
    pub(crate) fn text(&self, report: &mut Report<'_>, name: &str) -> Option<&'n str> {
        let entry = self.get(name)?;
        let path = self.join(name);
        text(report, entry.value, &path)
    }

    /// The text of a key that must be there.
    pub(crate) fn needed(&self, report: &mut Report<'_>, name: &str, why: &str) -> String {
        if self.get(name).is_none() {
            let message = format!("{}: needs the key `{name}`", self.path);
            report.add(Code::MissingKey, &self.at, &self.join(name), message).hint(why);
            return String::new();
        }
        let text = self.text(report, name).unwrap_or_default().trim().to_owned();
        if text.is_empty()
            && let Some(entry) = self.get(name)
            && matches!(entry.value.content, Content::Scalar(_))
            && !entry.value.is_null()
        {
            let message = format!("{} is empty", self.join(name));
            report.add(Code::BadValue, &entry.value.span, &self.join(name), message).hint(why);
        }
        text
    }

    pub(crate) fn bool(&self, report: &mut Report<'_>, name: &str) -> bool {
        let Some(entry) = self.get(name) else { return false };
        if let Content::Scalar(scalar) = &entry.value.content
            && scalar.kind() == Type::Bool
        {
            return scalar.text.eq_ignore_ascii_case("true");
        }
        let message = format!("{}: expected true or false, found {}", self.join(name), entry.value.noun());
        report.add(Code::WrongType, &entry.value.span, &self.join(name), message);
        false
    }

    /// The items of a list.
    pub(crate) fn list(&self, report: &mut Report<'_>, name: &str) -> Vec<&'n Node> {
        self.get(name).map(|entry| items(report, entry.value, &self.join(name))).unwrap_or_default()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, report: &mut Report<'_>, name: &str) -> Vec<(&'n str, &'n Node)> {
        let path = self.join(name);
        let nodes = self.list(report, name);
        nodes.into_iter().filter_map(|node| Some((text(report, node, &path)?, node))).collect()
    }

    /// The entries of a mapping below this one.
    pub(crate) fn map(&self, report: &mut Report<'_>, name: &str) -> Vec<Entry<'n>> {
        self.get(name).map(|entry| entries(report, entry.value, &self.join(name))).unwrap_or_default()
    }
}

/// The text of a node.
pub(crate) fn text<'n>(report: &mut Report<'_>, node: &'n Node, path: &str) -> Option<&'n str> {
    if !usable(report, node, path) {
        return None;
    }
    match &node.content {
        Content::Scalar(scalar) if scalar.kind() != Type::Null => Some(&scalar.text),
        _ => {
            let message = format!("{path}: expected text, found {}", node.noun());
            report.add(Code::WrongType, &node.span, path, message);
            None
        }
    }
}

/// Reports an unknown key; always `false`.
pub(crate) fn unknown(report: &mut Report<'_>, entry: &Entry<'_>, path: &str, known: &[&str]) -> bool {
    let near = suggest::nearest(entry.name, known.iter().map(|name| (*name, &[][..])));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", suggest::list(known)),
    };
    let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    let message = format!("there is no key {}{place}", quoted(entry.name));
    report.add(Code::UnknownKey, &entry.key.span, &join(path, entry.name), message).hint(hint);
    false
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
