//! From the services of a spec to what they become.
//!
//! Services are looked at in the order of their references, so that each knows the outputs of those it names. What
//! it contributes to another is collected on the way and merged before anything is rendered. A mistake in one service
//! keeps silent those that refer to it, and no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};
use twinhull_source::yaml::{Content, Node};
use twinhull_source::{Code, Report, quoted, suggest};

use crate::engine::{Refused, evaluate, refused, variable};
use crate::kind::{Check, REFERENCE};
use crate::load::says;
use crate::machine::{self, Baked};
use crate::merge::{self, Part};
use crate::model::{Module, Template, Written};
use crate::output::{File, Output, Service};
use crate::reader::{self, Entry, entries, text};
use crate::write::Writer;

/// What a name of a service or module must be, in words. Units and users are named after it.
pub const NAME_RULE: &str =
    "small letters, digits and `-`, beginning with a letter, not ending with `-`, at most 40 characters";

/// Whether `text` keeps to [`NAME_RULE`].
pub fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What is to be planned.
#[derive(Debug)]
pub struct Request<'a> {
    /// The modules that services may use.
    pub modules: &'a [&'a Module],
    /// The mapping of services.
    pub services: &'a Node,
    /// Its path in the spec.
    pub path: &'a str,
    /// Which services each target wants; without one, multi-user.target wants all.
    pub targets: &'a BTreeMap<String, Vec<&'a Node>>,
    /// The folder of the spec; without it, files beside it are not looked for.
    pub base: Option<&'a Path>,
}

/// A service whose template is known.
pub(crate) struct Instance<'a> {
    pub(crate) name: &'a str,
    pub(crate) module: &'a Module,
    pub(crate) template: &'a Template,
    pub(crate) path: String,
    pub(crate) at: Range<usize>,
    pub(crate) values: Map<String, Value>,
    places: HashMap<&'a str, Range<usize>>,
    good: bool,
}

impl Instance<'_> {
    /// MODULE.TEMPLATE
    pub(crate) fn full(&self) -> String {
        format!("{}.{}", self.module.name, self.template.name)
    }

    /// Where a parameter is written, or else the service.
    pub(crate) fn place(&self, parameter: Option<&str>) -> &Range<usize> {
        parameter.and_then(|name| self.places.get(name)).unwrap_or(&self.at)
    }

    /// Where a parameter that an expression uses is written, or else the service.
    pub(crate) fn place_in(&self, expression: &str) -> &Range<usize> {
        let used = |name: &&str| expression.contains(&variable(name));
        let mut names = self.template.parameters.iter().map(|p| p.name.as_str());
        self.place(names.find(|name| used(name) && self.places.contains_key(name)))
    }

    fn refers(&self) -> BTreeMap<String, Vec<String>> {
        let mut out = BTreeMap::new();
        for parameter in self.template.parameters.iter().filter(|p| p.kind.refers()) {
            let mut names = Vec::new();
            if let Some(value) = self.values.get(&parameter.name) {
                references(value, &mut |name| names.push(name.to_owned()));
            }
            if !names.is_empty() {
                out.insert(parameter.name.clone(), names);
            }
        }
        out
    }
}

/// Calls `each` with every service that a value names.
fn references(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, each)),
        Value::Object(map) => match map.get(REFERENCE).and_then(Value::as_str) {
            Some(name) => each(name),
            None => map.values().for_each(|item| references(item, each)),
        },
        _ => {}
    }
}

/// The value with the outputs of services in the place of their names.
fn resolve(value: &Value, outputs: &HashMap<&str, Value>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| resolve(item, outputs)).collect(),
        Value::Object(map) => match map.get(REFERENCE).and_then(Value::as_str) {
            Some(name) => outputs.get(name).unwrap_or(value).clone(),
            None => {
                Value::Object(map.iter().map(|(name, item)| (name.clone(), resolve(item, outputs))).collect())
            }
        },
        _ => value.clone(),
    }
}

