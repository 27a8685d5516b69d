//! Reads module.yaml. A module that doesn't say what its parts mean, or whose example doesn't build, isn't loaded.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::Environment;
use regex_lite::Regex;
use twinhull_source::yaml::{self, Content, Node, Scalar};
use twinhull_source::{Code, Diagnostics, Report, quoted, suggest};

use crate::engine;
use crate::format::Format;
use crate::kind::{Check, Kind};
use crate::machine::{self, Texts};
use crate::model::{
    Conflict, Contribution, CopyRule, Field, FileRule, Merge, Module, Output, Parameter, Template, UnitRule,
    Widen, Written,
};
use crate::reader::{Entry, Fields, text};
use crate::{plan, sandbox};

const DOCS: &str = "say what it is for; a module is read by people who don't know it";

/// Reads the module `name` from the text of its module.yaml, called `file` in mistakes, and the texts of its
/// `templates/` by name.
pub fn module(
    file: &str,
    name: &str,
    source: &str,
    texts: &BTreeMap<String, String>,
) -> Result<Module, Diagnostics> {
    let mut report = Report::new(source);
    if source.len() > yaml::MAX_SIZE {
        let mut report = Report::new("");
        let message = format!("module.yaml is larger than {} bytes", yaml::MAX_SIZE);
        report.add(Code::TooLarge, &(0..0), "", message);
        return Err(report.finish(file));
    }
    let document = yaml::read(source, &mut report);
    let Some(root) = document.root.filter(|_| report.is_empty()) else {
        if report.is_empty() {
            report.add(Code::MissingKey, &(0..0), "", "the module is empty".into());
        }
        return Err(report.finish(file));
    };
    let mut loader = Loader { report, source, texts, engine: engine::new() };
    loader.compile_templates();
    let mut module = loader.module(&root, name);
    module.engine = std::mem::take(&mut loader.engine);
    if loader.report.is_empty() {
        loader.example(&root, &module);
    }
    if loader.report.is_empty() { Ok(module) } else { Err(loader.report.finish(file)) }
}

struct Loader<'t> {
    report: Report<'t>,
    source: &'t str,
    texts: &'t BTreeMap<String, String>,
    engine: Environment<'static>,
}

