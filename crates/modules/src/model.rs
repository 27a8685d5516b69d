//! A module as it is once loaded. Only [`crate::load`] makes one, so whatever is here was checked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kind::Kind;
use crate::machine::Texts;

/// A module.
#[derive(Debug)]
pub struct Module {
    /// Its name, the first part of its templates' names.
    pub name: String,
    /// What it is for.
    pub docs: String,
    /// Commands it may need of the tree, with the Debian packages that have them.
    pub commands: BTreeMap<String, Vec<String>>,
    /// Its templates, in the order of module.yaml.
    pub templates: Vec<Template>,
    /// Services that show how it is used, as YAML.
    pub example: String,
    /// Its texts, for images whose machines may set parameters.
    pub(crate) texts: Texts,
    /// Texts of `templates/` and of module.yaml itself, compiled.
    pub(crate) engine: minijinja::Environment<'static>,
}

impl Module {
    /// The template of this name.
    pub fn template(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }
}

/// A text or expression of module.yaml with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its line in module.yaml, from 1.
    pub line: usize,
}

/// A service template.
#[derive(Debug)]
pub struct Template {
    /// Without the module's name.
    pub name: String,
    /// What it makes.
    pub docs: String,
    /// What a service may say.
    pub parameters: Vec<Parameter>,
    /// What other services learn of it.
    pub outputs: Vec<Output>,
    /// What other services contribute to it.
    pub fields: Vec<Field>,
    /// What it contributes to others.
    pub contributes: Vec<Contribution>,
    /// What doesn't go together.
    pub conflicts: Vec<Conflict>,
    /// Commands it needs, each a text to render.
    pub needs: Vec<Written>,
    /// Ports it listens on: an expression.
    pub listens: Option<Written>,
    /// What no other service may have, each a text to render.
    pub claims: Vec<Written>,
    /// Whether its texts may say what all services listen on.
    pub openings: bool,
    /// Whether it talks to the network besides: an expression.
    pub network: Option<Written>,
    /// Files.
    pub files: Vec<FileRule>,
    /// Files and folders beside the spec.
    pub copies: Vec<CopyRule>,
    /// Units.
    pub units: Vec<UnitRule>,
    /// Lines of sysusers.d.
    pub sysusers: Vec<Written>,
    /// Lines of tmpfiles.d.
    pub tmpfiles: Vec<Written>,
    /// The command that says whether it is well: an expression.
    pub health: Option<Written>,
}

impl Template {
    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// As written in the spec.
    pub name: String,
    /// What it means.
    pub docs: String,
    /// What it holds.
    pub kind: Kind,
    /// What it is when nothing is said.
    pub default: Option<Value>,
    /// Whether it may be nothing.
    pub optional: bool,
    /// A value that is right.
    pub example: Option<Value>,
    /// Whether a machine may set it, too.
    pub runtime: bool,
}

impl Parameter {
    /// Whether a service must say it.
    pub fn required(&self) -> bool {
        self.default.is_none() && !self.optional
    }
}

/// An output.
#[derive(Debug)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// What it means.
    pub docs: String,
    /// An expression.
    pub value: Written,
}

/// How contributions become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// One contribution at most of each value.
    Unique,
    /// All of them, in the order of services' names.
    Append,
    /// Each value once, sorted.
    Union,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// All contributions are the same.
    Agree,
}

impl Merge {
    /// All rules, with the words that module.yaml has for them.
    pub const ALL: [(&'static str, Merge); 6] = [
        ("unique", Merge::Unique),
        ("append", Merge::Append),
        ("union", Merge::Union),
        ("min", Merge::Min),
        ("max", Merge::Max),
        ("agree", Merge::Agree),
    ];
}

/// What others contribute to.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it means.
    pub docs: String,
    /// How contributions are put together.
    pub merge: Merge,
}

/// What a service contributes to another.
#[derive(Debug)]
pub struct Contribution {
    /// The parameter that refers to the other.
    pub to: String,
    /// The other's field.
    pub field: String,
    /// An expression; nothing contributes nothing.
    pub value: Written,
    /// The parameter that people would change, for mistakes.
    pub from: Option<String>,
}

/// What doesn't go together.
#[derive(Debug)]
pub struct Conflict {
    /// An expression.
    pub when: Written,
    /// The sentence.
    pub because: String,
    /// The way out.
    pub instead: String,
    /// The parameter it is shown at.
    pub at: Option<String>,
}

/// A file to make.
#[derive(Debug)]
pub struct FileRule {
    /// Where it goes: a text to render; an empty one makes no file.
    pub path: Written,
    /// The name of its template.
    pub template: String,
    /// Its mode.
    pub mode: u32,
    /// Whether it goes behind what the tree has at this path.
    pub adds: bool,
}

/// A file or folder beside the spec that goes into the image.
#[derive(Debug)]
pub struct CopyRule {
    /// What: a text to render; an empty one copies nothing.
    pub from: Written,
    /// Where it goes: a text to render.
    pub path: Written,
}

/// A unit to make.
#[derive(Debug)]
pub struct UnitRule {
    /// Its name: a text to render; an empty one makes no unit.
    pub name: Written,
    /// The name of its template.
    pub template: String,
    /// Whether targets that want the service want this unit.
    pub start: bool,
    /// Where it is less confined than others.
    pub widen: Vec<Widen>,
}

/// A setting of the sandbox that a template changes.
#[derive(Debug)]
pub struct Widen {
    /// The setting.
    pub setting: String,
    /// Its value: a text to render.
    pub value: Written,
    /// Why.
    pub because: String,
    /// An expression; without one, always.
    pub when: Option<Written>,
}
