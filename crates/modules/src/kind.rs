//! What a parameter may hold. Specs, defaults and examples of modules are all checked by this, so that none of
//! them can be right by another rule than the others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use regex_lite::Regex;
use serde_json::{Map, Number, Value, json};
use twinhull_source::yaml::{Content, Node, Scalar, Type};
use twinhull_source::{Code, Report, quoted, suggest};

use crate::format::Format;
use crate::secret;

/// Most characters of any text.
const TEXT_MAX: usize = 4096;
/// Most items of a list or map.
const ITEMS_MAX: usize = 1000;

/// The only key of a value that names a service. No name of a map has such a character.
pub(crate) const REFERENCE: &str = "$service";

/// The type of a parameter.
#[derive(Debug, Clone)]
pub enum Kind {
    /// One line of text, which matches the pattern if there is one.
    Text(Option<Regex>),
    /// Several lines of text.
    Lines,
    /// A whole number.
    Integer(i64, i64),
    /// A number.
    Float(f64, f64),
    /// `true` or `false`.
    Bool,
    /// One of a few words, each with what it means.
    Enum(Vec<(String, String)>),
    /// Text with a well-known form.
    Format(Format),
    /// The name of a service made from one of these templates.
    Reference(Vec<String>),
    /// Items of one type.
    List(Box<Kind>),
    /// Names with values of one type.
    Map(Box<Kind>),
    /// A value of any of these types.
    Union(Vec<Kind>),
}

impl Kind {
    /// With its article: `a port`.
    pub fn noun(&self) -> String {
        match self {
            Kind::Text(_) => "text".into(),
            Kind::Lines => "text, also of several lines".into(),
            Kind::Integer(i64::MIN, i64::MAX) => "a whole number".into(),
            Kind::Integer(min, i64::MAX) => format!("a whole number from {min}"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Float(min, max) if min.is_finite() && max.is_finite() => {
                format!("a number from {min} to {max}")
            }
            Kind::Float(..) => "a number".into(),
            Kind::Bool => "true or false".into(),
            Kind::Enum(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| word.as_str()).collect();
                format!("one of {}", suggest::list(&words))
            }
            Kind::Format(format) => format.noun().into(),
            Kind::Reference(to) => format!("the name of a service of {}", to.join(" or ")),
            Kind::List(of) => format!("a list, each item {}", of.noun()),
            Kind::Map(of) => format!("a mapping of names, each with {}", of.noun()),
            Kind::Union(kinds) => kinds.iter().map(Kind::noun).collect::<Vec<_>>().join(", or "),
        }
    }

    /// Whether a value of this type can name other services.
    pub fn refers(&self) -> bool {
        match self {
            Kind::Reference(_) => true,
            Kind::List(of) | Kind::Map(of) => of.refers(),
            Kind::Union(kinds) => kinds.iter().any(Kind::refers),
            _ => false,
        }
    }

    /// Whether this is the place for the name of a credential.
    pub fn is_credential(&self) -> bool {
        match self {
            Kind::Format(Format::Credential) => true,
            Kind::List(of) | Kind::Map(of) => of.is_credential(),
            Kind::Union(kinds) => kinds.iter().any(Kind::is_credential),
            _ => false,
        }
    }

