//! What machines set for themselves: parameters with `runtime: true`, from user data.
//!
//! An image has its services and their modules as data with it, in [`PATH`]. A machine whose user data set parameters plans
//! the services anew with the same code, and what becomes different goes to /etc, where systemd and most programs look
//! first. Whatever a machine can't change, because it is in /usr, no such parameter may touch: modules that break this aren't
//! loaded.

use std::collections::BTreeMap;

use minijinja::Environment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twinhull_source::yaml::{Content, Node, Scalar};
use twinhull_source::{Report, suggest};

use crate::engine::variable;
use crate::kind::REFERENCE;
use crate::load;
use crate::model::{Module, Parameter, Template};
use crate::output::Output;
use crate::plan::{Request, plan};

/// Where an image has them.
pub const PATH: &str = "/usr/lib/twinhull/services.json";
/// Most bytes that are read of it.
pub const SIZE_MAX: u64 = 8 << 20;

const VERSION: u32 = 1;
const UNITS: &str = "/usr/lib/systemd/system/";

/// The texts of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// module.yaml
    pub module: String,
    /// `templates/`, by name.
    pub templates: BTreeMap<String, String>,
}

/// The services of an image, with all that is needed to plan them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baked {
    version: u32,
    modules: BTreeMap<String, Texts>,
    /// What the spec says of each service.
    services: BTreeMap<String, Map<String, Value>>,
    targets: BTreeMap<String, Vec<String>>,
}

/// What user data set: by service and parameter.
pub type Settings = BTreeMap<String, BTreeMap<String, Value>>;

/// What can't be set like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The way to it, such as `services.time.servers[0]`.
    pub path: String,
    /// A sentence, as the check of a spec has it.
    pub message: String,
}

/// What a machine writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Content; none for a unit that isn't there any more.
    pub content: Option<String>,
    /// Permissions.
    pub mode: u32,
}

impl Baked {
    /// From the texts of modules, what the spec says of services, and what targets want.
    pub(crate) fn new(
        modules: &[&Module],
        services: BTreeMap<String, Map<String, Value>>,
        targets: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let used = |module: &&&Module| {
            let of = |service: &Map<String, Value>| {
                let template = service.get("template").and_then(Value::as_str).unwrap_or_default();
                template.split('.').next() == Some(module.name.as_str())
            };
            services.values().any(of)
        };
        let modules = modules.iter().filter(used).map(|m| (m.name.clone(), m.texts.clone())).collect();
        Baked { version: VERSION, modules, services, targets }
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads the file of an image. Returns what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let baked: Baked = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if baked.version != VERSION {
            return Err(format!("it is of version {}, and this program knows {VERSION}", baked.version));
        }
        Ok(baked)
    }

    /// What `settings` change, by path in /etc.
    pub fn apply(&self, settings: &Settings) -> Result<BTreeMap<String, Change>, Vec<Wrong>> {
        let mut modules = Vec::new();
        for (name, texts) in &self.modules {
            // They were loaded when the image was built.
            let module = load::module("module.yaml", name, &texts.module, &texts.templates)
                .map_err(|found| vec![Wrong { path: "services".into(), message: found.summary() }])?;
            modules.push(module);
        }
        let modules: Vec<&Module> = modules.iter().collect();
        let refused = self.refused(settings, &modules);
        if !refused.is_empty() {
            return Err(refused);
        }
        let before = self.plan(&modules, &self.services)?;
        let mut services = self.services.clone();
        for (name, parameters) in settings {
            let service = services.entry(name.clone()).or_default();
            service.extend(parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        changes(&before, &self.plan(&modules, &services)?)
    }

    /// Services that aren't there, and parameters that are fixed in the image.
    fn refused(&self, settings: &Settings, modules: &[&Module]) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let names: Vec<&str> = self.services.keys().map(String::as_str).collect();
        for (name, parameters) in settings {
            let path = format!("services.{name}");
            let Some(template) = self.template(name, modules) else {
                // Not named: what is wrongly indented may be a secret.
                let message = format!("the image has no service of this name{}", offer(name, &names));
                wrong.push(Wrong { path, message });
                continue;
            };
            let free: Vec<&str> =
                template.parameters.iter().filter(|p| p.runtime).map(|p| p.name.as_str()).collect();
            for parameter in parameters.keys().filter(|name| !free.contains(&name.as_str())) {
                let path = format!("{path}.{parameter}");
                let what = match template.parameter(parameter) {
                    Some(_) => format!("{path}: is fixed in the image; build another one to change it"),
                    None => format!("services.{name}: there is no parameter of this name"),
                };
                wrong.push(Wrong { message: what + &offer(parameter, &free), path });
            }
        }
        wrong
    }

    fn template<'m>(&self, service: &str, modules: &[&'m Module]) -> Option<&'m Template> {
        let (module, template) = self.services.get(service)?.get("template")?.as_str()?.split_once('.')?;
        modules.iter().find(|m| m.name == module)?.template(template)
    }

    fn plan(
        &self,
        modules: &[&Module],
        services: &BTreeMap<String, Map<String, Value>>,
    ) -> Result<Output, Vec<Wrong>> {
        let text = |text: &str| Node {
            span: 0..0,
            mark: None,
            content: Content::Scalar(Scalar { text: text.into(), plain: false }),
        };
        let map = services.iter().map(|(name, service)| (text(name), mapping(service))).collect();
        let services = Node { span: 0..0, mark: None, content: Content::Map(map) };
        let wants: Vec<(&String, Vec<Node>)> = self
            .targets
            .iter()
            .map(|(name, wants)| (name, wants.iter().map(|w| text(w)).collect()))
            .collect();
        let targets = wants.iter().map(|(name, nodes)| ((*name).clone(), nodes.iter().collect())).collect();
        let mut report = Report::new("");
        let request =
            Request { modules, services: &services, path: "services", targets: &targets, base: None };
        let output = plan(&request, &mut report);
        let found = report.finish("user data");
        let wrong = |item: &twinhull_source::Diagnostic| {
            let hint = item.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            Wrong { path: item.path.clone(), message: item.message.clone() + &hint }
        };
        if found.items.is_empty() { Ok(output) } else { Err(found.items.iter().map(wrong).collect()) }
    }
}