/// Checks the services and says what they become. What is wrong goes into the report.
pub fn plan(request: &Request<'_>, report: &mut Report<'_>) -> Output {
    let found = entries(report, request.services, request.path);
    let mut instances: Vec<Instance<'_>> =
        found.iter().filter_map(|entry| instance(request, entry, report)).collect();
    instances.sort_by_key(|instance| instance.name);
    let templates = instances.iter().map(|i| (i.name.to_owned(), i.full())).collect();
    let nodes: HashMap<&str, &Entry<'_>> = found.iter().map(|entry| (entry.name, entry)).collect();
    for instance in &mut instances {
        if let Some(entry) = nodes.get(instance.name) {
            parameters(instance, entry, &templates, request.base, report);
        }
    }
    let order = order(&mut instances, request.path, report);
    let (outputs, contexts) = outputs(&mut instances, &order, request.path, report);
    let fields = contributions(&mut instances, &outputs, &contexts, report);

    let mut writer = Writer::new();
    let mut ready = Vec::new();
    // Before anything is rendered, as a text may say what all services listen on.
    for (n, instance) in instances.iter().enumerate().filter(|(_, instance)| instance.good) {
        let Some(context) = contexts.get(&n) else { continue };
        let mut context = context.clone();
        context.insert("fields".into(), fields.get(instance.name).cloned().unwrap_or_else(|| json!({})));
        let before = report.count();
        let listens = writer.listens(instance, &minijinja::Value::from_serialize(&context), report);
        ready.push((instance, context, listens, before == report.count()));
    }
    writer.output.openings.sort_by_key(|opening| opening.port);
    // Without what a wrong service listens on, a text would say that it listens on nothing.
    let whole = instances.iter().all(|instance| instance.good) && ready.iter().all(|(.., good)| *good);
    let openings = serde_json::to_value(&writer.output.openings).unwrap_or_default();
    for (instance, mut context, listens, good) in ready {
        if instance.template.openings {
            if !whole {
                continue;
            }
            context.insert("openings".into(), openings.clone());
        }
        let before = report.count();
        let context = minijinja::Value::from_serialize(&context);
        let units = writer.instance(instance, listens, &context, report);
        if good && report.count() == before {
            let line = report.line(&instance.at);
            let service = Service { template: instance.full(), line, refers: instance.refers(), units };
            writer.output.services.insert(instance.name.to_owned(), service);
        }
    }
    targets(request, &instances, &mut writer, report);
    let mut output = writer.finish();
    if let Some(baked) = bake(request, &instances) {
        let file = File { mode: 0o644, content: baked.to_json(), adds: false, origins: Vec::new() };
        output.files.insert(machine::PATH.into(), file);
    }
    output
}

/// The services as data, when there is something that a machine may set.
fn bake(request: &Request<'_>, instances: &[Instance<'_>]) -> Option<Baked> {
    if !instances.iter().any(|instance| instance.template.parameters.iter().any(|p| p.runtime)) {
        return None;
    }
    let service = |instance: &Instance<'_>| {
        let written =
            (instance.values.iter().filter(|(name, _)| instance.places.contains_key(name.as_str())))
                .map(|(name, value)| (name.clone(), machine::written(value)));
        let template = ("template".to_owned(), json!(instance.full()));
        (instance.name.to_owned(), written.chain([template]).collect())
    };
    let words = |nodes: &Vec<&Node>| {
        let text = |node: &&Node| match &node.content {
            Content::Scalar(scalar) => Some(scalar.text.clone()),
            _ => None,
        };
        nodes.iter().filter_map(text).collect()
    };
    let targets = request.targets.iter().map(|(name, wants)| (name.clone(), words(wants))).collect();
    Some(Baked::new(request.modules, instances.iter().map(service).collect(), targets))
}

fn instance<'a>(request: &Request<'a>, entry: &Entry<'a>, report: &mut Report<'_>) -> Option<Instance<'a>> {
    let path = format!("{}.{}", request.path, entry.name);
    let good_name = is_name(entry.name);
    if !good_name {
        let message = format!("{path}: {} can't be a service's name", quoted(entry.name));
        report.add(Code::BadValue, &entry.key.span, &path, message).hint(NAME_RULE);
    }
    let Some(template) = entry.value.get("template") else {
        let at = &entry.key.span;
        if matches!(entry.value.content, Content::Map(_)) || entry.value.is_null() {
            let message = format!("{path}: needs the key `template`");
            report
                .add(Code::MissingKey, at, &format!("{path}.template"), message)
                .hint("for example `template: app.service`; `image-builder modules` lists them");
        } else {
            let message = format!("{path}: expected a mapping, found {}", entry.value.noun());
            report.add(Code::WrongType, &entry.value.span, &path, message);
        }
        return None;
    };
    let path_of = format!("{path}.template");
    let full = text(report, template, &path_of)?;
    let wanted = full.split_once('.');
    let module = wanted.and_then(|(module, _)| request.modules.iter().find(|m| m.name == module));
    let found = module.and_then(|module| Some((*module, module.template(wanted?.1)?)));
    let Some((module, template)) = found else {
        unknown_template(request, full, template, &path_of, report);
        return None;
    };
    let at = entry.key.span.clone();
    let (values, places) = (Map::new(), HashMap::new());
    Some(Instance { name: entry.name, module, template, path, at, values, places, good: good_name })
}

