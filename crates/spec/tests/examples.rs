//! The JSON Schema accepts every spec that this repository shows.

mod schema;

use std::path::{Path, PathBuf};

/// The specs in `examples/` and the one of the reference.
#[test]
fn the_schema_accepts_the_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut paths: Vec<PathBuf> = (fs_err::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    let mut texts: Vec<_> = paths.iter().map(|path| fs_err::read_to_string(path).unwrap()).collect();
    texts.push(twinhull_spec::EXAMPLE.to_owned());
    paths.push("the example of the reference".into());
    assert!(paths.len() > 2, "{paths:?}");
    // Services of every module's own example, too.
    for name in twinhull_modules::builtin::NAMES {
        let module = twinhull_modules::builtin::get(name).unwrap().unwrap();
        let services: String =
            module.example.lines().map(|line| format!("  {}\n", line.trim_end())).collect();
        texts.push(format!(
            "image: {{id: a, version: 1}}\ntree: {{dir: .}}\nmodules: [{name}]\nservices:\n{services}"
        ));
        paths.push(name.into());
    }
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    for (path, said) in paths.iter().zip(schema::judge(&texts)) {
        assert_eq!(said, "", "{}", path.display());
    }
}