/// Which name may have been meant, or which there are.
fn offer(name: &str, names: &[&str]) -> String {
    match suggest::nearest(name, names.iter().map(|name| (*name, &[][..]))) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if names.is_empty() => "; a machine may set nothing of it".into(),
        None => format!("; a machine may set {}", suggest::list(names)),
    }
}

fn mapping(map: &Map<String, Value>) -> Node {
    let key = |name: &str| Content::Scalar(Scalar { text: name.into(), plain: false });
    let entry =
        |(name, value): (&String, &Value)| (Node { span: 0..0, mark: None, content: key(name) }, node(value));
    Node { span: 0..0, mark: None, content: Content::Map(map.iter().map(entry).collect()) }
}

/// A value as if it had been written in a spec.
fn node(value: &Value) -> Node {
    let content = match value {
        Value::Object(map) => return mapping(map),
        Value::Array(items) => Content::List(items.iter().map(node).collect()),
        Value::String(text) => Content::Scalar(Scalar { text: text.clone(), plain: false }),
        other => Content::Scalar(Scalar { text: other.to_string(), plain: true }),
    };
    Node { span: 0..0, mark: None, content }
}

/// A checked value as a spec has it: services by their names.
pub(crate) fn written(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(written).collect(),
        Value::Object(map) => match map.get(REFERENCE) {
            Some(name) => name.clone(),
            None => Value::Object(map.iter().map(|(name, value)| (name.clone(), written(value))).collect()),
        },
        other => other.clone(),
    }
}

/// What is different, and where it goes.
fn changes(before: &Output, after: &Output) -> Result<BTreeMap<String, Change>, Vec<Wrong>> {
    let mut out = BTreeMap::new();
    let mut wrong = Vec::new();
    let paths = before.files.keys().chain(after.files.keys()).filter(|path| *path != PATH);
    for path in paths {
        let (old, new) = (before.files.get(path), after.files.get(path));
        if old == new {
            continue;
        }
        let unit = path.strip_prefix(UNITS).map(|name| format!("/etc/systemd/system/{name}"));
        let place = unit.clone().or_else(|| path.starts_with("/etc/").then(|| path.clone()));
        match (place, new) {
            (Some(place), Some(file)) => {
                out.insert(place, Change { content: Some(file.content.clone()), mode: file.mode });
            }
            (Some(place), None) if unit.is_some() => {
                drop(out.insert(place, Change { content: None, mode: 0 }))
            }
            _ => wrong.push(Wrong {
                path: "services".into(),
                message: format!(
                    "{path} would change, which is in the image; this is a mistake of its module"
                ),
            }),
        }
    }
    if wrong.is_empty() { Ok(out) } else { Err(wrong) }
}

