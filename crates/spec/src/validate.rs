//! Compares a tree with the table of keys, reports every difference, and turns what is right into values.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use regex_lite::Regex;
use serde_json::{Map, Number, Value};
use twinhull_sysutil::size;

use crate::schema::keys::SPEC;
use crate::schema::{Choice, Key, Kind, PathKind, Repeat, Text};
use crate::suggest;
use twinhull_source::diagnostic::{Code, Report, quoted};
use twinhull_source::yaml::{Content, Document, Node, Scalar, Type};

/// Checks a document; what is right of it comes back as a value for serde.
pub(crate) fn check(document: &Document, base: Option<&Path>, report: &mut Report<'_>) -> Value {
    let mut walk = Walk { report, base, complete: document.complete, patterns: HashMap::new() };
    match &document.root {
        Some(root) => walk.mapping(SPEC, false, root, &start_of(root), "").unwrap_or_default(),
        None => {
            if document.complete {
                walk.report
                    .add(Code::MissingKey, &(0..0), "", "the spec is empty".into())
                    .hint("it needs at least `image:` with `id` and `version`, and `tree:`");
            }
            Value::Null
        }
    }
}

/// Whether a text is what its kind allows, without saying why not.
pub(crate) fn matches(kind: &Text, text: &str) -> bool {
    text.chars().count() <= kind.max && (kind.explain)(text).is_none() && fits(kind.pattern, text)
}

/// The first key of a mapping, or the node itself: where to point when something is missing.
fn start_of(node: &Node) -> Range<usize> {
    match &node.content {
        Content::Map(entries) => entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone()),
        _ => node.span.clone(),
    }
}

struct Walk<'r, 't, 'b> {
    report: &'r mut Report<'t>,
    base: Option<&'b Path>,
    complete: bool,
    /// Patterns that were needed already: lists use theirs often.
    patterns: HashMap<&'static str, Option<Regex>>,
}

