//! Reading mappings strictly: every key is known, every value is of its kind, every problem has its place.

use crate::yaml::{Node, Place, Problem, Value, is_key};

pub(in crate::userdata) struct Fields<'a> {
    node: &'a Node,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Checks that a node is a mapping that has only `allowed` keys.
    pub(in crate::userdata) fn new(
        node: &'a Node,
        what: &'static str,
        allowed: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        Self::beside(node, what, allowed, &[], problems)
    }

    /// The same, beside `further` keys that have a meaning, too, but are offered to nobody, such as those that are refused.
    pub(in crate::userdata) fn beside(
        node: &'a Node,
        what: &'static str,
        allowed: &[&str],
        further: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("{what} must be a mapping, but this is {}", node.value.kind());
            problems.push(Problem::new(&node.place, message));
            return None;
        };
        for (key, _) in entries {
            let text = key.text().unwrap_or_default();
            if allowed.contains(&text) || further.contains(&text) {
                continue;
            }
            let nameish = is_key(text);
            let mut message = if nameish {
                format!("{what} has no key `{text}`")
            } else {
                format!("{what} has no such key")
            };
            let nearest = allowed.iter().chain(further).map(|a| (distance(a, text), *a)).min();
            match nearest {
                Some((d, name)) if nameish && d < text.len() && d <= 2.max(name.len() / 3) => {
                    message += &format!("; did you mean `{name}`?");
                }
                _ => message += &format!("; it has {}", list(allowed)),
            }
            problems.push(Problem::new(&key.place, message));
        }
        Some(Fields { node, what })
    }

    /// Where the mapping is.
    pub(in crate::userdata) fn place(&self) -> &'a Place {
        &self.node.place
    }

    /// Refuses each of these keys that asks for something, with the reason.
    pub(in crate::userdata) fn refuse(&self, keys: &[(&str, &str)], problems: &mut Vec<Problem>) {
        for (key, why) in keys {
            let Some(node) = self.node.get(key) else { continue };
            let place = match &node.value {
                Value::Bool(false) => continue,
                Value::List(items) => match items.first() {
                    Some(first) if first.place.path.is_some() => &first.place,
                    Some(_) => &node.place,
                    None => continue,
                },
                Value::Map(entries) if entries.is_empty() => continue,
                Value::Text(text) if text.is_empty() => continue,
                _ => &node.place,
            };
            problems.push(Problem::new(place, format!("`{key}` can't be had here: {why}")));
        }
    }

    /// The value under a key, through a check that says what is wrong with it.
    pub(in crate::userdata) fn checked<T, E: Into<String>>(
        &self,
        key: &str,
        check: impl FnOnce(&'a str) -> Result<T, E>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let (text, place) = self.text(key, problems)?;
        check(text).map_err(|problem| problems.push(Problem::new(place, problem))).ok()
    }

    /// The same for a key that must be there.
    pub(in crate::userdata) fn required_checked<T, E: Into<String>>(
        &self,
        key: &str,
        check: impl FnOnce(&'a str) -> Result<T, E>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let (text, place) = self.required(key, problems)?;
        check(text).map_err(|problem| problems.push(Problem::new(place, problem))).ok()
    }

    /// The texts of a list, each through a check.
    pub(in crate::userdata) fn each<T, E: Into<String>>(
        &self,
        key: &str,
        check: impl Fn(&'a str) -> Result<T, E>,
        problems: &mut Vec<Problem>,
    ) -> Vec<T> {
        let mut out = Vec::new();
        for node in self.list(key, problems) {
            match node.text().map(&check) {
                Some(Ok(value)) => out.push(value),
                Some(Err(problem)) => problems.push(Problem::new(&node.place, problem)),
                None => {
                    let message = format!("this must be text, but it is {}", node.value.kind());
                    problems.push(Problem::new(&node.place, message));
                }
            }
        }
        out
    }

    pub(in crate::userdata) fn node(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key)
    }

    pub(in crate::userdata) fn text(
        &self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(&'a str, &'a Place)> {
        let node = self.node.get(key)?;
        match &node.value {
            Value::Text(text) => Some((text, &node.place)),
            other => {
                let quote = match other {
                    Value::Number(_) | Value::Bool(_) => "; put it in quotes",
                    _ => "",
                };
                let message = format!("`{key}` must be text, but this is {}{quote}", other.kind());
                problems.push(Problem::new(&node.place, message));
                None
            }
        }
    }

    pub(in crate::userdata) fn required(
        &self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(&'a str, &'a Place)> {
        if self.node.get(key).is_none() {
            problems.push(Problem::new(&self.node.place, format!("{} needs `{key}`", self.what)));
        }
        self.text(key, problems)
    }

    pub(in crate::userdata) fn flag(&self, key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
        let node = self.node.get(key)?;
        match node.value {
            Value::Bool(value) => Some(value),
            ref other => {
                let message = format!("`{key}` must be true or false, but this is {}", other.kind());
                problems.push(Problem::new(&node.place, message));
                None
            }
        }
    }

    pub(in crate::userdata) fn list(&self, key: &str, problems: &mut Vec<Problem>) -> &'a [Node] {
        match self.node.get(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                let message = format!("`{key}` must be a list, but this is {}", node.value.kind());
                problems.push(Problem::new(&node.place, message));
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
