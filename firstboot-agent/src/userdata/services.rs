//! Parameters of services that the image has. What they mean is in the image, so only their shape is looked at here.

use twinhull_modules::plan::is_name;

use crate::yaml::{Node, Place, Problem, Value};

/// A service, and what this machine sets of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// As the spec of the image names it.
    pub name: String,
    /// Where the document has it.
    pub place: Place,
    /// What it sets, in the order of the document.
    pub parameters: Vec<Parameter>,
}

/// A parameter with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where the document has it.
    pub place: Place,
    /// The value, with its places.
    pub value: Node,
}

impl Service {
    /// All places, to be marked as those of a part.
    pub(super) fn places(&mut self) -> Vec<&mut Place> {
        let mut out = vec![&mut self.place];
        for parameter in &mut self.parameters {
            out.push(&mut parameter.place);
            below(&mut parameter.value, &mut out);
        }
        out
    }
}

fn below<'n>(node: &'n mut Node, out: &mut Vec<&'n mut Place>) {
    out.push(&mut node.place);
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| below(item, out)),
        Value::Map(entries) => {
            for (key, value) in entries {
                out.push(&mut key.place);
                below(value, out);
            }
        }
        _ => {}
    }
}

pub(super) fn parse(node: &Node, problems: &mut Vec<Problem>) -> Vec<Service> {
    let mut out = Vec::new();
    for (name, service) in named(node, "services", problems) {
        let parameters = named(service, "a service", problems)
            .into_iter()
            .map(|(key, value)| Parameter {
                name: key.text().unwrap_or_default().to_owned(),
                place: key.place.clone(),
                value: value.clone(),
            })
            .collect();
        let place = name.place.clone();
        out.push(Service { name: name.text().unwrap_or_default().to_owned(), place, parameters });
    }
    out
}

/// The entries of a mapping whose keys are names.
fn named<'n>(node: &'n Node, what: &str, problems: &mut Vec<Problem>) -> Vec<(&'n Node, &'n Node)> {
    let Value::Map(entries) = &node.value else {
        if node.value != Value::Null {
            let message = format!("{what} must be a mapping, but this is {}", node.value.kind());
            problems.push(Problem::new(&node.place, message));
        }
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key, value) in entries {
        if key.text().is_some_and(is_name) {
            out.push((key, value));
        } else {
            problems.push(Problem::new(&key.place, format!("{what} has a key that is no name")));
        }
    }
    out
}