impl Walk<'_, '_, '_> {
    /// Refuses anchors, tags and aliases; `false` when there is no value to look at.
    fn usable(&mut self, node: &Node, path: &str) -> bool {
        if let Some((span, what)) = &node.mark {
            let hint = if *what == "tag" {
                "remove it; put text that looks like a number in quotes"
            } else {
                "write the value where it is used"
            };
            self.report.add(Code::Unsupported, span, path, format!("a spec has no {what}s")).hint(hint);
        }
        if matches!(node.content, Content::Alias) {
            self.report
                .add(Code::Unsupported, &node.span, path, "a spec has no aliases".into())
                .hint("write the value itself");
            return false;
        }
        true
    }

    fn wrong_type(
        &mut self,
        expected: &str,
        node: &Node,
        at: &Range<usize>,
        path: &str,
        hint: Option<String>,
    ) {
        let subject = if path.is_empty() { "the spec" } else { path };
        let message = format!("{subject}: expected {expected}, found {}", node.noun());
        let added = self.report.add(Code::WrongType, at, path, message);
        if let Some(hint) = hint {
            added.hint(hint);
        }
    }

    /// `opened` is where to point when a key is missing.
    fn mapping(
        &mut self,
        keys: &'static [Key],
        one_of: bool,
        node: &Node,
        opened: &Range<usize>,
        path: &str,
    ) -> Option<Value> {
        let none = Vec::new();
        let entries = match &node.content {
            Content::Map(entries) => entries,
            _ if node.is_null() => &none,
            _ => {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                let hint = format!("its keys are {}", suggest::list(&names));
                self.wrong_type("a mapping", node, &node.span, path, Some(hint));
                return None;
            }
        };
        let mut out = Map::new();
        let mut seen: HashMap<&str, &Node> = HashMap::new();
        let mut meant: Vec<&str> = Vec::new();
        let mut chosen: Option<(&str, &Node)> = None;
        for (key_node, value) in entries {
            let Some(name) = self.key_name(key_node, path) else { continue };
            let path = join(path, name);
            if let Some(first) = seen.insert(name, key_node) {
                self.report
                    .add(Code::DuplicateKey, &key_node.span, &path, format!("{path} is there twice"))
                    .related(&first.span, "first here");
                continue;
            }
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                // A key that is only misspelt is not missing as well.
                meant.extend(self.unknown_key(keys, name, key_node, &path));
                continue;
            };
            if one_of {
                match chosen {
                    None => chosen = Some((key.name, key_node)),
                    Some((other, first)) => {
                        let message = format!("{path} and {other} exclude each other: a tree has one source");
                        self.report
                            .add(Code::Conflict, &key_node.span, &path, message)
                            .related(&first.span, "first here");
                    }
                }
            }
            if let Some(value) = self.value(key, value, key_node, &path) {
                out.insert(name.to_owned(), value);
            }
        }
        if self.complete {
            let there = |name: &str| seen.contains_key(name) || meant.contains(&name);
            self.missing(keys, one_of, there, opened, path);
        }
        Some(Value::Object(out))
    }

    fn missing(
        &mut self,
        keys: &'static [Key],
        one_of: bool,
        there: impl Fn(&str) -> bool,
        opened: &Range<usize>,
        path: &str,
    ) {
        let prefix = if path.is_empty() { "the spec".to_owned() } else { format!("{path}:") };
        if one_of && !keys.iter().any(|key| there(key.name)) {
            let names: Vec<_> = keys.iter().map(|key| key.name).collect();
            self.report.add(
                Code::MissingKey,
                opened,
                path,
                format!("{prefix} needs one of {}", suggest::list(&names)),
            );
        }
        for key in keys.iter().filter(|key| key.required() && !there(key.name)) {
            let full = join(path, key.name);
            let message = format!("{prefix} needs the key `{}`", key.name);
            let added = self.report.add(Code::MissingKey, opened, &full, message);
            if let Kind::Text(text) = key.kind {
                added.hint(format!("for example `{}: {}`", key.name, text.example));
            }
        }
    }

    fn key_name<'n>(&mut self, key: &'n Node, path: &str) -> Option<&'n str> {
        if !self.usable(key, path) {
            return None;
        }
        match &key.content {
            Content::Scalar(scalar) if !(scalar.plain && scalar.text.is_empty()) => Some(&scalar.text),
            _ => {
                self.report.add(
                    Code::WrongType,
                    &key.span,
                    path,
                    format!("a key is text, not {}", key.noun()),
                );
                None
            }
        }
    }

    /// Returns the key that was probably meant.
    fn unknown_key(
        &mut self,
        keys: &'static [Key],
        name: &str,
        node: &Node,
        path: &str,
    ) -> Option<&'static str> {
        if self.report.is_full() {
            // Only counted: no need to look for a hint.
            self.report.add(Code::UnknownKey, &node.span, path, String::new());
            return None;
        }
        let place = match path.len().checked_sub(name.len() + 1) {
            Some(parent) => format!(" in `{}:`", path.get(..parent).unwrap_or_default()),
            None => String::new(),
        };
        let message = format!("there is no key {}{place}", quoted(name));
        let names: Vec<_> = keys.iter().map(|key| key.name).collect();
        let near = suggest::nearest(name, keys.iter().map(|key| (key.name, key.aka)));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => match suggest::elsewhere(SPEC, "", name) {
                Some(path) => format!("did you mean {path}?"),
                None => format!("the keys are {}", suggest::list(&names)),
            },
        };
        self.report.add(Code::UnknownKey, &node.span, path, message).hint(hint);
        near
    }

    fn value(&mut self, key: &'static Key, node: &Node, key_node: &Node, path: &str) -> Option<Value> {
        if !self.usable(node, path) {
            return None;
        }
        match &key.kind {
            Kind::Map(keys) => return self.mapping(keys, false, node, &key_node.span, path),
            Kind::OneOf(keys) => return self.mapping(keys, true, node, &key_node.span, path),
            Kind::Maps(keys) => return self.mappings(keys, node, path),
            Kind::Named(name, keys) => return self.named(name, keys, node, path),
            // Their templates know what they may say: see `services`.
            Kind::Services => return None,
            Kind::List(text, repeat) => return self.list(text, *repeat, node, path),
            _ => {}
        }
        let Content::Scalar(scalar) = &node.content else {
            self.wrong_type(key.kind.noun(), node, &node.span, path, None);
            return None;
        };
        let at = self.nothing(scalar, key.kind.noun(), node, &key_node.span, path)?;
        match &key.kind {
            Kind::Text(kind) => self.text(kind, scalar, node, path).map(Value::String),
            Kind::Choice(choices) => self.choice(choices, scalar, at, path),
            Kind::Seconds => self.seconds(scalar, node, path),
            Kind::Size { min, max, why } => self.size((*min, *max), why, scalar, at, path),
            Kind::Path(kind) => self.path(*kind, scalar, at, path),
            Kind::Map(_)
            | Kind::OneOf(_)
            | Kind::Maps(_)
            | Kind::Named(..)
            | Kind::Services
            | Kind::List(..) => None,
        }
    }

    /// Refuses a key without a value; the place of the value otherwise.
    fn nothing<'n>(
        &mut self,
        scalar: &Scalar,
        expected: &str,
        node: &'n Node,
        key: &Range<usize>,
        path: &str,
    ) -> Option<&'n Range<usize>> {
        if scalar.kind() != Type::Null {
            return Some(&node.span);
        }
        let at = if node.span.is_empty() { key } else { &node.span };
        self.wrong_type(expected, node, at, path, Some("give it a value or remove the key".into()));
        None
    }

    /// A mapping from names to mappings.
    fn named(&mut self, name: &'static Text, keys: &'static [Key], node: &Node, path: &str) -> Option<Value> {
        let entries = match &node.content {
            Content::Map(entries) => entries,
            _ if node.is_null() => return Some(Value::Object(Map::new())),
            _ => {
                self.wrong_type("a mapping", node, &node.span, path, None);
                return None;
            }
        };
        let mut out = Map::new();
        for (key, value) in entries {
            if self.key_name(key, path).is_none() {
                continue;
            }
            let Content::Scalar(scalar) = &key.content else { continue };
            let Some(text) = self.text(name, scalar, key, path) else { continue };
            let path = join(path, &text);
            if out.contains_key(&text) {
                self.report.add(Code::DuplicateKey, &key.span, &path, format!("{path} is there twice"));
            } else if self.usable(value, &path)
                && let Some(value) = self.mapping(keys, false, value, &key.span, &path)
            {
                out.insert(text, value);
            }
        }
        Some(Value::Object(out))
    }

    fn mappings(&mut self, keys: &'static [Key], node: &Node, path: &str) -> Option<Value> {
        let items = match &node.content {
            Content::List(items) => items,
            _ if node.is_null() => return Some(Value::Array(Vec::new())),
            _ => {
                let hint = "begin each item with `- `".into();
                self.wrong_type("a list", node, &node.span, path, Some(hint));
                return None;
            }
        };
        let mut out = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{path}[{n}]");
            if self.usable(item, &path) {
                out.extend(self.mapping(keys, false, item, &start_of(item), &path));
            }
        }
        Some(Value::Array(out))
    }

    fn list(&mut self, kind: &'static Text, repeat: Repeat, node: &Node, path: &str) -> Option<Value> {
        let items = match &node.content {
            Content::List(items) => items,
            _ if node.is_null() => return Some(Value::Array(Vec::new())),
            content => {
                let hint = match content {
                    Content::Scalar(scalar) if !scalar.text.is_empty() => {
                        let words: Vec<_> = scalar.text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
                        (scalar.text.len() < 60).then(|| format!("write [{}]", words.join(", ")))
                    }
                    _ => Some("begin each item with `- `".into()),
                };
                self.wrong_type("a list", node, &node.span, path, hint);
                return None;
            }
        };
        let mut out = Vec::new();
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{path}[{n}]");
            if !self.usable(item, &path) {
                continue;
            }
            let Content::Scalar(scalar) = &item.content else {
                self.wrong_type("text", item, &item.span, &path, None);
                continue;
            };
            if self.nothing(scalar, "text", item, &item.span, &path).is_none() {
                continue;
            }
            let Some(text) = self.text(kind, scalar, item, &path) else { continue };
            let same =
                if repeat == Repeat::RefusedLikeModules { text.replace('-', "_") } else { text.clone() };
            if repeat != Repeat::Allowed
                && let Some(first) = seen.get(&same)
            {
                self.report
                    .add(
                        Code::Duplicate,
                        &item.span,
                        &path,
                        format!("{path}: {} is there twice", quoted(&text)),
                    )
                    .related(first, "first here");
                continue;
            }
            seen.insert(same, item.span.clone());
            out.push(Value::String(text));
        }
        Some(Value::Array(out))
    }

    fn text(&mut self, kind: &'static Text, scalar: &Scalar, node: &Node, path: &str) -> Option<String> {
        if scalar.kind() == Type::Bool {
            let hint = format!("put it in quotes if it is meant as text: \"{}\"", scalar.text);
            self.wrong_type("text", node, &node.span, path, Some(hint));
            return None;
        }
        let text = &scalar.text;
        if text.is_empty() {
            self.report
                .add(Code::BadValue, &node.span, path, format!("{path} is empty"))
                .hint(format!("{}, for example {}", kind.words, kind.example));
            return None;
        }
        if let Some(problem) = (kind.explain)(text) {
            let code = if problem.reserved { Code::Reserved } else { Code::BadValue };
            let hint = problem.hint.unwrap_or_else(|| described(kind));
            let value = if problem.secret { "the value".into() } else { quoted(text) };
            if problem.secret {
                self.report.hide(&node.span);
            }
            self.report
                .add(code, &node.span, path, format!("{path}: {value} {}", problem.message))
                .hint(hint);
            return None;
        }
        let length = text.chars().count();
        if length > kind.max {
            let message =
                format!("{path}: {} has {length} characters; {} are allowed", quoted(text), kind.max);
            self.report.add(Code::TooLong, &node.span, path, message);
            return None;
        }
        let pattern = self.patterns.entry(kind.pattern).or_insert_with(|| Regex::new(kind.pattern).ok());
        if !pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
            let message = format!("{path}: {} is not {}", quoted(text), kind.noun);
            self.report.add(Code::BadValue, &node.span, path, message).hint(described(kind));
            return None;
        }
        Some(text.clone())
    }

    fn choice(
        &mut self,
        choices: &[Choice],
        scalar: &Scalar,
        at: &Range<usize>,
        path: &str,
    ) -> Option<Value> {
        if choices.iter().any(|choice| choice.name == scalar.text) {
            return Some(Value::String(scalar.text.clone()));
        }
        let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
        let hint = match suggest::nearest(&scalar.text, choices.iter().map(|c| (c.name, c.aka))) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", suggest::list(&names)),
        };
        let message = format!("{path}: {} is not one of {}", quoted(&scalar.text), suggest::list(&names));
        self.report.add(Code::UnknownValue, at, path, message).hint(hint);
        None
    }

    fn seconds(&mut self, scalar: &Scalar, node: &Node, path: &str) -> Option<Value> {
        if scalar.kind() != Type::Number {
            let hint = match scalar.text.parse::<u64>() {
                Ok(_) => "remove the quotes",
                Err(_) => "write seconds since 1970; `date +%s -d DATE` says them",
            };
            self.wrong_type("a whole number", node, &node.span, path, Some(hint.into()));
            return None;
        }
        match scalar.text.parse::<i64>() {
            Ok(seconds) if seconds >= 0 => Some(Value::Number(Number::from(seconds))),
            Ok(_) => {
                let message = format!("{path}: {} is before 1970", scalar.text);
                self.report.add(Code::BadValue, &node.span, path, message);
                None
            }
            Err(_) => {
                let message = format!("{path}: {} is not a whole number of seconds", quoted(&scalar.text));
                self.report.add(Code::BadValue, &node.span, path, message);
                None
            }
        }
    }

    fn size(
        &mut self,
        (min, max): (u64, u64),
        why: &str,
        scalar: &Scalar,
        at: &Range<usize>,
        path: &str,
    ) -> Option<Value> {
        let text = &scalar.text;
        let bytes = match size::parse(text) {
            Ok(bytes) if fits_size(text) => bytes,
            Ok(_) | Err(_) => {
                let upper = text.to_ascii_uppercase().replace("IB", "iB").replace(' ', "");
                let message = format!("{path}: {} is not a size", quoted(text));
                let hint = match size::parse(&upper) {
                    Ok(_) if fits_size(&upper) => format!("write {upper}"),
                    _ => "write a whole number with K, M, G or T behind it, for example 512M or 2G".into(),
                };
                self.report.add(Code::BadValue, at, path, message).hint(hint);
                return None;
            }
        };
        if bytes < min {
            let message = format!("{path}: {} is too small: {why}", quoted(text));
            self.report
                .add(Code::BadValue, at, path, message)
                .hint(format!("write at least {}", short_size(min)));
            return None;
        }
        if bytes > max {
            let message = format!("{path}: {} is more than {}", quoted(text), short_size(max));
            self.report.add(Code::BadValue, at, path, message);
            return None;
        }
        Some(Value::String(text.clone()))
    }

    fn path(&mut self, kind: PathKind, scalar: &Scalar, at: &Range<usize>, path: &str) -> Option<Value> {
        let text = &scalar.text;
        if text.is_empty() || text.contains('\0') {
            let message = format!("{path}: {} is not a path", quoted(text));
            self.report.add(Code::BadValue, at, path, message);
            return None;
        }
        if let Some(base) = self.base {
            let (code, message, hint) = match (fs_err::metadata(base.join(text)), kind) {
                (Ok(found), PathKind::File) if found.is_dir() => {
                    let hint = if path == "tree.tar" { "write it as tree.dir" } else { "name a file in it" };
                    (Code::WrongType, "is a folder, not a file".to_owned(), hint)
                }
                (Ok(found), PathKind::Dir) if !found.is_dir() => {
                    let hint =
                        if path == "tree.dir" { "write an archive as tree.tar" } else { "name its folder" };
                    (Code::WrongType, "is not a folder".to_owned(), hint)
                }
                (Ok(_), _) => return Some(Value::String(text.clone())),
                (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {
                    (Code::NotFound, "does not exist".to_owned(), "paths start at the spec's folder")
                }
                (Err(error), _) => {
                    let cause =
                        std::error::Error::source(&error).map_or(error.to_string(), |e| e.to_string());
                    (Code::NotFound, format!("can't be read: {cause}"), "paths start at the spec's folder")
                }
            };
            self.report.add(code, at, path, format!("{path}: {} {message}", quoted(text))).hint(hint);
            return None;
        }
        Some(Value::String(text.clone()))
    }
}

/// Sizes as the reference and the JSON Schema describe them; [`size::parse`] is a little more generous.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+([KMGT](iB|B)?)?$";

fn fits_size(text: &str) -> bool {
    fits(SIZE_PATTERN, text)
}

fn fits(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

/// A size that has few digits: `34M`.
pub(crate) fn short_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

fn described(kind: &Text) -> String {
    format!("allowed: {}; for example {}", kind.words, kind.example)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
