//! JSON as the same tree that YAML becomes, under budgets that a hostile document can't exceed.
//!
//! JSON that isn't YAML exists (tabs, surrogate pairs, long keys), so it has a reader of its own. Its nodes
//! don't know their lines, but the path of keys that leads to them, which is what people know JSON by. A
//! document that isn't JSON has a line.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::yaml::{Name, Node, Place, Problem, Step, Value, is_key, printable};

/// The most values in a document.
const NODES: usize = 20_000;

/// The most lists and objects around a value.
const DEPTH: usize = 32;

/// Reads one JSON document of at most `limit` bytes. An empty one is null.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Node, Problem> {
    let start = Place::new(1, 1);
    if bytes.len() > limit {
        return Err(Problem::new(start, format!("it has {} bytes; {limit} are the most", bytes.len())));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Node::default());
    }
    let left = Cell::new(NODES);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let node = Reader { left: &left, depth: DEPTH, path: None }.deserialize(&mut reader);
    node.and_then(|node| reader.end().map(|()| node)).map_err(|e| {
        let text = e.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        let place = Place::new(e.line() as u64, e.column() as u64);
        Problem::new(place, format!("this isn't valid JSON: {}", printable(text)))
    })
}

/// A document that must be an object.
pub fn object(node: Node) -> Result<Node, String> {
    match node.value {
        Value::Map(_) => Ok(node),
        _ => Err(format!("it should be an object, but it is {}", node.value.kind())),
    }
}

#[derive(Clone)]
struct Reader<'a> {
    left: &'a Cell<usize>,
    depth: usize,
    path: Option<Arc<Step>>,
}

impl Reader<'_> {
    fn below<E: Error>(&self, name: Name) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too many levels"))?;
        let path = Some(Arc::new(Step { above: self.path.clone(), name }));
        Ok(Reader { depth, path, left: self.left })
    }

    fn place(&self) -> Place {
        let column = (NODES - self.left.get()) as u64;
        Place { column, path: self.path.clone(), ..Place::default() }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        let place = self.place();
        let value = deserializer.deserialize_any(self)?;
        Ok(Node { place, value })
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
        while let Some(item) = access.next_element_seed(self.below(Name::Index(items.len()))?)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = access.next_key::<String>()? {
            // Readers differ in which of two they take.
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("a key is there twice"));
            }
            let shown = if is_key(&key) { key.as_str() } else { "?" };
            let inner = self.below(Name::Key(shown.into()))?;
            let key = Node { place: inner.place(), value: Value::Text(key) };
            entries.push((key, access.next_value_seed(inner)?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let text = "{\"a\":\t1, \"b\": [true, null, -2, \"\\ud83d\\ude00\"], \"big\": 18446744073709551615}";
        let node = parse(text.as_bytes(), 1000).unwrap();
        assert_eq!(node.text_at("a"), Some("1"));
        assert_eq!(node.text_at("big"), Some("18446744073709551615"));
        assert_eq!(node.items_at("b")[3].text(), Some("😀"));
        assert_eq!(parse(b" \n", 10), Ok(Node::default()));
        assert_eq!(node.items_at("b")[3].place.to_string(), "b[3]");
        assert!(node.items_at("b")[3].place < node.get("big").unwrap().place);
        for (bytes, want) in [
            (&b"{\"a\":1,\"a\":2}"[..], "a key is there twice"),
            (b"{\"a\": s3cret", "1:7: this isn't valid JSON: expected value"),
            (b"{} {}", "1:4: this isn't valid JSON: trailing characters"),
            (b"\"\xff\"", "invalid unicode"),
            (b"<html>", "1:1: this isn't valid JSON"),
        ] {
            let message = parse(bytes, 100).unwrap_err().to_string();
            assert!(message.contains(want) && !message.contains("s3cret"), "{message}");
        }
        assert!(parse(b"[1]", 2).is_err());
        assert!(parse("[".repeat(100_000).as_bytes(), 1 << 20).is_err());
        let many = format!("[{}1]", "1,".repeat(NODES));
        assert!(parse(many.as_bytes(), 1 << 20).unwrap_err().message.contains("too many values"));
        let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        assert!(parse(deep.as_bytes(), 1 << 20).unwrap_err().message.contains("too many levels"));
        assert!(parse(&deep.as_bytes()[1..deep.len() - 1], 1 << 20).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 1 << 20);
        }
    }
}
