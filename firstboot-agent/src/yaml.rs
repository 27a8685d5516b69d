//! YAML as a tree that knows where everything stood.
//!
//! Metadata of clouds must be read with patience and user data with none, and both want "line 3, column 7"
//! in what they say. So documents become [`Node`]s here, under budgets that a hostile one can't exceed, and
//! the readers take it from there. This is the only file that knows which YAML crate is used.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Where something stood: line and column from 1 or, in JSON, the path of keys that leads there.
///
/// They sort in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Part of a message that has several, from 1.
    pub part: u32,
    /// Line.
    pub line: u64,
    /// Column; in JSON, where there are no lines, how many values came before.
    pub column: u64,
    /// The way through a JSON document.
    pub path: Option<Arc<Step>>,
}

/// A key or an index, and what it is below. Values share the steps above them, so paths cost next to nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// What this is below.
    pub above: Option<Arc<Step>>,
    /// The last step.
    pub name: Name,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A key, as far as it can be shown.
    Key(Box<str>),
    /// An item of a list, from 0.
    Index(usize),
}

impl Place {
    /// A line and a column.
    pub fn new(line: u64, column: u64) -> Self {
        Place { line, column, ..Place::default() }
    }

    /// As people say it.
    pub fn spoken(&self) -> String {
        match (self.part, self.line) {
            (_, 0) => self.to_string(),
            (0, line) => format!("line {line}, column {}", self.column),
            (part, line) => format!("part {part}, line {line}, column {}", self.column),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.part > 0 {
            write!(f, "part {}, ", self.part)?;
        }
        match &self.path {
            Some(path) => path.fmt(f),
            None if self.line > 0 => write!(f, "{}:{}", self.line, self.column),
            None => f.write_str("the document"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = &self.above {
            above.fmt(f)?;
        }
        match &self.name {
            Name::Key(key) if self.above.is_some() => write!(f, ".{key}"),
            Name::Key(key) => f.write_str(key),
            Name::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Whether a key looks like one. A wrongly indented secret may end up as a key, and isn't shown then.
pub fn is_key(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 32 && text.bytes().all(good)
}

/// Something wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, as a sentence that doesn't quote values: they may be secrets.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: impl Borrow<Place>, message: impl Into<String>) -> Self {
        Problem { place: place.borrow().clone(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A value and where it stood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Where the value began.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What a node can be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as decimal text.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the document.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The value under a key, when this is a mapping that has it and it isn't null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else { return None };
        let (_, value) = entries
            .iter()
            .find(|(k, _)| matches!(&k.value, Value::Text(t) | Value::Number(t) if t == key))?;
        (value.value != Value::Null).then_some(value)
    }

    /// Text; a number counts as its digits.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }

    /// The text under a key.
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// Whether the value under a key is true; clouds also quote it.
    pub fn flag_at(&self, key: &str) -> Option<bool> {
        match &self.get(key)?.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a list; of anything else but null, itself alone.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The items under a key.
    pub fn items_at(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::items)
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// Reads one YAML document of at most `limit` bytes. An empty one is null.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Node, Problem> {
    let start = Place::new(1, 1);
    if bytes.len() > limit {
        return Err(Problem::new(start, format!("it has {} bytes; {limit} are the most", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() as u64 + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() as u64 + 1;
        Problem::new(Place::new(line, column), "it isn't UTF-8 text from here on")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(Node { place: start, value: Value::Null });
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|e| {
        let place = e.location().map_or(start.clone(), |l| Place::new(l.line(), l.column()));
        let message = e.without_snippet().render();
        let first = message.lines().next().unwrap_or("it isn't YAML");
        Problem::new(place, format!("this isn't valid YAML: {}", printable(first)))
    })
}

fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::options! {
        with_snippet: false,
        leading_zero_numbers_as_strings: true,
    };
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = 32;
    budget.max_nodes = 20_000;
    budget.max_events = 60_000;
    budget.max_aliases = 200;
    budget.max_anchors = 200;
    budget.max_documents = 1;
    budget.max_total_scalar_bytes = 2 << 20;
    budget.max_recorded_anchor_events = 20_000;
    budget.max_recorded_anchor_bytes = 2 << 20;
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 20_000;
    options
}

/// Text for one line of a console: no control characters, not endless.
pub fn printable(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(400).collect();
    if text.chars().count() > 400 {
        out.push('…');
    }
    out
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<Value>::deserialize(deserializer)?;
        let place = Place::new(spanned.referenced.line(), spanned.referenced.column());
        Ok(Node { place, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_document() {
        let node = parse(b"a: 1\nb:\n  - x\n  - mode: 0644\n    big: 123456789012345678901\n", 1000).unwrap();
        assert_eq!(node.text_at("a"), Some("1"));
        let items = node.items_at("b");
        assert_eq!(items[0].place, Place::new(3, 5));
        let mode = items[1].get("mode").unwrap();
        assert_eq!((mode.text(), mode.place.clone()), (Some("0644"), Place::new(4, 11)));
        assert_eq!(items[1].entries()[0].0.place, Place::new(4, 5));
        assert!(matches!(mode.value, Value::Text(_)));
    }

    #[test]
    fn odd_documents() {
        for (bytes, want) in [
            (&b""[..], None),
            (b"  \n# only a comment\n", None),
            (b"a: [1, 2", Some("isn't valid YAML")),
            (b"a: 1\na: 2\n", Some("isn't valid YAML")),
            (b"a: \xff", Some("UTF-8")),
            (b"- 1\n---\n- 2\n", Some("isn't valid YAML")),
        ] {
            let message = parse(bytes, 1000).err().map(|p| p.to_string());
            match want {
                None => assert_eq!(message, None),
                Some(want) => assert!(message.as_ref().is_some_and(|m| m.contains(want)), "{message:?}"),
            }
        }
        assert!(parse(&[b'a'; 11], 10).unwrap_err().message.contains("11 bytes"));
        assert_eq!(parse(b"a: \xff", 10).unwrap_err().place, Place::new(1, 4));
    }

    #[test]
    fn bombs_are_errors() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let items = vec![format!("*a{}", i - 1); 10].join(", ");
            laughs += &format!("a{i}: &a{i} [{items}]\n");
        }
        assert!(parse(laughs.as_bytes(), 1 << 20).is_err());
        assert!(parse("[".repeat(100_000).as_bytes(), 1 << 20).is_err());
        assert!(parse("- ".repeat(100_000).as_bytes(), 1 << 20).is_err());
        assert!(parse("? ".repeat(100_000).as_bytes(), 1 << 20).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 1 << 20);
        }

        #[test]
        fn never_panics_on_yaml_characters(text in "[-a-b:\\[\\]{}#&*!|>'\"%@`?,0-9 \n\t]{0,120}") {
            let _ = parse(text.as_bytes(), 1 << 20);
        }
    }
}
