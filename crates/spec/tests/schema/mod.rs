//! Whether python3-jsonschema, which isn't ours, judges specs by our JSON Schema as the check does.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use twinhull_spec::Code;

/// Reads a schema and documents as JSON, prints a line each: what the schema says of it, or nothing.
const JUDGE: &str = "
import json, sys, yaml, jsonschema

# YAML 1.2, as editors read it: `on` is a word, a date is one, too.
class Reader(yaml.SafeLoader):
    pass
Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in kinds if tag not in ('tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:bool')]
    for first, kinds in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
import re
Reader.add_implicit_resolver('tag:yaml.org,2002:bool', re.compile('^(true|false)$'), list('tf'))

asked = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(asked['schema'])
judge = jsonschema.Draft202012Validator(asked['schema'])
for text in asked['texts']:
    try:
        document = yaml.load(text, Reader)
    except yaml.YAMLError:
        print('it is no YAML')
        continue
    errors = [error.message for error in judge.iter_errors(document)]
    print(json.dumps(errors[0])[:300] if errors else '')
";

/// What the schema says of each text; nothing when it accepts it.
pub(crate) fn judge(texts: &[&str]) -> Vec<String> {
    let asked = serde_json::json!({ "schema": twinhull_spec::json_schema(), "texts": texts });
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed, with jsonschema and yaml");
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "python3-jsonschema and python3-yaml are needed");
    let said: Vec<_> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(said.len(), texts.len());
    said
}

/// Makes sure that the schema rejects those of the wrong specs that a schema can reject: by shape, by key and by word.
#[allow(dead_code, reason = "one of several users of this file doesn't need it")]
pub(crate) fn agrees(wrong: &[(String, Code, String)]) {
    let texts: Vec<_> = wrong.iter().map(|(text, ..)| text.as_str()).collect();
    for ((text, code, message), said) in wrong.iter().zip(judge(&texts)) {
        let by_schema =
            matches!(code, Code::MissingKey | Code::UnknownKey | Code::UnknownValue | Code::WrongType);
        // Which services there are, and from which templates, a schema cannot look up.
        let of_template = message.contains("\" is a ") || message.contains("a service of ");
        assert!(
            !by_schema || of_template || !said.is_empty(),
            "the schema accepts this, which is {code}:\n{text}"
        );
    }
}