fn unknown_template(request: &Request<'_>, full: &str, node: &Node, path: &str, report: &mut Report<'_>) {
    let names: Vec<String> = (request.modules.iter())
        .flat_map(|module| module.templates.iter().map(|t| format!("{}.{}", module.name, t.name)))
        .collect();
    let module = full.split('.').next().unwrap_or(full);
    let of_module: Vec<_> =
        names.iter().filter(|name| name.split('.').next() == Some(module)).map(String::as_str).collect();
    let near = suggest::nearest(full, names.iter().map(|name| (name.as_str(), &[][..])));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if !of_module.is_empty() => format!("the templates are {}", suggest::list(&of_module)),
        None if crate::builtin::NAMES.contains(&module) => format!("add `{module}` to `modules:`"),
        None => {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            if names.is_empty() {
                "name the module that has it under `modules:`".into()
            } else {
                format!("the templates are {}", suggest::list(&names))
            }
        }
    };
    let message = format!("{path}: there is no template {}", quoted(full));
    report.add(Code::NotFound, &node.span, path, message).hint(hint);
}

fn parameters<'a>(
    instance: &mut Instance<'a>,
    entry: &Entry<'a>,
    templates: &BTreeMap<String, String>,
    base: Option<&Path>,
    report: &mut Report<'_>,
) {
    let before = report.count();
    let template = instance.template;
    let known: Vec<&str> =
        std::iter::once("template").chain(template.parameters.iter().map(|p| p.name.as_str())).collect();
    let mut there = BTreeSet::new();
    for entry in entries(report, entry.value, &instance.path) {
        there.insert(entry.name);
        if entry.name == "template" {
            continue;
        }
        let Some(parameter) = template.parameter(entry.name) else {
            reader::unknown(report, &entry, &instance.path, &known);
            // What is only misspelt isn't missing as well.
            there.extend(suggest::nearest(entry.name, known.iter().map(|name| (*name, &[][..]))));
            continue;
        };
        let path = format!("{}.{}", instance.path, entry.name);
        instance.places.insert(entry.name, entry.value.span.clone());
        let mut check = Check { report, services: templates, base };
        if let Some(value) = check.value(&parameter.kind, entry.value, &entry.key.span, &path) {
            instance.values.insert(entry.name.to_owned(), value);
        }
    }
    if entry.value.mark.is_some() {
        // Said already, and nothing in it was looked at.
        instance.good = false;
        return;
    }
    for parameter in template.parameters.iter().filter(|p| !there.contains(p.name.as_str())) {
        if parameter.required() {
            let path = format!("{}.{}", instance.path, parameter.name);
            let message = format!("{}: needs the key `{}`", instance.path, parameter.name);
            let added = report.add(Code::MissingKey, &instance.at, &path, message);
            if let Some(example) = &parameter.example {
                added.hint(format!("for example `{}: {}`", parameter.name, crate::docs::yaml(example)));
            }
        }
        let value = parameter.default.clone().unwrap_or(Value::Null);
        instance.values.insert(parameter.name.clone(), value);
    }
    instance.good &= report.count() == before;
}

