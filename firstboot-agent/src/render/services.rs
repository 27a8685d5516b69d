//! Parameters that user data set of the image's services: planned with the code that checked the image's spec, and what
//! becomes different is written to /etc.

use twinhull_modules::machine::{Baked, PATH, SIZE_MAX, Settings};

use super::{Action, Plan, files};
use crate::image::Image;
use crate::userdata::{Service, UserData};
use crate::yaml::{Node, Place, Problem, Value, printable};

pub(super) fn plan(image: &Image, data: &UserData, plan: &mut Plan, problems: &mut Vec<Problem>) {
    let Some(first) = data.services.first() else { return };
    let baked = match image.limited(PATH, SIZE_MAX) {
        Ok(Some(bytes)) => Baked::read(&bytes),
        Ok(None) => {
            let message = "no service of this image has parameters that a machine may set";
            problems.push(Problem::new(&first.place, message));
            return;
        }
        Err(problem) => Err(problem),
    };
    let baked = match baked {
        Ok(baked) => baked,
        Err(problem) => {
            let message = format!("{PATH} of the image can't be read: {}", printable(&problem));
            problems.push(Problem::new(&first.place, message));
            return;
        }
    };
    let changes = match baked.apply(&settings(&data.services)) {
        Ok(changes) => changes,
        Err(wrong) => {
            let problem = |w: &twinhull_modules::machine::Wrong| {
                Problem::new(place(&data.services, &w.path), printable(&w.message))
            };
            problems.extend(wrong.iter().map(problem));
            return;
        }
    };
    for (path, change) in changes {
        if plan.steps.iter().any(|step| step.path == path) {
            let message =
                format!("{path} is there already as a file or unit of its own; set it there or here");
            problems.push(Problem::new(&first.place, message));
            continue;
        }
        files::unfold(image, &path, &[], plan);
        match change.content {
            Some(content) => plan.etc(path, content, change.mode, false),
            None => plan.step(path, Action::Link("/dev/null".into()), false),
        }
    }
}

fn settings(services: &[Service]) -> Settings {
    let mut out = Settings::new();
    for service in services {
        let parameters = out.entry(service.name.clone()).or_default();
        parameters.extend(service.parameters.iter().map(|p| (p.name.clone(), json(&p.value))));
    }
    out
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(digits) => serde_json::from_str(digits).unwrap_or_else(|_| digits.as_str().into()),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entry =
                |(key, value): &(Node, Node)| (key.text().unwrap_or_default().to_owned(), json(value));
            serde_json::Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// Where the document has `services.NAME.PARAMETER`, or what is below it: as near as can be said.
fn place<'a>(services: &'a [Service], path: &str) -> &'a Place {
    let none = &services[0].place;
    let Some(rest) = path.strip_prefix("services.") else { return none };
    let (name, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let of_name = || services.iter().filter(|service| service.name == name);
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let parameter = of_name().flat_map(|s| &s.parameters).find(|p| p.name == rest[..end]);
    let Some(parameter) = parameter else { return of_name().next().map_or(none, |service| &service.place) };
    if end == rest.len() {
        return &parameter.value.place;
    }
    within(&parameter.value, &rest[end..])
}

/// The place of `[N]` or `.KEY` in a value.
fn within<'a>(node: &'a Node, path: &str) -> &'a Place {
    let next = match &node.value {
        Value::List(items) => path.strip_prefix('[').and_then(|rest| {
            let (index, rest) = rest.split_once(']')?;
            Some((items.get(index.parse::<usize>().ok()?)?, rest))
        }),
        Value::Map(entries) => path.strip_prefix('.').and_then(|path| {
            entries.iter().find_map(|(key, value)| {
                let rest = path.strip_prefix(key.text()?)?;
                (rest.is_empty() || rest.starts_with(['.', '['])).then_some((value, rest))
            })
        }),
        _ => None,
    };
    next.map_or(&node.place, |(node, rest)| within(node, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_shown_where_they_stand() {
        let text = b"#twinhull\nservices:\n  time:\n    servers: [a, b c]\n  bot: {environment: {A.B: x}}\n";
        let data = crate::userdata::parse(text).unwrap().unwrap();
        for (path, line, column) in [
            ("services.time.servers[1]", 4, 18),
            ("services.time.servers", 4, 14),
            ("services.time.fallback", 3, 3),
            ("services.time", 3, 3),
            ("services.bot.environment.A.B", 5, 28),
            ("services.bot.environment.C", 5, 22),
            ("services.nothing", 3, 3),
            ("services", 3, 3),
            ("services.time.servers[9]", 4, 14),
        ] {
            assert_eq!(*place(&data.services, path), Place::new(line, column), "{path}");
        }
        let settings = settings(&data.services);
        assert_eq!(settings["time"]["servers"], serde_json::json!(["a", "b c"]));
    }
}
