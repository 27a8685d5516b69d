//! Modules in folders: the one of the guide is good, and what is wrong with others is said at its place.

use std::collections::BTreeMap;
use std::path::Path;

use twinhull_modules::{library, load};
use twinhull_source::Code;

const GOOD: &str = "docs: d\ntemplates:\n  t:\n    docs: d\n    units:\n      - { name: \"{{ name }}.service\", template: u }\nexample:\n  a: { template: m.t }\n";
const UNIT: &str = "[Service]\nExecStart=/usr/bin/a\nDynamicUser=yes\n";

fn load(yaml: &str, unit: &str) -> Result<twinhull_modules::Module, twinhull_source::Diagnostics> {
    load::module("module.yaml", "m", yaml, &BTreeMap::from([("u".to_owned(), unit.to_owned())]))
}

#[test]
fn the_module_of_the_guide_is_good() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/services.md");
    let guide = fs_err::read_to_string(guide).unwrap();
    let block = |start: &str| {
        let at = guide.find(start).unwrap();
        guide[at..].split("```").next().unwrap().to_owned()
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("greeter");
    fs_err::create_dir_all(folder.join("templates")).unwrap();
    fs_err::write(folder.join("module.yaml"), block("docs: Says hello")).unwrap();
    fs_err::write(folder.join("templates/greeter.service"), block("# templates/greeter.service")).unwrap();
    match library::from_folder(&folder) {
        Ok(module) => assert_eq!((module.name.as_str(), module.templates.len()), ("greeter", 1)),
        Err(library::Missing::Wrong(found)) => panic!("{found}"),
        Err(problem) => panic!("{problem:?}"),
    }
}

#[test]
fn wrong_modules() {
    use Code::*;
    assert!(load(GOOD, UNIT).is_ok());
    let parameter =
        |text: &str| GOOD.replace("    units:", &format!("    parameters:\n      p: {text}\n    units:"));
    for (yaml, unit, (line, code, message)) in [
        (String::new(), UNIT, (1, MissingKey, "the module is empty")),
        (GOOD.replace("docs: d\ntemplates", "templates"), UNIT, (1, MissingKey, "needs the key `docs`")),
        (GOOD.replace("    docs: d\n", ""), UNIT, (3, MissingKey, "templates.t: needs the key `docs`")),
        (GOOD.replace("    docs: d", "    docs: ''"), UNIT, (4, BadValue, "templates.t.docs is empty")),
        (GOOD.split("example").next().unwrap().to_owned(), UNIT, (1, MissingKey, "has no example")),
        (GOOD.replace("m.t }", "m.x }"), UNIT, (8, NotFound, "there is no template \"m.x\"")),
        (GOOD.replace("template: u }", "template: v }"), UNIT, (6, NotFound, "there is no templates/v")),
        (GOOD.replace("    units", "    unit"), UNIT, (5, UnknownKey, "there is no key \"unit\"")),
        (GOOD.replace("{{ name }}.s", "{{ name.s"), UNIT, (6, Syntax, "syntax error")),
        (GOOD.replace("{{ name }}.s", "{{ nam }}.s"), UNIT, (8, Internal, "undefined value")),
        (
            parameter("{ type: port, default: 1 }"),
            UNIT,
            (6, MissingKey, "parameters.p: needs the key `docs`"),
        ),
        (parameter("{ docs: d, default: 1 }"), UNIT, (6, MissingKey, "needs the key `type`")),
        (
            parameter("{ docs: d, type: prot, default: 1 }"),
            UNIT,
            (6, UnknownValue, "there is no type \"prot\""),
        ),
        (parameter("{ docs: d, type: port, default: 0 }"), UNIT, (6, BadValue, "\"0\" is not a port")),
        (parameter("{ docs: d, type: port }"), UNIT, (6, MissingKey, "needs an `example`")),
        (parameter("{ docs: d, type: list, default: [] }"), UNIT, (6, MissingKey, "needs the key `of`")),
        (
            parameter("{ docs: d, type: string, pattern: a, default: a }"),
            UNIT,
            (6, BadValue, "for the whole text"),
        ),
        (
            GOOD.into(),
            "[Service]\nExecStart=/a\n[Install]\nWantedBy=x\n",
            (1, Reserved, "templates/u:3: units"),
        ),
        (GOOD.into(), "[Service]\nExecStart={{ x }\n", (1, Syntax, "templates/u:2")),
        (GOOD.into(), "[Service]\nExecStart=/a\n", (8, Internal, "neither User= nor DynamicUser=")),
        (GOOD.into(), "[Service]\nDynamicUser=yes\nProtectHome=no\n", (8, Internal, "sets ProtectHome=")),
    ] {
        let found = load(&yaml, unit).expect_err(&yaml);
        let item = &found.items[0];
        assert_eq!((item.place.line, item.code), (line, code), "{found}");
        assert!(item.message.contains(message), "{message}: {found}");
    }
}