impl Loader<'_> {
    fn compile_templates(&mut self) {
        for (name, text) in self.texts {
            if let Some((n, _)) = text.lines().enumerate().find(|(_, line)| line.trim() == "[Install]") {
                let message =
                    format!("templates/{name}:{}: units of modules have no [Install] section", n + 1);
                self.report
                    .add(Code::Reserved, &(0..0), "", message)
                    .hint("remove it: targets say what they want, under `targets:` in the spec");
            }
            if let Err(error) = self.engine.add_template_owned(name.clone(), text.clone()) {
                let line = error.line().unwrap_or(1);
                let message = format!("templates/{name}:{line}: {}", says(&error));
                self.report.add(Code::Syntax, &(0..0), "", message);
            }
        }
    }

    fn module(&mut self, root: &Node, name: &str) -> Module {
        let known = ["docs", "commands", "templates", "example"];
        let top = Fields::read(&mut self.report, root, &(0..0), "", &known);
        let docs = top.needed(&mut self.report, "docs", DOCS);
        let commands = (top.map(&mut self.report, "commands").into_iter())
            .map(|entry| {
                let packages = crate::reader::items(&mut self.report, entry.value, entry.name);
                let packages =
                    packages.into_iter().filter_map(|node| text(&mut self.report, node, entry.name));
                let packages: Vec<String> = packages.map(str::to_owned).collect();
                (entry.name.to_owned(), packages)
            })
            .collect();
        let entries = top.map(&mut self.report, "templates");
        if entries.is_empty() {
            self.report.add(Code::MissingKey, &(0..0), "templates", "the module has no templates".into());
        }
        let templates = entries.iter().map(|entry| self.template(entry, name)).collect();
        let example = match top.get("example") {
            Some(entry) => block(self.source, entry.value),
            None => {
                self.report
                    .add(Code::MissingKey, &(0..0), "example", "the module has no example".into())
                    .hint("under `example:`, write the services of a spec that uses it");
                String::new()
            }
        };
        let texts = Texts { module: self.source.into(), templates: self.texts.clone() };
        Module { name: name.into(), docs, commands, templates, example, texts, engine: Environment::empty() }
    }

    fn template(&mut self, entry: &Entry<'_>, module: &str) -> Template {
        let path = format!("templates.{}", entry.name);
        let known = [
            "docs",
            "parameters",
            "outputs",
            "fields",
            "contributes",
            "conflicts",
            "claims",
            "needs",
            "listens",
            "openings",
            "network",
            "files",
            "copies",
            "units",
            "sysusers",
            "tmpfiles",
            "health",
        ];
        let at = &entry.key.span;
        let fields = Fields::read(&mut self.report, entry.value, at, &path, &known);
        let docs = fields.needed(&mut self.report, "docs", DOCS);
        let parameters: Vec<_> = (fields.map(&mut self.report, "parameters").iter())
            .map(|entry| self.parameter(entry, &format!("{path}.parameters.{}", entry.name), module))
            .collect();
        let outputs = (fields.map(&mut self.report, "outputs").iter())
            .map(|entry| self.output(entry, &format!("{path}.outputs.{}", entry.name)))
            .collect();
        let merged = (fields.map(&mut self.report, "fields").iter())
            .map(|entry| self.field(entry, &format!("{path}.fields.{}", entry.name)))
            .collect();
        let contributes = (fields.list(&mut self.report, "contributes").into_iter())
            .map(|node| self.contribution(node, &format!("{path}.contributes"), &parameters))
            .collect();
        let conflicts = (fields.list(&mut self.report, "conflicts").into_iter())
            .map(|node| self.conflict(node, &format!("{path}.conflicts")))
            .collect();
        let files = (fields.list(&mut self.report, "files").into_iter())
            .map(|node| self.file(node, &format!("{path}.files")))
            .collect();
        let copies = (fields.list(&mut self.report, "copies").into_iter())
            .map(|node| self.copy(node, &format!("{path}.copies")))
            .collect();
        let units = (fields.list(&mut self.report, "units").into_iter())
            .map(|node| self.unit(node, &format!("{path}.units")))
            .collect();
        let template = Template {
            name: entry.name.into(),
            docs,
            parameters,
            outputs,
            fields: merged,
            contributes,
            conflicts,
            claims: self.written(&fields, "claims"),
            needs: self.written(&fields, "needs"),
            listens: self.expression(&fields, "listens"),
            openings: fields.bool(&mut self.report, "openings"),
            network: self.expression(&fields, "network"),
            files,
            copies,
            units,
            sysusers: self.written(&fields, "sysusers"),
            tmpfiles: self.written(&fields, "tmpfiles"),
            health: self.expression(&fields, "health"),
        };
        for parameter in template.parameters.iter().filter(|parameter| parameter.runtime) {
            if let Some(place) = machine::fixed_use(&self.engine, &template, parameter) {
                let path = format!("{path}.parameters.{}", parameter.name);
                let message = format!("{path}: a machine can't set this, as it is used in {place}");
                self.report
                    .add(Code::Conflict, at, &path, message)
                    .hint("remove `runtime: true`, or use it only in units and in files in /etc");
            }
        }
        template
    }

    fn parameter(&mut self, entry: &Entry<'_>, path: &str, module: &str) -> Parameter {
        let known = [
            "type", "docs", "default", "optional", "example", "runtime", "pattern", "min", "max", "values",
            "to", "of",
        ];
        let fields = Fields::read(&mut self.report, entry.value, &entry.key.span, path, &known);
        let docs = fields.needed(&mut self.report, "docs", DOCS);
        let reserved = ["name", "fields", "template", "openings"].contains(&entry.name);
        if reserved || !entry.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            let message = format!("{path}: {} can't be a parameter's name", quoted(entry.name));
            self.report
                .add(Code::BadValue, &entry.key.span, path, message)
                .hint("small letters, digits and `-`; `name`, `fields`, `template` and `openings` are taken");
        }
        let kind = self.kind(&fields, module);
        let mut value = |name: &str| {
            let entry = fields.get(name)?;
            // A reference names a service of somebody's spec; an example of one is only a word.
            if kind.refers() {
                let empty = matches!(&entry.value.content, Content::List(items) if items.is_empty());
                return if empty { Some(serde_json::json!([])) } else { None };
            }
            let services = BTreeMap::new();
            let mut check = Check { report: &mut self.report, services: &services, base: None };
            check.value(&kind, entry.value, &entry.key.span, &fields.join(name))
        };
        let (default, example) = (value("default"), value("example"));
        let optional = fields.bool(&mut self.report, "optional");
        let shown = ["default", "example"].iter().any(|name| fields.get(name).is_some());
        if !shown && !optional && !kind.refers() {
            self.report
                .add(Code::MissingKey, &entry.key.span, path, format!("{path}: needs an `example`"))
                .hint("a parameter that everybody has to set shows how");
        }
        let runtime = fields.bool(&mut self.report, "runtime");
        Parameter { name: entry.name.into(), docs, kind, default, optional, example, runtime }
    }

    fn kind(&mut self, fields: &Fields<'_>, module: &str) -> Kind {
        let Some(entry) = fields.get("type") else {
            fields.needed(&mut self.report, "type", &format!("one of {}", suggest::list(&type_names())));
            return Kind::Text(None);
        };
        let Some(word) = text(&mut self.report, entry.value, &fields.join("type")) else {
            return Kind::Text(None);
        };
        match word {
            "string" => Kind::Text(self.pattern(fields)),
            "lines" => Kind::Lines,
            "boolean" => Kind::Bool,
            "integer" => Kind::Integer(
                self.bound(fields, "min").unwrap_or(i64::MIN),
                self.bound(fields, "max").unwrap_or(i64::MAX),
            ),
            "float" => Kind::Float(
                self.bound(fields, "min").unwrap_or(f64::NEG_INFINITY),
                self.bound(fields, "max").unwrap_or(f64::INFINITY),
            ),
            "enum" => {
                let values = fields.map(&mut self.report, "values");
                if values.is_empty() {
                    fields.needed(&mut self.report, "values", "a mapping from each word to what it means");
                }
                let path = fields.join("values");
                let docs = |entry: &Entry<'_>| {
                    let docs = text(&mut self.report, entry.value, &format!("{path}.{}", entry.name));
                    (entry.name.to_owned(), docs.unwrap_or_default().to_owned())
                };
                Kind::Enum(values.iter().map(docs).collect())
            }
            "reference" => {
                let to = fields.texts(&mut self.report, "to");
                if to.is_empty() {
                    fields.needed(&mut self.report, "to", "the template whose services it may name");
                    return Kind::Text(None);
                }
                let full =
                    |name: &str| if name.contains('.') { name.into() } else { format!("{module}.{name}") };
                Kind::Reference(to.iter().map(|(name, _)| full(name)).collect())
            }
            "list" | "map" | "union" => {
                let Some(of) = fields.get("of") else {
                    fields.needed(&mut self.report, "of", "the type of its items, such as `of: port`");
                    return Kind::Text(None);
                };
                let nodes = match (word, &of.value.content) {
                    ("union", Content::List(items)) => items.iter().collect(),
                    _ => vec![of.value],
                };
                let mut kinds: Vec<_> = nodes
                    .into_iter()
                    .map(|node| self.inner(node, &of.key.span, &fields.join("of"), module))
                    .collect();
                match word {
                    "union" => Kind::Union(kinds),
                    _ => {
                        let one = Box::new(kinds.pop().unwrap_or(Kind::Text(None)));
                        if word == "list" { Kind::List(one) } else { Kind::Map(one) }
                    }
                }
            }
            _ => match Format::ALL.iter().find(|(name, _)| *name == word) {
                Some((_, format)) => Kind::Format(*format),
                None => {
                    let names = type_names();
                    let near = suggest::nearest(word, names.iter().map(|name| (*name, &[][..])));
                    let hint = near.map_or_else(
                        || format!("the types are {}", suggest::list(&names)),
                        |near| format!("did you mean `{near}`?"),
                    );
                    let path = fields.join("type");
                    let message = format!("{path}: there is no type {}", quoted(word));
                    self.report.add(Code::UnknownValue, &entry.value.span, &path, message).hint(hint);
                    Kind::Text(None)
                }
            },
        }
    }

    /// The type of items: a word, or a mapping with more.
    fn inner(&mut self, node: &Node, at: &Range<usize>, path: &str, module: &str) -> Kind {
        if let Content::Scalar(Scalar { text, .. }) = &node.content {
            let key = Node { span: node.span.clone(), mark: None, content: scalar("type") };
            let value = Node { span: node.span.clone(), mark: None, content: scalar(text) };
            let span = node.span.clone();
            let map = Node { span, mark: None, content: Content::Map(vec![(key, value)]) };
            return self.inner(&map, at, path, module);
        }
        let known = ["type", "pattern", "min", "max", "values", "to", "of"];
        let fields = Fields::read(&mut self.report, node, at, path, &known);
        self.kind(&fields, module)
    }

    fn pattern(&mut self, fields: &Fields<'_>) -> Option<Regex> {
        let entry = fields.get("pattern")?;
        let path = fields.join("pattern");
        let pattern = text(&mut self.report, entry.value, &path)?;
        match Regex::new(pattern) {
            Ok(regex) if pattern.starts_with('^') && pattern.ends_with('$') => Some(regex),
            Ok(_) => {
                let message = format!("{path}: a pattern is for the whole text");
                self.report
                    .add(Code::BadValue, &entry.value.span, &path, message)
                    .hint("begin it with `^` and end it with `$`");
                None
            }
            Err(error) => {
                let message = format!("{path}: no pattern: {error}");
                self.report.add(Code::BadValue, &entry.value.span, &path, message);
                None
            }
        }
    }

    fn bound<T: std::str::FromStr>(&mut self, fields: &Fields<'_>, name: &str) -> Option<T> {
        let entry = fields.get(name)?;
        let path = fields.join(name);
        let number = text(&mut self.report, entry.value, &path)?;
        number.parse().ok().or_else(|| {
            let message = format!("{path}: {} is not a number", quoted(number));
            self.report.add(Code::BadValue, &entry.value.span, &path, message);
            None
        })
    }

    fn output(&mut self, entry: &Entry<'_>, path: &str) -> Output {
        let fields = Fields::read(&mut self.report, entry.value, &entry.key.span, path, &["docs", "value"]);
        let docs = fields.needed(&mut self.report, "docs", DOCS);
        let value = self.needed_expression(&fields, "value");
        Output { name: entry.name.into(), docs, value }
    }

    fn field(&mut self, entry: &Entry<'_>, path: &str) -> Field {
        let fields = Fields::read(&mut self.report, entry.value, &entry.key.span, path, &["docs", "merge"]);
        let docs = fields.needed(&mut self.report, "docs", DOCS);
        let names = Merge::ALL.map(|(name, _)| name);
        let word = fields.needed(&mut self.report, "merge", &format!("one of {}", suggest::list(&names)));
        let merge = Merge::ALL.iter().find(|(name, _)| *name == word).map(|(_, merge)| *merge);
        if merge.is_none()
            && !word.is_empty()
            && let Some(entry) = fields.get("merge")
        {
            let path = fields.join("merge");
            let message = format!("{path}: {} is not one of {}", quoted(&word), suggest::list(&names));
            self.report.add(Code::UnknownValue, &entry.value.span, &path, message);
        }
        Field { name: entry.name.into(), docs, merge: merge.unwrap_or(Merge::Append) }
    }

    fn contribution(&mut self, node: &Node, path: &str, parameters: &[Parameter]) -> Contribution {
        let fields =
            Fields::read(&mut self.report, node, &node.span, path, &["to", "field", "value", "from"]);
        let to = fields.needed(&mut self.report, "to", "the parameter that refers to the other service");
        if !to.is_empty() && !parameters.iter().any(|p| p.name == to && p.kind.refers()) {
            let message = format!("{path}: {} is no parameter that refers to a service", quoted(&to));
            self.report.add(Code::NotFound, &fields.at, path, message);
        }
        let field = fields.needed(&mut self.report, "field", "the other template's field");
        let value = self.needed_expression(&fields, "value");
        let from = fields.text(&mut self.report, "from").map(str::to_owned);
        Contribution { to, field, value, from }
    }

    fn conflict(&mut self, node: &Node, path: &str) -> Conflict {
        let known = ["when", "because", "instead", "at"];
        let fields = Fields::read(&mut self.report, node, &node.span, path, &known);
        Conflict {
            when: self.needed_expression(&fields, "when"),
            because: fields.needed(&mut self.report, "because", "why it doesn't go together"),
            instead: fields.needed(&mut self.report, "instead", "the way out"),
            at: fields.text(&mut self.report, "at").map(str::to_owned),
        }
    }

    fn file(&mut self, node: &Node, path: &str) -> FileRule {
        let fields =
            Fields::read(&mut self.report, node, &node.span, path, &["path", "template", "mode", "adds"]);
        let mode = fields
            .text(&mut self.report, "mode")
            .map_or(Some(0o644), |mode| u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o755));
        if mode.is_none() {
            let message = format!("{path}: mode is not an octal number up to 0755");
            self.report.add(Code::BadValue, &fields.at, path, message);
        }
        fields.needed(&mut self.report, "path", "where the file goes");
        let (path, template) = (self.one(&fields, "path"), self.template_name(&fields));
        let adds = fields.bool(&mut self.report, "adds");
        FileRule { path, template, mode: mode.unwrap_or(0o644), adds }
    }

    fn copy(&mut self, node: &Node, path: &str) -> CopyRule {
        let fields = Fields::read(&mut self.report, node, &node.span, path, &["from", "path"]);
        fields.needed(&mut self.report, "from", "the file or folder beside the spec");
        fields.needed(&mut self.report, "path", "where it goes");
        CopyRule { from: self.one(&fields, "from"), path: self.one(&fields, "path") }
    }

    fn unit(&mut self, node: &Node, path: &str) -> UnitRule {
        let fields =
            Fields::read(&mut self.report, node, &node.span, path, &["name", "template", "start", "widen"]);
        let start = fields.get("start").is_none() || fields.bool(&mut self.report, "start");
        let widen = (fields.list(&mut self.report, "widen").into_iter())
            .map(|node| self.widen(node, &format!("{path}.widen")))
            .collect();
        fields.needed(&mut self.report, "name", "the unit's name with its suffix");
        UnitRule { name: self.one(&fields, "name"), template: self.template_name(&fields), start, widen }
    }

    fn widen(&mut self, node: &Node, path: &str) -> Widen {
        let known = ["setting", "value", "because", "when"];
        let fields = Fields::read(&mut self.report, node, &node.span, path, &known);
        let setting = fields.needed(&mut self.report, "setting", "the sandbox's setting that is changed");
        if !setting.is_empty() && !sandbox::knows(&setting) {
            let names = sandbox::names();
            let near = suggest::nearest(&setting, names.iter().map(|name| (*name, &[][..])));
            let hint = near.map_or_else(
                || format!("the settings are {}", suggest::list(&names)),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("{path}: the sandbox has no setting {}", quoted(&setting));
            self.report.add(Code::UnknownValue, &fields.at, path, message).hint(hint);
        }
        let because = fields.needed(&mut self.report, "because", "who widens a sandbox says why");
        Widen { setting, value: self.one(&fields, "value"), because, when: self.expression(&fields, "when") }
    }

    fn template_name(&mut self, fields: &Fields<'_>) -> String {
        let name = fields.needed(&mut self.report, "template", "the name of a file in templates/");
        if let Some(entry) = fields.get("template")
            && !name.is_empty()
            && !self.texts.contains_key(&name)
        {
            let near = suggest::nearest(&name, self.texts.keys().map(|name| (name.as_str(), &[][..])));
            let path = fields.join("template");
            let message = format!("{path}: there is no templates/{name}");
            let hint = near.map_or_else(|| "add it".into(), |near| format!("did you mean `{near}`?"));
            self.report.add(Code::NotFound, &entry.value.span, &path, message).hint(hint);
        }
        name
    }

    fn line(&self, node: &Node) -> usize {
        self.source.as_bytes()[..node.span.start.min(self.source.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1
    }

    /// Texts to render, checked for their syntax.
    fn written(&mut self, fields: &Fields<'_>, name: &str) -> Vec<Written> {
        let texts = fields.texts(&mut self.report, name);
        let mut out = Vec::new();
        for (text, node) in texts {
            if let Err(error) = self.engine.template_from_str(text) {
                let path = fields.join(name);
                self.report.add(Code::Syntax, &node.span, &path, format!("{path}: {}", says(&error)));
            }
            out.push(Written { text: text.to_owned(), line: self.line(node) });
        }
        out
    }

    fn one(&mut self, fields: &Fields<'_>, name: &str) -> Written {
        if fields
            .get(name)
            .is_none_or(|entry| matches!(&entry.value.content, Content::Scalar(s) if s.text.is_empty()))
        {
            return Written::default();
        }
        self.written(fields, name).pop().unwrap_or_default()
    }

    fn expression(&mut self, fields: &Fields<'_>, name: &str) -> Option<Written> {
        let entry = fields.get(name)?;
        let path = fields.join(name);
        let found = text(&mut self.report, entry.value, &path)?;
        if let Err(error) = self.engine.compile_expression(found) {
            self.report.add(Code::Syntax, &entry.value.span, &path, format!("{path}: {}", says(&error)));
        }
        Some(Written { text: found.to_owned(), line: self.line(entry.value) })
    }

    fn needed_expression(&mut self, fields: &Fields<'_>, name: &str) -> Written {
        fields.needed(&mut self.report, name, "an expression of the template engine");
        self.expression(fields, name).unwrap_or_default()
    }

    /// Builds the example with this module alone.
    fn example(&mut self, root: &Node, module: &Module) {
        let Some(node) = root.get("example") else { return };
        let modules = [module];
        let services = plan::Request {
            modules: &modules,
            services: node,
            path: "example",
            targets: &BTreeMap::new(),
            base: None,
        };
        let output = plan::plan(&services, &mut self.report);
        if output.services.is_empty() && self.report.is_empty() {
            self.report.add(Code::BadValue, &node.span, "example", "the example has no services".into());
        }
    }
}

/// What the template engine says of a mistake.
pub(crate) fn says(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

fn scalar(text: &str) -> Content {
    Content::Scalar(Scalar { text: text.into(), plain: true })
}

fn type_names() -> Vec<&'static str> {
    let own = ["string", "lines", "integer", "float", "boolean", "enum", "reference", "list", "map", "union"];
    own.into_iter().chain(Format::ALL.map(|(name, _)| name)).collect()
}

/// The lines of a mapping, without their indentation; it is the last thing in its file or ends with the next
/// line that isn't indented.
fn block(source: &str, node: &Node) -> String {
    let start = source.get(..node.span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let lines: Vec<_> = source.get(start..).unwrap_or_default().lines().collect();
    let indent = lines.first().map_or(0, |line| line.len() - line.trim_start().len());
    let kept = lines.into_iter().take_while(|line| indent > 0 && (line.is_empty() || line.starts_with(' ')));
    let kept: Vec<_> = kept.map(|line| line.get(indent..).unwrap_or_default()).collect();
    kept.join("\n").trim_end().to_owned() + "\n"
}