/// Indexes in an order in which each service comes after those it refers to. Those in a circle are left out.
fn order(instances: &mut [Instance<'_>], path: &str, report: &mut Report<'_>) -> Vec<usize> {
    let index: HashMap<&str, usize> = instances.iter().enumerate().map(|(n, i)| (i.name, n)).collect();
    let needs: Vec<BTreeSet<usize>> = (instances.iter())
        .map(|i| i.refers().values().flatten().filter_map(|name| index.get(name.as_str()).copied()).collect())
        .collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); instances.len()];
    for (n, of) in needs.iter().enumerate() {
        of.iter().for_each(|&other| needed_by[other].push(n));
    }
    let mut missing: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..instances.len()).filter(|&n| missing[n] == 0).collect();
    let mut out = Vec::new();
    while let Some(n) = ready.pop_first() {
        out.push(n);
        for &other in &needed_by[n] {
            missing[other] -= 1;
            if missing[other] == 0 {
                ready.insert(other);
            }
        }
    }
    // Of what is left, everything refers to something that is left: following references ends in a circle.
    let left: BTreeSet<usize> = (0..instances.len()).filter(|&n| missing[n] > 0).collect();
    if let Some(&first) = left.first() {
        let mut trail = vec![first];
        let circle = loop {
            let next = needs[trail[trail.len() - 1]].iter().copied().find(|n| left.contains(n));
            let Some(next) = next else { break Vec::new() };
            if let Some(at) = trail.iter().position(|&n| n == next) {
                break trail.split_off(at);
            }
            trail.push(next);
        };
        if let Some(&head) = circle.iter().min() {
            let names: Vec<_> = circle.iter().chain(circle.first()).map(|&n| instances[n].name).collect();
            let refers = instances[head].refers();
            let by = refers.iter().find(|(_, names)| {
                names.iter().any(|n| index.get(n.as_str()).is_some_and(|n| circle.contains(n)))
            });
            let by = by.map(|(parameter, _)| parameter.as_str());
            let place = instances[head].place(by).clone();
            let message = format!("{path}: services refer to each other in a circle: {}", names.join(" → "));
            report
                .add(Code::Conflict, &place, &instances[head].path, message)
                .hint("let one of them do without the other");
        }
    }
    for n in left {
        instances[n].good = false;
    }
    out
}

type Context = Map<String, Value>;

/// What each service lets others know, and what its texts may use.
fn outputs<'a>(
    instances: &mut [Instance<'a>],
    order: &[usize],
    path: &str,
    report: &mut Report<'_>,
) -> (HashMap<&'a str, Value>, HashMap<usize, Context>) {
    let mut outputs: HashMap<&str, Value> = HashMap::new();
    let mut contexts = HashMap::new();
    for &n in order {
        let instance = &mut instances[n];
        let known = |name: &String| outputs.contains_key(name.as_str());
        instance.good &= instance.refers().values().flatten().all(known);
        if !instance.good {
            continue;
        }
        let mut context = Context::new();
        for parameter in &instance.template.parameters {
            let value = instance.values.get(&parameter.name).unwrap_or(&Value::Null);
            context.insert(variable(&parameter.name), resolve(value, &outputs));
        }
        context.insert("name".into(), json!(instance.name));
        let engine = minijinja::Value::from_serialize(&context);
        let mut own = Map::from_iter([("name".to_owned(), json!(instance.name))]);
        for output in &instance.template.outputs {
            if let Some(value) = value(instance, &output.value, &engine, report) {
                own.insert(variable(&output.name), value);
            }
        }
        for conflict in &instance.template.conflicts {
            if value(instance, &conflict.when, &engine, report).is_some_and(|value| truth(&value)) {
                instance.good = false;
                let at = conflict.at.as_deref();
                let of =
                    at.map_or_else(|| instance.path.clone(), |at| format!("{path}.{}.{at}", instance.name));
                report
                    .add(Code::Conflict, instance.place(at), &of, format!("{of}: {}", conflict.because))
                    .hint(conflict.instead.clone());
            }
        }
        outputs.insert(instance.name, Value::Object(own));
        contexts.insert(n, context);
    }
    (outputs, contexts)
}