    /// As a JSON Schema, for editors.
    pub fn schema(&self) -> Value {
        match self {
            Kind::Text(None) => json!({ "type": ["string", "number"], "maxLength": TEXT_MAX }),
            Kind::Text(Some(pattern)) => json!({ "type": ["string", "number"], "pattern": pattern.as_str() }),
            Kind::Lines => json!({ "type": ["string", "number"], "maxLength": TEXT_MAX }),
            Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Kind::Float(min, max) if min.is_finite() && max.is_finite() => {
                json!({ "type": "number", "minimum": min, "maximum": max })
            }
            Kind::Float(..) => json!({ "type": "number" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Enum(words) => json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
            Kind::Format(Format::Port) => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
            Kind::Format(format) => match format.pattern() {
                Some(pattern) => {
                    json!({ "type": ["string", "number"], "pattern": pattern, "examples": [format.example()] })
                }
                None => json!({ "type": ["string", "number"], "examples": [format.example()] }),
            },
            Kind::Reference(_) => json!({ "type": ["string", "number"] }),
            Kind::List(of) => json!({ "type": ["array", "null"], "items": of.schema() }),
            Kind::Map(of) => json!({ "type": ["object", "null"], "additionalProperties": of.schema() }),
            Kind::Union(kinds) => json!({ "anyOf": kinds.iter().map(Kind::schema).collect::<Vec<_>>() }),
        }
    }

    /// Whether the node has the outer shape of a value: what a union's mistakes are about.
    fn fits_shape(&self, node: &Node) -> bool {
        match (self, &node.content) {
            (Kind::List(_), Content::List(_)) | (Kind::Map(_), Content::Map(_)) => true,
            (Kind::List(_) | Kind::Map(_), _) => false,
            (Kind::Union(kinds), _) => kinds.iter().any(|kind| kind.fits_shape(node)),
            (_, content) => matches!(content, Content::Scalar(_)),
        }
    }
}

/// Checks values against types. What is wrong goes into the report.
#[derive(Debug)]
pub struct Check<'r, 't, 's> {
    /// Where mistakes go.
    pub report: &'r mut Report<'t>,
    /// The services there are, with their templates.
    pub services: &'s BTreeMap<String, String>,
    /// The folder of the spec; without it, files beside it are not looked for.
    pub base: Option<&'s Path>,
}

impl Check<'_, '_, '_> {
    /// The value in `node` when it is a `kind`; `at` is the place of its key, for a value that isn't there.
    pub fn value(&mut self, kind: &Kind, node: &Node, at: &Range<usize>, path: &str) -> Option<Value> {
        if !usable(self.report, node, path) {
            return None;
        }
        match (kind, &node.content) {
            (Kind::Union(kinds), _) => self.union(kind, kinds, node, at, path),
            (Kind::List(of), Content::List(items)) => {
                self.bounded(items.len(), node, path)?;
                let values: Vec<_> = (items.iter().enumerate())
                    .map(|(n, item)| self.value(of, item, &item.span, &format!("{path}[{n}]")))
                    .collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            (Kind::Map(of), Content::Map(entries)) => {
                self.bounded(entries.len(), node, path)?;
                self.entries(of, entries, path)
            }
            (Kind::List(_) | Kind::Map(_), _) => self.wrong_type(kind, node, at, path),
            (_, Content::Scalar(scalar)) if scalar.kind() != Type::Null => {
                self.scalar(kind, scalar, node, path)
            }
            _ => self.wrong_type(kind, node, at, path),
        }
    }

    fn entries(&mut self, of: &Kind, entries: &[(Node, Node)], path: &str) -> Option<Value> {
        let mut out = Map::new();
        let mut good = true;
        for (key, value) in entries {
            let Some(name) = key_text(self.report, key, path) else {
                good = false;
                continue;
            };
            let path = format!("{path}.{name}");
            let is_name = name.len() <= 128
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c))
                && !name.is_empty();
            if !is_name {
                self.bad(
                    key,
                    &path,
                    format!("{} is not a name", quoted(name)),
                    "letters, digits and `_-./:`",
                );
                good = false;
                continue;
            }
            match self.value(of, value, &key.span, &path) {
                Some(value) => {
                    if out.insert(name.to_owned(), value).is_some() {
                        self.report.add(
                            Code::DuplicateKey,
                            &key.span,
                            &path,
                            format!("{path} is there twice"),
                        );
                        good = false;
                    }
                }
                None => good = false,
            }
        }
        good.then_some(Value::Object(out))
    }

    fn union(
        &mut self,
        kind: &Kind,
        kinds: &[Kind],
        node: &Node,
        at: &Range<usize>,
        path: &str,
    ) -> Option<Value> {
        for kind in kinds {
            let mut trial = Report::new("");
            let found = Check { report: &mut trial, services: self.services, base: self.base }
                .value(kind, node, at, path);
            if found.is_some() {
                return found;
            }
        }
        // With one type of this shape, that one was meant, and what is wrong with it helps most.
        let mut meant = kinds.iter().filter(|kind| kind.fits_shape(node));
        match (meant.next(), meant.next()) {
            (Some(only), None) => self.value(only, node, at, path),
            _ => self.wrong_type(kind, node, at, path),
        }
    }

    fn bounded(&mut self, count: usize, node: &Node, path: &str) -> Option<()> {
        if count <= ITEMS_MAX {
            return Some(());
        }
        let message = format!("{path} has {count} items; {ITEMS_MAX} are allowed");
        self.report.add(Code::TooLong, &node.span, path, message);
        None
    }

    fn wrong_type(&mut self, kind: &Kind, node: &Node, at: &Range<usize>, path: &str) -> Option<Value> {
        let place = if node.span.is_empty() { at } else { &node.span };
        let found = match &node.content {
            Content::Scalar(scalar) if scalar.kind() != Type::Null => quoted(&scalar.text),
            _ => node.noun().to_owned(),
        };
        let message = format!("{path}: expected {}, found {found}", kind.noun());
        let added = self.report.add(Code::WrongType, place, path, message);
        let hint = match (kind, &node.content) {
            _ if node.is_null() => "give it a value or remove the key".into(),
            (Kind::List(_), Content::Scalar(scalar)) if scalar.text.len() < 60 => {
                format!("write [{}]", scalar.text)
            }
            _ => return None,
        };
        added.hint(hint);
        None
    }

    fn bad(&mut self, node: &Node, path: &str, message: String, hint: &str) -> Option<Value> {
        self.report
            .add(Code::BadValue, &node.span, path, format!("{path}: {message}"))
            .hint(format!("allowed: {hint}"));
        None
    }

    fn scalar(&mut self, kind: &Kind, scalar: &Scalar, node: &Node, path: &str) -> Option<Value> {
        let text = &scalar.text;
        if let Some(what) = secret::looks_like(text) {
            self.report.hide(&node.span);
            let message =
                format!("{path}: the value looks like {what}, and everybody could read it in the image");
            self.report.add(Code::BadValue, &node.span, path, message).hint(if kind.is_credential() {
                "write the name of a credential, and give the machine its content through user data"
            } else {
                "let the service read it from a credential"
            });
            return None;
        }
        match kind {
            Kind::Bool => match (scalar.kind(), text.as_str()) {
                (Type::Bool, text) => Some(Value::Bool(text.eq_ignore_ascii_case("true"))),
                (_, "yes" | "on") => self.word(node, path, text, "true or false", "write true"),
                (_, "no" | "off") => self.word(node, path, text, "true or false", "write false"),
                _ => self.wrong_type(kind, node, &node.span, path),
            },
            Kind::Integer(min, max) => match (scalar.kind(), text.parse::<i64>()) {
                (Type::Number, Ok(number)) if (*min..=*max).contains(&number) => Some(json!(number)),
                (Type::Number, _) => self.word(node, path, text, &kind.noun(), ""),
                _ => self.wrong_type(kind, node, &node.span, path),
            },
            Kind::Float(min, max) => match (scalar.kind(), text.parse::<f64>()) {
                (Type::Number, Ok(number)) if (*min..=*max).contains(&number) => {
                    Number::from_f64(number).map(Value::Number)
                }
                (Type::Number, _) => self.word(node, path, text, &kind.noun(), ""),
                _ => self.wrong_type(kind, node, &node.span, path),
            },
            Kind::Enum(words) => {
                if words.iter().any(|(word, _)| word == text) {
                    return Some(json!(text));
                }
                let near = suggest::nearest(text, words.iter().map(|(word, _)| (word.as_str(), &[][..])));
                let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let message = format!("{path}: {} is not {}", quoted(text), kind.noun());
                let added = self.report.add(Code::UnknownValue, &node.span, path, message);
                if !hint.is_empty() {
                    added.hint(hint);
                }
                None
            }
            Kind::Reference(to) => self.reference(to, text, node, path),
            Kind::Format(Format::Port) if scalar.kind() == Type::Number => match text.parse::<u16>() {
                Ok(port) if port > 0 => Some(json!(port)),
                _ => self.word(node, path, text, "a port", "write a number from 1 to 65535"),
            },
            Kind::Format(Format::Port) => self.wrong_type(kind, node, &node.span, path),
            Kind::Format(Format::Local) if self.base.is_some_and(|base| !base.join(text).exists()) => {
                let message = format!("{path}: there is no file or folder {}", quoted(text));
                self.report
                    .add(Code::NotFound, &node.span, path, message)
                    .hint("paths start at the spec's folder");
                None
            }
            Kind::Format(format) => match format.problem(text) {
                None => Some(json!(text)),
                Some(hint) => self.word(node, path, text, format.noun(), &hint),
            },
            Kind::Text(_) if scalar.kind() == Type::Bool => {
                self.wrong_type(kind, node, &node.span, path);
                None
            }
            Kind::Text(_) | Kind::Lines => self.text(kind, text, node, path),
            Kind::List(_) | Kind::Map(_) | Kind::Union(_) => None,
        }
    }

    fn text(&mut self, kind: &Kind, text: &str, node: &Node, path: &str) -> Option<Value> {
        let length = text.chars().count();
        if length > TEXT_MAX {
            let message = format!("{path} has {length} characters; {TEXT_MAX} are allowed");
            self.report.add(Code::TooLong, &node.span, path, message);
            return None;
        }
        let lines = matches!(kind, Kind::Lines);
        // In a unit or a configuration file a line break would begin another setting.
        if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\t'))) {
            return self.bad(node, path, "has line breaks or control characters".into(), "one line of text");
        }
        if let Kind::Text(Some(pattern)) = kind
            && !pattern.is_match(text)
        {
            let hint = format!("text that matches {}", pattern.as_str());
            return self.bad(node, path, format!("{} is not allowed", quoted(text)), &hint);
        }
        Some(json!(text))
    }

    fn word(&mut self, node: &Node, path: &str, text: &str, noun: &str, hint: &str) -> Option<Value> {
        let message = format!("{path}: {} is not {noun}", quoted(text));
        let added = self.report.add(Code::BadValue, &node.span, path, message);
        if !hint.is_empty() {
            added.hint(hint);
        }
        None
    }

    fn reference(&mut self, to: &[String], text: &str, node: &Node, path: &str) -> Option<Value> {
        match self.services.get(text) {
            Some(template) if to.contains(template) => Some(json!({ REFERENCE: text })),
            Some(template) => {
                let message = format!(
                    "{path}: {} is a {template}; a service of {} is needed",
                    quoted(text),
                    to.join(" or ")
                );
                let added = self.report.add(Code::WrongType, &node.span, path, message);
                if let Some((name, _)) = self.services.iter().find(|(_, template)| to.contains(template)) {
                    added.hint(format!("`{name}` is one"));
                }
                None
            }
            None => {
                let fitting = || self.services.iter().filter(|(_, template)| to.contains(template));
                let near = suggest::nearest(text, fitting().map(|(name, _)| (name.as_str(), &[][..])));
                let names: Vec<_> = fitting().map(|(name, _)| name.as_str()).collect();
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => format!("add a service with `template: {}`", to[0]),
                    None => format!("there are {}", suggest::list(&names)),
                };
                let message = format!("{path}: there is no service {}", quoted(text));
                self.report.add(Code::NotFound, &node.span, path, message).hint(hint);
                None
            }
        }
    }
}

/// Refuses anchors, tags and aliases.
pub fn usable(report: &mut Report<'_>, node: &Node, path: &str) -> bool {
    if let Some((span, what)) = &node.mark {
        report.add(Code::Unsupported, span, path, format!("{what}s are not used here"));
        return false;
    }
    if matches!(node.content, Content::Alias) {
        report
            .add(Code::Unsupported, &node.span, path, "aliases are not used here".into())
            .hint("write the value itself");
        return false;
    }
    true
}

/// The text of a key.
pub fn key_text<'n>(report: &mut Report<'_>, key: &'n Node, path: &str) -> Option<&'n str> {
    if !usable(report, key, path) {
        return None;
    }
    match &key.content {
        Content::Scalar(scalar) => Some(&scalar.text),
        _ => {
            report.add(Code::WrongType, &key.span, path, format!("a key is text, not {}", key.noun()));
            None
        }
    }
}
