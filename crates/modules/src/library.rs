//! Where modules come from: a built-in name, or a folder beside the spec.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use twinhull_source::yaml::{MAX_SIZE, Node};
use twinhull_source::{Code, Diagnostics, Report, quoted, suggest};

use crate::model::Module;
use crate::{builtin, load};

/// Most files in a module's `templates/`.
const TEMPLATES_MAX: usize = 200;

/// Why a module isn't there.
#[derive(Debug)]
pub enum Missing {
    /// It can't be read.
    Unreadable(String),
    /// Something is wrong in it.
    Wrong(Box<Diagnostics>),
}

/// Whether `text` is the path of a folder rather than a built-in name.
pub fn is_path(text: &str) -> bool {
    text.starts_with('.') || text.contains('/')
}

/// Reads the module in `folder`, whose last part is its name.
pub fn from_folder(folder: &Path) -> Result<Module, Missing> {
    let unreadable = |error: std::io::Error| Missing::Unreadable(error.to_string());
    let whole = fs_err::canonicalize(folder).map_err(unreadable)?;
    let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let file = folder.join("module.yaml");
    let source = read(&file)?;
    let mut texts = BTreeMap::new();
    let templates = folder.join("templates");
    if templates.is_dir() {
        for entry in fs_err::read_dir(&templates).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if texts.len() == TEMPLATES_MAX {
                let message = format!("{} has more than {TEMPLATES_MAX} files", templates.display());
                return Err(Missing::Unreadable(message));
            }
            texts.insert(entry.file_name().to_string_lossy().into_owned(), read(&entry.path())?);
        }
    }
    load::module(&file.display().to_string(), &name, &source, &texts).map_err(|e| Missing::Wrong(Box::new(e)))
}

fn read(path: &Path) -> Result<String, Missing> {
    let unreadable = |error: std::io::Error| Missing::Unreadable(error.to_string());
    let size = fs_err::metadata(path).map_err(unreadable)?.len();
    if size > MAX_SIZE as u64 {
        let message = format!("{} is larger than {MAX_SIZE} bytes", path.display());
        return Err(Missing::Unreadable(message));
    }
    fs_err::read_to_string(path).map_err(unreadable)
}

/// The module that `text` of a spec in the folder `base` names. Without `base`, folders are not looked for.
pub fn find(
    text: &str,
    node: &Node,
    path: &str,
    base: Option<&Path>,
    report: &mut Report<'_>,
) -> Option<Arc<Module>> {
    if !is_path(text) {
        let Some(found) = builtin::get(text) else {
            let near = suggest::nearest(text, builtin::NAMES.iter().map(|name| (*name, &[][..])));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "there are {}; a folder beside the spec is written ./{text}",
                    suggest::list(&builtin::NAMES)
                ),
            };
            let message = format!("{path}: there is no module {}", quoted(text));
            report.add(Code::NotFound, &node.span, path, message).hint(hint);
            return None;
        };
        return found.map_err(|found| wrong(text, node, path, &found, report)).ok();
    }
    match from_folder(&base?.join(text)) {
        Ok(module) => Some(Arc::new(module)),
        Err(Missing::Unreadable(problem)) => {
            let message = format!("{path}: the module {} can't be read: {problem}", quoted(text));
            report
                .add(Code::NotFound, &node.span, path, message)
                .hint("a module is a folder with module.yaml; paths start at the spec's folder");
            None
        }
        Err(Missing::Wrong(found)) => {
            wrong(text, node, path, &found, report);
            None
        }
    }
}

/// A module with mistakes: the first is said here, all of them where the module is checked by itself.
fn wrong(text: &str, node: &Node, path: &str, found: &Diagnostics, report: &mut Report<'_>) {
    let first = found
        .items
        .first()
        .map(|item| format!(": {}:{}:{}: {}", found.file, item.place.line, item.place.column, item.message));
    let message = format!("{path}: the module {} has mistakes{}", quoted(text), first.unwrap_or_default());
    report
        .add(Code::BadValue, &node.span, path, message)
        .hint("`image-builder check FOLDER` shows all of them");
}
