//! `test-module`: runs the cases in `tests/` of a module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use twinhull_modules::{Module, builtin, case, library};

use crate::check::{self, print};
use crate::modules;

/// Arguments of `test-module`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each file `tests/NAME.yaml` has services, and what must come of them: `docs`, `modules` (others that it \
                        uses), `services`, and `expect` with `files`, `absent`, `listens`, `starts` or `mistake`. \
                        The guide \"Services\" has an example. Nothing is built.\n\n\
                        Exit codes: 0 all cases pass, 1 one fails or there is none, 2 the module itself has mistakes.\n\n\
                        Example:\n  image-builder test-module modules/greeter"
)]
pub(crate) struct TestModuleArgs {
    /// The folder of the module
    folder: PathBuf,
    /// Print the result of each case as JSON
    #[arg(long)]
    json: bool,
}

/// Runs all cases, in the order of their names.
pub(crate) fn run(args: &TestModuleArgs) -> Result<ExitCode> {
    let Ok(module) = library::from_folder(&args.folder) else {
        // It says why, in the form that was asked for.
        return modules::check_folder(&args.folder, args.json);
    };
    let mut results = BTreeMap::new();
    for path in cases(&args.folder)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        results.insert(name, one(&path, &args.folder, &module)?);
    }
    if args.json {
        let results: Vec<_> = results
            .iter()
            .map(|(name, found)| {
                let errors = found.as_ref().err().map(|found| found.to_json());
                json!({ "case": name, "ok": found.is_ok(), "errors": errors.unwrap_or_else(|| json!([])) })
            })
            .collect();
        print(std::io::stdout(), &format!("{}\n", serde_json::to_string_pretty(&results)?))?;
    } else {
        for (name, found) in &results {
            match found {
                Ok(docs) => print(std::io::stdout(), &format!("{name}: ok: {docs}\n"))?,
                Err(found) => {
                    print(std::io::stdout(), &format!("{name}: FAILED\n"))?;
                    check::show(found)?;
                }
            }
        }
    }
    if results.is_empty() {
        bail!("{} has no case; write one, tests/NAME.yaml", args.folder.display());
    }
    let good = results.values().all(Result::is_ok);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cases(folder: &Path) -> Result<Vec<PathBuf>> {
    let tests = folder.join("tests");
    if !tests.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(&tests)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs one case; what it shows, or what is different.
fn one(
    path: &Path,
    folder: &Path,
    module: &Module,
) -> Result<Result<String, Box<twinhull_spec::Diagnostics>>> {
    let size = fs_err::metadata(path)?.len();
    // Whatever is larger than what is read is refused by its length.
    anyhow::ensure!(
        size <= twinhull_spec::MAX_SIZE as u64 + 1,
        "{} is far too large for a case",
        path.display()
    );
    let source = fs_err::read_to_string(path)?;
    let file = path.display().to_string();
    let case = match case::read(&file, &source) {
        Ok(case) => case,
        Err(found) => return Ok(Err(Box::new(found))),
    };
    let others = case.modules.iter().map(|name| other(name, folder)).collect::<Result<Vec<_>>>()?;
    let all: Vec<&Module> = std::iter::once(module).chain(others.iter().map(|other| &**other)).collect();
    Ok(match case::judge(&file, &source, &case, &all) {
        Ok(()) => Ok(case.docs),
        Err(found) => Err(Box::new(found)),
    })
}

fn other(name: &str, folder: &Path) -> Result<Arc<Module>> {
    if library::is_path(name) {
        return modules::folder(&folder.join(name));
    }
    let found = builtin::get(name).with_context(|| {
        format!(
            "there is no module {name:?}; there are {}, and a folder is written ./{name}",
            builtin::NAMES.join(", ")
        )
    })?;
    Ok(found?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_this_repository_pass_their_cases() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
        for name in builtin::NAMES {
            let folder = folder.join(name);
            assert!(!cases(&folder).unwrap().is_empty(), "{name} has no case");
            let code = run(&TestModuleArgs { folder, json: false }).unwrap();
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{name}");
        }
    }
}
