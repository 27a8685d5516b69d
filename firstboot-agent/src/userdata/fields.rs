//! Reading mappings strictly: every key is known, every value is of its kind, every problem has its place.

use crate::yaml::{Node, Place, Problem, Value};

pub(super) struct Fields<'a> {
    node: &'a Node,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Checks that a node is a mapping that has only `allowed` keys.
    pub(super) fn new(
        node: &'a Node,
        what: &'static str,
        allowed: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("{what} must be a mapping, but this is {}", node.value.kind());
            problems.push(Problem::new(node.place, message));
            return None;
        };
        for (key, _) in entries {
            let text = key.text().unwrap_or_default();
            if allowed.contains(&text) {
                continue;
            }
            // A wrongly indented secret may end up as a key: only what looks like a name is shown.
            let nameish = !text.is_empty()
                && text.len() <= 24
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            let mut message = if nameish {
                format!("{what} has no key `{text}`")
            } else {
                format!("{what} has no such key")
            };
            let nearest = allowed.iter().map(|a| (distance(a, text), *a)).min();
            match nearest {
                Some((d, name)) if nameish && d <= 2.max(name.len() / 3) => {
                    message += &format!("; did you mean `{name}`?");
                }
                _ => message += &format!("; it has {}", list(allowed)),
            }
            problems.push(Problem::new(key.place, message));
        }
        Some(Fields { node, what })
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key)
    }

    pub(super) fn text(&self, key: &str, problems: &mut Vec<Problem>) -> Option<(&'a str, Place)> {
        let node = self.node.get(key)?;
        match &node.value {
            Value::Text(text) => Some((text, node.place)),
            other => {
                let quote = match other {
                    Value::Number(_) | Value::Bool(_) => "; put it in quotes",
                    _ => "",
                };
                let message = format!("`{key}` must be text, but this is {}{quote}", other.kind());
                problems.push(Problem::new(node.place, message));
                None
            }
        }
    }

    pub(super) fn required(&self, key: &str, problems: &mut Vec<Problem>) -> Option<(&'a str, Place)> {
        if self.node.get(key).is_none() {
            problems.push(Problem::new(self.node.place, format!("{} needs `{key}`", self.what)));
        }
        self.text(key, problems)
    }

    pub(super) fn flag(&self, key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
        let node = self.node.get(key)?;
        match node.value {
            Value::Bool(value) => Some(value),
            ref other => {
                let message = format!("`{key}` must be true or false, but this is {}", other.kind());
                problems.push(Problem::new(node.place, message));
                None
            }
        }
    }

    pub(super) fn list(&self, key: &str, problems: &mut Vec<Problem>) -> &'a [Node] {
        match self.node.get(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                let message = format!("`{key}` must be a list, but this is {}", node.value.kind());
                problems.push(Problem::new(node.place, message));
                &[]
            }
        }
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
