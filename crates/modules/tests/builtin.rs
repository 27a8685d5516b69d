//! The modules that come with the program are whole, and the reference page is what they say.

use std::path::Path;

use twinhull_modules::{Module, builtin, docs};

#[test]
fn all_of_them_load() {
    for name in builtin::NAMES {
        if let Err(found) = builtin::get(name).unwrap() {
            panic!("{found}");
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules");
    let mut folders: Vec<_> = fs_err::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    folders.sort();
    assert_eq!(folders, builtin::NAMES, "every folder of modules/ has a name in builtin.rs");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/modules.md");
    let modules: Vec<_> = builtin::NAMES.iter().map(|name| builtin::get(name).unwrap().unwrap()).collect();
    let modules: Vec<&Module> = modules.iter().map(|module| &**module).collect();
    let want = docs::reference(&modules);
    if std::env::var_os("TWINHULL_BLESS").is_some() {
        fs_err::write(&path, &want).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        found == want,
        "docs/reference/modules.md is out of date; TWINHULL_BLESS=1 cargo test -p twinhull-modules writes it"
    );
}