/// Where in /usr a runtime parameter would make a difference, in words.
pub(crate) fn fixed_use(
    engine: &Environment<'_>,
    template: &Template,
    parameter: &Parameter,
) -> Option<String> {
    let name = variable(&parameter.name);
    let in_text = |text: &str| {
        text.contains("{")
            && engine.template_from_str(text).is_ok_and(|t| t.undeclared_variables(false).contains(&name))
    };
    let in_expression = |text: &str| {
        engine.compile_expression(text).is_ok_and(|e| e.undeclared_variables(false).contains(&name))
    };
    let in_template =
        |file: &str| engine.get_template(file).is_ok_and(|t| t.undeclared_variables(false).contains(&name));
    for rule in &template.files {
        if in_text(&rule.path.text) {
            return Some("the path of a file".into());
        }
        if (rule.adds || !rule.path.text.starts_with("/etc/")) && in_template(&rule.template) {
            return Some(format!("{}, which is in /usr or added to what a package has", rule.path.text));
        }
    }
    let copies = template.copies.iter().flat_map(|rule| [&rule.from, &rule.path]);
    let units = template.units.iter().map(|rule| &rule.name);
    let texts = [
        ("what is copied", copies.collect::<Vec<_>>()),
        ("the name of a unit", units.collect()),
        ("sysusers", template.sysusers.iter().collect()),
        ("tmpfiles", template.tmpfiles.iter().collect()),
        ("needs", template.needs.iter().collect()),
        ("claims", template.claims.iter().collect()),
    ];
    let used = texts.iter().find(|(_, texts)| texts.iter().any(|written| in_text(&written.text)));
    if let Some((what, _)) = used {
        return Some((*what).into());
    }
    let expressions = [
        ("listens", template.listens.iter().collect::<Vec<_>>()),
        ("health", template.health.iter().collect()),
        ("an output", template.outputs.iter().map(|output| &output.value).collect()),
        ("what it contributes", template.contributes.iter().map(|c| &c.value).collect()),
    ];
    let used = expressions.iter().find(|(_, all)| all.iter().any(|written| in_expression(&written.text)));
    used.map(|(what, _)| (*what).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn baked(services: &str) -> Baked {
        let names = ["app", "timesyncd"].map(|name| crate::builtin::get(name).unwrap().unwrap());
        let modules: Vec<&Module> = names.iter().map(|module| &**module).collect();
        let mut report = Report::new(services);
        let root = twinhull_source::yaml::read(services, &mut report).root.unwrap();
        let request = Request {
            modules: &modules,
            services: &root,
            path: "services",
            targets: &BTreeMap::new(),
            base: None,
        };
        let output = plan(&request, &mut report);
        assert!(report.is_empty(), "{}", report.finish("services").render(false));
        Baked::read(output.files[PATH].content.as_bytes()).unwrap()
    }

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    const SERVICES: &str = "time: {template: timesyncd.client, servers: [a.example]}\n\
        bot: {template: app.service, command: [/usr/bin/bot], environment: {A: '1.10'}, listen: [81]}\n";

    #[test]
    fn what_a_machine_sets_goes_to_etc() {
        let changes = baked(SERVICES)
            .apply(&settings(json!({ "time": { "servers": ["b.example"] }, "bot": { "memory-max": "64M" } })))
            .unwrap();
        let paths: Vec<_> = changes.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/etc/systemd/system/bot.service", "/etc/systemd/timesyncd.conf.d/40-time.conf"]);
        let unit = changes["/etc/systemd/system/bot.service"].content.as_deref().unwrap();
        // What the spec says stays, as it was written.
        assert!(unit.contains("MemoryMax=64M") && unit.contains("Environment=\"A=1.10\""), "{unit}");
        assert!(baked(SERVICES).apply(&Settings::new()).unwrap().is_empty());
    }

    #[test]
    fn the_rest_is_fixed() {
        for (set, path, message) in [
            (json!({ "tine": {} }), "services.tine", "no service of this name; did you mean `time`?"),
            (json!({ "bot": { "listen": [82] } }), "services.bot.listen", "is fixed in the image"),
            (json!({ "bot": { "memory-mx": "1M" } }), "services.bot.memory-mx", "did you mean `memory-max`?"),
            (json!({ "time": { "servers": [] } }), "services.time.servers", "nobody to ask; write one"),
            (json!({ "time": { "servers": "a b" } }), "services.time.servers", "expected a list"),
            (json!({ "bot": { "memory-max": "much" } }), "services.bot.memory-max", "\"much\" is not a size"),
        ] {
            let wrong = baked(SERVICES).apply(&settings(set.clone())).unwrap_err();
            assert_eq!(wrong.len(), 1, "{set}: {wrong:?}");
            assert_eq!(wrong[0].path, path, "{set}");
            assert!(wrong[0].message.contains(message), "{set}: {}", wrong[0].message);
        }
    }

    #[test]
    fn a_file_of_another_version_is_refused() {
        let text = baked(SERVICES).to_json();
        for wrong in
            [text.replace("\"version\": 1", "\"version\": 2"), text.replace("targets", "aims"), "[]".into()]
        {
            assert!(Baked::read(wrong.as_bytes()).is_err());
        }
    }

    #[test]
    fn services_that_nobody_may_change_need_no_file() {
        let module = crate::builtin::get("files").unwrap().unwrap();
        let text = "a: {template: files.file, path: /usr/share/a, content: x}";
        let mut report = Report::new(text);
        let root = twinhull_source::yaml::read(text, &mut report).root.unwrap();
        let request = Request {
            modules: &[&module],
            services: &root,
            path: "services",
            targets: &BTreeMap::new(),
            base: None,
        };
        assert!(!plan(&request, &mut report).files.contains_key(PATH));
    }
}