/// What contributions to each service become, by service and field.
fn contributions<'a>(
    instances: &mut [Instance<'a>],
    outputs: &HashMap<&'a str, Value>,
    contexts: &HashMap<usize, Context>,
    report: &mut Report<'_>,
) -> HashMap<String, Value> {
    let mut parts: BTreeMap<(String, String), Vec<Part>> = BTreeMap::new();
    for (n, instance) in
        instances.iter().enumerate().filter(|(_, i)| i.good && !i.template.contributes.is_empty())
    {
        let Some(context) = contexts.get(&n) else { continue };
        let engine = minijinja::Value::from_serialize(context);
        let refers = instance.refers();
        for contribution in &instance.template.contributes {
            let Some(value) = value(instance, &contribution.value, &engine, report) else { continue };
            let from = contribution.from.as_deref();
            for to in refers.get(&contribution.to).into_iter().flatten().filter(|_| !value.is_null()) {
                parts.entry((to.clone(), contribution.field.clone())).or_default().push(Part {
                    service: instance.name.to_owned(),
                    path: from
                        .map_or_else(|| instance.path.clone(), |from| format!("{}.{from}", instance.path)),
                    place: instance.place(from).clone(),
                    value: value.clone(),
                });
            }
        }
    }
    let mut out: HashMap<String, Value> = HashMap::new();
    for instance in instances.iter_mut().filter(|i| outputs.contains_key(i.name)) {
        let mut fields = Map::new();
        for field in &instance.template.fields {
            let parts = parts.remove(&(instance.name.to_owned(), field.name.clone())).unwrap_or_default();
            match merge::merge(field, parts, report) {
                Some(value) => drop(fields.insert(variable(&field.name), value)),
                None => instance.good = false,
            }
        }
        out.insert(instance.name.to_owned(), Value::Object(fields));
    }
    for ((service, field), parts) in parts {
        for part in parts {
            let message =
                format!("{}: {service} has no field {} to contribute to", part.path, quoted(&field));
            report
                .add(Code::Internal, &part.place, &part.path, message)
                .hint("this is a mistake of the module");
        }
    }
    out
}

/// The value of an expression of the module.
pub(crate) fn value(
    instance: &Instance<'_>,
    written: &Written,
    context: &minijinja::Value,
    report: &mut Report<'_>,
) -> Option<Value> {
    match evaluate(&instance.module.engine, &written.text, context) {
        Ok(value) => serde_json::to_value(value).ok(),
        Err(error) => {
            broken(instance, "module.yaml", written.line, &error, report);
            None
        }
    }
}

/// A text of the module that can't be rendered.
pub(crate) fn broken(
    instance: &Instance<'_>,
    source: &str,
    line: usize,
    error: &minijinja::Error,
    report: &mut Report<'_>,
) {
    if let Some(Refused { parameter, message }) = refused(error) {
        let (path, place) =
            (format!("{}.{parameter}", instance.path), instance.place(Some(parameter)).clone());
        report.add(Code::Conflict, &place, &path, format!("{path}: {message}"));
        return;
    }
    let (path, module) = (&instance.path, &instance.module.name);
    let message = format!("{path}: {source}:{line} of the module {module} fails: {}", says(error));
    report.add(Code::Internal, &instance.at, path, message).hint("this is a mistake of the module");
}

pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}

/// Lets targets want services.
fn targets(request: &Request<'_>, instances: &[Instance<'_>], writer: &mut Writer, report: &mut Report<'_>) {
    if request.targets.is_empty() {
        let all = writer.output.services.values().flat_map(|service| service.units.iter().cloned()).collect();
        writer.want("multi-user.target", all);
        return;
    }
    for (target, wants) in request.targets {
        let mut units = BTreeSet::new();
        for node in wants {
            let path = format!("targets.{target}.wants");
            let Some(name) = text(report, node, &path) else { continue };
            match writer.output.services.get(name) {
                Some(service) if service.units.is_empty() => {
                    let message =
                        format!("{path}: {} is a {}, which has no unit", quoted(name), service.template);
                    report
                        .add(Code::BadValue, &node.span, &path, message)
                        .hint("remove it; it is there without being started");
                }
                Some(service) => units.extend(service.units.iter().cloned()),
                // What is wrong with it was said.
                None if instances.iter().any(|instance| instance.name == name) => {}
                None => {
                    let near = suggest::nearest(name, instances.iter().map(|i| (i.name, &[][..])));
                    let names: Vec<_> = instances.iter().map(|i| i.name).collect();
                    let hint = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if names.is_empty() => "there are none; add it under `services:`".into(),
                        None if names.len() > 20 => "names are those under `services:`".into(),
                        None => format!("the services are {}", suggest::list(&names)),
                    };
                    let message = format!("{path}: there is no service {}", quoted(name));
                    report.add(Code::NotFound, &node.span, &path, message).hint(hint);
                }
            }
        }
        writer.want(&format!("{target}.target"), units);
    }
}
