//! The table of keys for people, as Markdown, and for editors, as a JSON Schema.

use serde_json::{Value, json};

use crate::schema::keys::SPEC;
use crate::schema::{Choice, Default, Key, Kind, PathKind, Repeat, Text};
use crate::validate::{SIZE_PATTERN, short_size};
use twinhull_source::diagnostic::{Code, MAX_ITEMS};

/// A spec that uses every key of the Debian source.
pub const EXAMPLE: &str = "\
image:
  id: web-server
  version: 1.4.0
  arch: x86-64

tree:
  debian:
    suite: trixie
    packages: [openssh-server, nginx]
    kernel: linux-image-cloud-amd64
    mirror: https://mirror.example/debian

system:
  hostname: web-1
  enable: [nginx.service]

boot:
  profile: cloud
  modules: [nvme]
  cmdline: [net.ifnames=0]
  firmware: [uefi, bios]
  emergency: reboot
  secure-boot:
    certificate: keys/db.crt
    key: keys/db.key

disk:
  esp: 256M
  usr: 2G
  var: 4G
  swap: 1G
  encryption: machine-key

modules: [app]

services:
  bots:
    template: app.service
    command: [/usr/bin/tgbots]
    network: true

targets:
  multi-user:
    wants: [bots]

data-disks:
  - name: store
    disk: /dev/disk/by-path/pci-0000:00:06.0
    mount: /srv/store
    foreign-data: keep

updates:
  urls: [https://updates.example/releases]
  root: keys/1.root.json
  channel: stable
  reboot: immediate
  reboot-through: soft-reboot
  windows: [Sat Sun 02:00 3h]
  time-zone: Europe/Berlin
  fleet-lock:
    url: https://locks.example/base
    group: web
  bandwidth: 4M
";

/// docs/reference/spec.md
pub fn reference_markdown() -> String {
    let mut out = String::from(
        "<!-- Made from the table of keys in crates/spec; TWINHULL_BLESS=1 cargo test -p twinhull-spec writes it. -->\n\
         \n\
         # The spec\n\
         \n\
         One YAML file describes an image. `image-builder check SPEC` shows every mistake in it with its place; \
         `image-builder build SPEC` checks the same before it does anything.\n\
         \n\
         Keys that are not listed here are refused. Anchors, aliases and tags are not used. A spec has at most \
         1 MiB.\n\
         \n\
         ```yaml\n",
    );
    out += EXAMPLE;
    out += "```\n";
    sections(&mut out, SPEC, "");
    out += "\n## Mistakes\n\n\
            `check` exits with 0 for a good spec, with 2 for one with mistakes, and with 1 when the file can't be \
            read. Mistakes are shown on standard error in the order of the file, each with its code:\n\n\
            | Code | Meaning |\n|---|---|\n";
    for code in Code::ALL {
        out += &format!("| `{}` | {} |\n", code.name(), code.docs());
    }
    out += &format!(
        "\nWhen the file stops being YAML somewhere, what stands before that place is still checked, but for \
         missing keys. At most {MAX_ITEMS} mistakes are listed.\n\
         \n\
         `check --json` prints one object on standard output: `ok`, a boolean, `errors`, a list, and `omitted`, \
         the number of mistakes that are not listed. A good spec has `\"ok\": true` and no errors. Each error \
         has these fields:\n\
         \n\
         | Field | Meaning |\n\
         |---|---|\n\
         | `file` | the spec as named on the command line |\n\
         | `line`, `column` | where the mistake begins, both from 1; columns count characters |\n\
         | `length` | how many characters it has in that line; 0 where something is missing |\n\
         | `code` | one of the codes above |\n\
         | `message` | what is wrong |\n\
         | `path` | the key, such as `image.version` or `boot.modules[2]`; empty for the whole file |\n\
         | `hint` | what to do; not always there |\n\
         | `related` | another place: `line`, `column`, `length` and `message`; not always there |\n"
    );
    out
}

fn sections(out: &mut String, keys: &'static [Key], path: &str) {
    for key in keys.iter().filter(|key| !key.kind.keys().is_empty()) {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let needed = if key.required() { "Required." } else { "Optional." };
        *out += &format!(
            "\n## `{path}`\n\n{} {needed}\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n",
            key.docs
        );
        for child in key.kind.keys() {
            *out += &row(child, &path);
        }
        sections(out, key.kind.keys(), &path);
    }
}

fn row(key: &Key, path: &str) -> String {
    let default = match key.default {
        Default::Required => "required".into(),
        Default::Value(value) => format!("`{value}`"),
        Default::Derived(text) => text.to_owned(),
    };
    format!("| `{}` | {} | {default} | {} |\n", key.name, value(&key.kind, path, key.name), key.docs)
}

fn value(kind: &Kind, path: &str, name: &str) -> String {
    match kind {
        Kind::Map(_) | Kind::OneOf(_) => format!("mapping, see [`{path}.{name}`](#{path}{name})"),
        Kind::Maps(_) => format!("list of mappings, see [`{path}.{name}`](#{path}{name})"),
        Kind::Named(text, _) => format!("mapping from names to mappings; each name {}", text_words(text)),
        Kind::Services => "mapping, see [Modules](modules.md)".into(),
        Kind::Text(text) => text_words(text),
        Kind::List(text, repeat) => {
            let once = if *repeat == Repeat::Allowed { "" } else { ", none of them twice" };
            format!("list{once}; each item {}", text_words(text))
        }
        Kind::Choice(choices) => {
            let words: Vec<_> = choices.iter().map(|c| format!("`{}`: {}", c.name, c.docs)).collect();
            words.join("; ")
        }
        Kind::Seconds => "whole number, not negative".into(),
        Kind::Size { min, max, .. } => format!("size from {} to {}", short_size(*min), short_size(*max)),
        Kind::Path(PathKind::File) => "path of a file, relative to the spec's folder".into(),
        Kind::Path(PathKind::Dir) => "path of a folder, relative to the spec's folder".into(),
    }
}

fn text_words(text: &Text) -> String {
    format!("{}: {}; at most {} characters; for example `{}`", text.noun, text.words, text.max, text.example)
}

/// A JSON Schema (2020-12) of the spec for editors. It knows less than [`crate::parse`]: nothing about files,
/// reserved words, or values that don't fit each other.
pub fn json_schema() -> Value {
    let mut schema = mapping(SPEC, false, true);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Twinhull image spec");
    schema
}

fn mapping(keys: &[Key], one_of: bool, required: bool) -> Value {
    let properties: serde_json::Map<_, _> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let needed: Vec<_> = keys.iter().filter(|key| key.required()).map(|key| key.name).collect();
    let mut out = json!({
        "type": if required { json!("object") } else { json!(["object", "null"]) },
        "properties": properties,
        "required": needed,
        "additionalProperties": false,
    });
    if one_of {
        out["minProperties"] = json!(1);
        out["maxProperties"] = json!(1);
    }
    out
}

fn property(key: &Key) -> Value {
    let mut out = match &key.kind {
        Kind::Map(keys) => mapping(keys, false, key.required()),
        Kind::OneOf(keys) => mapping(keys, true, key.required()),
        Kind::Maps(keys) => json!({ "type": ["array", "null"], "items": mapping(keys, false, true) }),
        Kind::Named(name, keys) => json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": name.pattern, "maxLength": name.max },
            "additionalProperties": mapping(keys, false, false),
        }),
        Kind::Services => crate::services::schema(),
        Kind::Text(text) => text_schema(text),
        Kind::List(text, repeat) => json!({
            "type": ["array", "null"],
            "items": text_schema(text),
            "uniqueItems": *repeat != Repeat::Allowed,
        }),
        Kind::Choice(choices) => {
            json!({ "enum": choices.iter().map(|choice: &Choice| choice.name).collect::<Vec<_>>() })
        }
        Kind::Seconds => json!({ "type": "integer", "minimum": 0 }),
        Kind::Size { min, max, .. } => {
            json!({ "type": ["string", "integer"], "pattern": SIZE_PATTERN, "minimum": min, "maximum": max })
        }
        Kind::Path(_) => json!({ "type": ["string", "number"], "minLength": 1 }),
    };
    out["description"] = json!(key.docs);
    if let Default::Value(text) = key.default {
        out["default"] = if text == "[]" { json!([]) } else { json!(text) };
    }
    out
}

