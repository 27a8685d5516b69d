//! Modules and services: what the table of keys can't know, because templates do.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use twinhull_modules::{Module, Output, Request, builtin, library};
use twinhull_source::yaml::{Content, Node};
use twinhull_source::{Code, Report, quoted};

/// Loads the modules and says what the services become. Without `base`, modules in folders are unknown, and with
/// them what their services may say.
pub(crate) fn plan(root: &Node, base: Option<&Path>, report: &mut Report<'_>) -> Output {
    // Without services, modules and targets are still looked at.
    let none = Node { span: 0..0, mark: None, content: Content::Map(Vec::new()) };
    let services = root.get("services").unwrap_or(&none);
    let Some(modules) = modules(root, base, report) else { return Output::default() };
    let modules: Vec<&Module> = modules.iter().map(|module| &**module).collect();
    let mut targets = BTreeMap::new();
    if let Some(Node { content: Content::Map(entries), .. }) = root.get("targets") {
        for (key, target) in entries {
            let wants = target.get("wants").map(|node| &node.content);
            if let (Content::Scalar(name), Some(Content::List(items))) = (&key.content, wants) {
                targets.insert(name.text.clone(), items.iter().collect());
            }
        }
    }
    twinhull_modules::plan(
        &Request { modules: &modules, services, path: "services", targets: &targets, base },
        report,
    )
}

/// The modules of the spec; none when one of them is missing, so that its templates aren't said to be unknown.
fn modules(root: &Node, base: Option<&Path>, report: &mut Report<'_>) -> Option<Vec<Arc<Module>>> {
    let mut out: Vec<Arc<Module>> = Vec::new();
    let mut places = HashMap::new();
    let mut complete = true;
    let Some(Node { content: Content::List(items), .. }) = root.get("modules") else { return Some(out) };
    for (n, node) in items.iter().enumerate() {
        let Content::Scalar(scalar) = &node.content else { continue };
        let path = format!("modules[{n}]");
        let Some(module) = library::find(&scalar.text, node, &path, base, report) else {
            complete = false;
            continue;
        };
        if let Some(first) = places.insert(module.name.clone(), node.span.clone()) {
            // The same text twice was said already.
            if report.text(&first) != report.text(&node.span) {
                let message = format!("{path}: there is another module called {}", quoted(&module.name));
                report
                    .add(Code::Conflict, &node.span, &path, message)
                    .related(&first, "this one")
                    .hint("give its folder another name");
            }
            continue;
        }
        out.push(module);
    }
    complete.then_some(out)
}

/// The JSON Schema of `services:`. It knows the parameters of the modules that come with the program.
pub(crate) fn schema() -> Value {
    let mut cases = Vec::new();
    let mut names = Vec::new();
    for module in builtin::NAMES.iter().filter_map(|name| builtin::get(name)?.ok()) {
        for template in &module.templates {
            let name = format!("{}.{}", module.name, template.name);
            let mut properties = Map::new();
            properties.insert("template".into(), json!({ "const": name, "description": template.docs }));
            let mut required = vec!["template"];
            for parameter in &template.parameters {
                let mut property = parameter.kind.schema();
                property["description"] = json!(parameter.docs);
                if let Some(default) = &parameter.default {
                    property["default"] = default.clone();
                }
                properties.insert(parameter.name.clone(), property);
                if parameter.required() {
                    required.push(&parameter.name);
                }
            }
            cases.push(json!({
                "if": { "properties": { "template": { "const": name } }, "required": ["template"] },
                "then": { "properties": properties, "required": required, "additionalProperties": false },
            }));
            names.push(name);
        }
    }
    json!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[a-z][a-z0-9-]*$", "maxLength": 40 },
        "additionalProperties": {
            "type": "object",
            "properties": { "template": { "type": "string", "examples": names } },
            "required": ["template"],
            "allOf": cases,
        },
    })
}
