//! What modules say of themselves, for people: the text of `explain` and the reference page.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::{Module, Parameter, Template};

/// A value as YAML in one line.
pub fn yaml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<_> =
                map.iter().map(|(name, value)| format!("{name}: {}", yaml(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => {
            let plain = !text.is_empty()
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.@+ ".contains(c))
                && !text.ends_with(' ')
                && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.as_str());
            if plain { text.clone() } else { value.to_string() }
        }
        other => other.to_string(),
    }
}

/// docs/reference/modules.md
pub fn reference(modules: &[&Module]) -> String {
    let mut out = String::from(
        "<!-- Made from modules/; TWINHULL_BLESS=1 cargo test -p twinhull-modules writes it. -->\n\n\
         # Modules\n\n\
         What the modules that come with `image-builder` can make. [Services](../guides/services.md) says how to use \
         them; `image-builder explain NAME` prints the same.\n",
    );
    for module in modules {
        out += "\n";
        out += &of_module(module);
    }
    out
}

/// A module in Markdown.
pub fn of_module(module: &Module) -> String {
    let mut out = format!("## `{}`\n\n{}\n\n```yaml\n", module.name, module.docs);
    let _ = write!(out, "modules: [{}]\nservices:\n", module.name);
    module.example.lines().for_each(|line| {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    });
    out += "```\n";
    for template in &module.templates {
        out += "\n";
        out += &of_template(module, template);
    }
    out
}

/// A template in Markdown.
pub fn of_template(module: &Module, template: &Template) -> String {
    let mut out = format!("### `{}.{}`\n\n{}\n", module.name, template.name, template.docs);
    if !template.parameters.is_empty() {
        out += "\n| Parameter | Value | Default | Meaning |\n|---|---|---|---|\n";
        for parameter in &template.parameters {
            let mut docs = one_line(&parameter.docs);
            if parameter.runtime {
                docs += " A machine may set it.";
            }
            let (noun, default) = (parameter.kind.noun(), default(parameter));
            let _ = writeln!(out, "| `{}` | {noun} | {default} | {docs} |", parameter.name);
        }
    }
    if !template.outputs.is_empty() {
        out += "\nOther services that name it learn:\n\n";
        for output in &template.outputs {
            let _ = writeln!(out, "- `{}`: {}", output.name, one_line(&output.docs));
        }
    }
    if !template.fields.is_empty() {
        out += "\nOther services contribute:\n\n";
        for field in &template.fields {
            let _ = writeln!(out, "- `{}`: {}", field.name, one_line(&field.docs));
        }
    }
    out
}

/// A parameter in Markdown.
pub fn of_parameter(module: &Module, template: &Template, parameter: &Parameter) -> String {
    let mut out = format!(
        "### `{}.{}.{}`\n\n{}\n\nValue: {}\nDefault: {}\n",
        module.name,
        template.name,
        parameter.name,
        parameter.docs,
        parameter.kind.noun(),
        default(parameter)
    );
    if let Some(example) = &parameter.example {
        let _ = writeln!(out, "Example: `{}: {}`", parameter.name, yaml(example));
    }
    if parameter.runtime {
        out += "A machine may set it, by its user data.\n";
    }
    if let crate::kind::Kind::Enum(words) = &parameter.kind {
        out += "\n";
        for (word, docs) in words {
            let _ = writeln!(out, "- `{word}`: {docs}");
        }
    }
    out
}

fn default(parameter: &Parameter) -> String {
    match &parameter.default {
        Some(value) => format!("`{}`", yaml(value)),
        None if parameter.optional => "none".into(),
        None => "required".into(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