/// Numbers are texts to a spec, as they are written; JSON can't say how.
fn text_schema(text: &Text) -> Value {
    json!({
        "type": ["string", "number"],
        "pattern": text.pattern,
        "maxLength": text.max,
        "examples": [text.example],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::matches;

    fn texts(keys: &'static [Key]) -> Vec<&'static Text> {
        keys.iter()
            .flat_map(|key| match &key.kind {
                Kind::Text(text) | Kind::List(text, _) => vec![*text],
                kind => texts(kind.keys()),
            })
            .collect()
    }

    #[test]
    fn examples_match_their_patterns() {
        for text in texts(SPEC) {
            assert!(matches(text, text.example), "{} is not {}", text.example, text.noun);
        }
    }

    #[test]
    fn defaults_of_the_table_are_the_types_defaults() {
        let spec = crate::from_str("image: {id: a, version: 1}\ntree: {debian: {suite: trixie}}").unwrap();
        let spec = serde_json::to_value(spec).unwrap();
        fn compare(keys: &'static [Key], value: &Value) {
            for key in keys {
                if let Default::Value(text) = key.default {
                    let found = match &value[key.name] {
                        Value::String(text) => text.clone(),
                        // The builder fills in sizes.
                        Value::Null => continue,
                        other => other.to_string(),
                    };
                    assert_eq!(found, text, "{}", key.name);
                }
                if !matches!(key.kind, Kind::Maps(_) | Kind::Named(..)) {
                    compare(key.kind.keys(), &value[key.name]);
                }
            }
        }
        compare(SPEC, &spec);
    }

    #[test]
    fn every_key_has_a_place_in_the_types() {
        let spec = crate::from_str(EXAMPLE).unwrap();
        let spec = serde_json::to_value(spec).unwrap();
        fn compare(keys: &'static [Key], value: &Value, one_of: bool) {
            let names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
            for key in keys.iter().filter(|key| !one_of || names.contains(&key.name)) {
                assert!(names.contains(&key.name), "{} is not in the types", key.name);
                if !key.kind.keys().is_empty() {
                    let value = &value[key.name];
                    let value = match key.kind {
                        Kind::Maps(_) => &value[0],
                        Kind::Named(..) => value.as_object().unwrap().values().next().unwrap(),
                        _ => value,
                    };
                    compare(key.kind.keys(), value, matches!(key.kind, Kind::OneOf(_)));
                }
            }
            for name in names {
                assert!(keys.iter().any(|key| key.name == name), "{name} is not in the table");
            }
        }
        compare(SPEC, &spec, false);
    }

    #[test]
    fn the_schema_knows_every_level() {
        let schema = json_schema();
        let suite = "/properties/tree/properties/debian/properties/suite/pattern";
        assert_eq!(schema.pointer(suite), Some(&json!("^[a-z][a-z0-9-]*$")));
        assert_eq!(schema["required"], json!(["image", "tree"]));
        assert_eq!(schema.pointer("/properties/tree/maxProperties"), Some(&json!(1)));
    }
}
