//! The modules that come with the program: the folder `modules/` of the repository, compiled in.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use twinhull_source::Diagnostics;

use crate::load;
use crate::model::Module;

static MODULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../modules");

/// Their names, sorted.
pub const NAMES: [&str; 11] = [
    "acme",
    "app",
    "files",
    "login-shell",
    "nftables",
    "nginx",
    "node-exporter",
    "openssh",
    "php-fpm",
    "timesyncd",
    "users",
];

/// The module of this name, which is loaded once.
pub fn get(name: &str) -> Option<Result<Arc<Module>, Diagnostics>> {
    static LOADED: [OnceLock<Result<Arc<Module>, Diagnostics>>; NAMES.len()] =
        [const { OnceLock::new() }; NAMES.len()];
    let n = NAMES.iter().position(|known| *known == name)?;
    Some(LOADED[n].get_or_init(|| read(name)).clone())
}

fn read(name: &str) -> Result<Arc<Module>, Diagnostics> {
    let text = |path: &str| MODULES.get_file(path).and_then(|file| file.contents_utf8()).unwrap_or_default();
    let folder = MODULES.get_dir(format!("{name}/templates"));
    let texts: BTreeMap<String, String> = (folder.iter().flat_map(|dir| dir.files()))
        .filter_map(|file| {
            let name = file.path().file_name()?.to_str()?.to_owned();
            Some((name, file.contents_utf8()?.to_owned()))
        })
        .collect();
    let file = format!("modules/{name}/module.yaml");
    load::module(&file, name, text(&format!("{name}/module.yaml")), &texts).map(Arc::new)
}
