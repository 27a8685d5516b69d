//! The commands about modules and services: what there is to use, what a spec's services become, and where a file
//! comes from. How services hang together is in [`crate::graph`].

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use twinhull_modules::library::{self, Missing};
use twinhull_modules::output::{Copied, File, Origin, Output};
use twinhull_modules::{Module, builtin, docs, machine};

use crate::check::{self, print};

/// Arguments of `modules`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        image-builder modules\n  \
                        image-builder modules --json | jq '.[].templates[].name'")]
pub(crate) struct ModulesArgs {
    /// Print them with all parameters as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        image-builder explain nginx\n  \
                        image-builder explain nginx.site\n  \
                        image-builder explain nginx.site.hosts\n  \
                        image-builder explain ./modules/bots")]
pub(crate) struct ExplainArgs {
    /// MODULE, MODULE.TEMPLATE or MODULE.TEMPLATE.PARAMETER; or the folder of a module
    name: String,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  image-builder search certificate")]
pub(crate) struct SearchArgs {
    /// Words that must all occur in a name or in what it means
    #[arg(required = true)]
    words: Vec<String>,
}

/// Arguments of `render`.
#[derive(Debug, Args)]
#[command(
    after_help = "What the tree has already doesn't matter: nothing but the spec and its modules is read.\n\n\
                        Examples:\n  \
                        image-builder render server.yaml\n  \
                        image-builder render server.yaml /usr/lib/systemd/system/web.service\n  \
                        image-builder render server.yaml --json | jq '.openings'"
)]
pub(crate) struct RenderArgs {
    /// The spec file
    spec: PathBuf,
    /// Only this file, as it would be in the image
    path: Option<String>,
    /// Print files, ports, needed commands and what targets want as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  image-builder why server.yaml /usr/lib/services/web/nginx.conf")]
pub(crate) struct WhyArgs {
    /// The spec file
    spec: PathBuf,
    /// A file of the image
    path: String,
    /// Print the services and where they come from as JSON
    #[arg(long)]
    json: bool,
}

/// Lists the modules that come with the program.
pub(crate) fn list(args: &ModulesArgs) -> Result<ExitCode> {
    let modules = all()?;
    let text = if args.json {
        let modules: Vec<_> = modules.iter().map(|module| module_json(module)).collect();
        serde_json::to_string_pretty(&modules)? + "\n"
    } else {
        let mut out = String::new();
        for module in &modules {
            for template in &module.templates {
                let name = format!("{}.{}", module.name, template.name);
                let _ = writeln!(out, "{name:<20} {}", first_sentence(&template.docs));
            }
        }
        out
    };
    print(std::io::stdout(), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what a module says of itself.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let (module, rest) = if library::is_path(&args.name) {
        (folder(Path::new(&args.name))?, "")
    } else {
        let (name, rest) = args.name.split_once('.').unwrap_or((&args.name, ""));
        let Some(found) = builtin::get(name) else {
            bail!(
                "there is no module {name:?}; there are {}, and a folder is written ./{name}",
                builtin::NAMES.join(", ")
            );
        };
        (found?, rest)
    };
    print(std::io::stdout(), &about(&module, rest)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The text about a module, or about the TEMPLATE or TEMPLATE.PARAMETER that `rest` names.
fn about(module: &Module, rest: &str) -> Result<String> {
    if rest.is_empty() {
        return Ok(docs::of_module(module));
    }
    let (name, parameter) = rest.split_once('.').unwrap_or((rest, ""));
    let template = module.template(name).ok_or_else(|| {
        let names: Vec<_> = module.templates.iter().map(|template| template.name.as_str()).collect();
        anyhow!("the module {} has no template {name:?}; it has {}", module.name, names.join(", "))
    })?;
    if parameter.is_empty() {
        return Ok(docs::of_template(module, template));
    }
    let found = template.parameter(parameter).ok_or_else(|| {
        let names: Vec<_> = template.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        anyhow!("{}.{name} has no parameter {parameter:?}; it has {}", module.name, names.join(", "))
    })?;
    Ok(docs::of_parameter(module, template, found))
}

/// Lists templates and parameters in whose names or docs all words occur.
pub(crate) fn search(args: &SearchArgs) -> Result<ExitCode> {
    let words: Vec<_> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let mut out = String::new();
    for module in all()? {
        for template in &module.templates {
            let full = format!("{}.{}", module.name, template.name);
            let parameters = template.parameters.iter().map(|p| (format!("{full}.{}", p.name), &p.docs));
            for (name, docs) in std::iter::once((full.clone(), &template.docs)).chain(parameters) {
                let text = format!("{name} {docs}").to_lowercase();
                if words.iter().all(|word| text.contains(word)) {
                    let _ = writeln!(out, "{name:<30} {}", first_sentence(docs));
                }
            }
        }
    }
    if out.is_empty() {
        eprintln!("nothing has {}; `image-builder modules` lists everything", args.words.join(" and "));
        return Ok(ExitCode::FAILURE);
    }
    print(std::io::stdout(), &out)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what the services of a spec become.
pub(crate) fn render(args: &RenderArgs) -> Result<ExitCode> {
    let output = match check::load(&args.spec)? {
        Ok((spec, _)) => spec.services,
        Err(code) => return Ok(code),
    };
    let text = match &args.path {
        Some(path) => match copy(&output, path) {
            Some(copied) => bail!("{path} is copied from {}, relative to the spec's folder", copied.from),
            None => find(&output, path)?.content.clone(),
        },
        None if args.json => serde_json::to_string_pretty(&output)? + "\n",
        None => files(&output),
    };
    print(std::io::stdout(), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn files(output: &Output) -> String {
    let mut out = String::new();
    for (path, file) in &output.files {
        let adds = if file.adds { ", behind what the tree has there" } else { "" };
        let _ = writeln!(out, "==> {path} ({:04o}{adds}) <==", file.mode);
        for origin in &file.origins {
            let _ = writeln!(out, "==> {}", from(origin));
        }
        out += &file.content;
        out += "\n";
    }
    for (path, copied) in &output.copies {
        let _ = writeln!(out, "==> {path}, copied from {} <==\n==> {}\n", copied.from, from(&copied.origin));
    }
    out
}

/// Says which services a file comes from.
pub(crate) fn why(args: &WhyArgs) -> Result<ExitCode> {
    let output = match check::load(&args.spec)? {
        Ok((spec, _)) => spec.services,
        Err(code) => return Ok(code),
    };
    let origins = match copy(&output, &args.path) {
        Some(copied) => std::slice::from_ref(&copied.origin),
        None => &find(&output, &args.path)?.origins,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&json!({ "path": args.path, "origins": origins }))? + "\n"
    } else {
        let mut out = String::new();
        for origin in origins {
            let line = output.services.get(&origin.service).map_or(0, |service| service.line);
            let _ = writeln!(out, "{}:{line}: {}", args.spec.display(), from(origin));
            // Services that refer to it may have contributed to it.
            for (name, service) in &output.services {
                if service.refers.values().flatten().any(|other| *other == origin.service) {
                    let (spec, line) = (args.spec.display(), service.line);
                    let _ = writeln!(
                        out,
                        "{spec}:{line}: {name} ({}) refers to {}",
                        service.template, origin.service
                    );
                }
            }
        }
        if args.path == machine::PATH {
            out += "what machines may set: the services and their modules, as data\n";
        } else if origins.is_empty() {
            let _ = writeln!(out, "{}: what targets want, under `targets:`", args.spec.display());
        }
        out
    };
    print(std::io::stdout(), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks the module in a folder.
pub(crate) fn check_folder(path: &Path, as_json: bool) -> Result<ExitCode> {
    match library::from_folder(path) {
        Ok(module) => {
            let text = if as_json {
                format!("{:#}\n", json!({ "ok": true, "errors": [], "omitted": 0 }))
            } else {
                let count = module.templates.len();
                let templates = if count == 1 { "template" } else { "templates" };
                format!("{}: ok (module {}, {count} {templates})\n", path.display(), module.name)
            };
            print(std::io::stdout(), &text)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Missing::Unreadable(problem)) => bail!("the module {} can't be read: {problem}", path.display()),
        Err(Missing::Wrong(found)) if as_json => {
            let report = json!({ "ok": false, "errors": found.to_json(), "omitted": found.omitted });
            print(std::io::stdout(), &format!("{report:#}\n"))?;
            Ok(ExitCode::from(check::MISTAKES))
        }
        Err(Missing::Wrong(found)) => {
            check::show(&found)?;
            Ok(ExitCode::from(check::MISTAKES))
        }
    }
}

/// The module in a folder.
pub(crate) fn folder(path: &Path) -> Result<Arc<Module>> {
    match library::from_folder(path) {
        Ok(module) => Ok(Arc::new(module)),
        Err(Missing::Unreadable(problem)) => bail!("the module {} can't be read: {problem}", path.display()),
        Err(Missing::Wrong(found)) => Err(anyhow::Error::new(*found)),
    }
}

fn all() -> Result<Vec<Arc<Module>>> {
    builtin::NAMES
        .iter()
        .filter_map(|name| builtin::get(name))
        .map(|found| found.map_err(Into::into))
        .collect()
}

/// What is copied to `path` or to a folder above it.
fn copy<'a>(output: &'a Output, path: &str) -> Option<&'a Copied> {
    Path::new(path).ancestors().find_map(|path| output.copies.get(path.to_str()?))
}

fn find<'a>(output: &'a Output, path: &str) -> Result<&'a File> {
    output.files.get(path).ok_or_else(|| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let same = output.files.keys().find(|other| other.ends_with(&format!("/{name}")));
        let hint = same.map_or_else(
            || "`image-builder render SPEC` lists all".into(),
            |same| format!("there is {same}"),
        );
        anyhow!("no service of the spec makes {path}; {hint}")
    })
}

fn from(origin: &Origin) -> String {
    let Origin { service, template, source, line } = origin;
    let module = template.split('.').next().unwrap_or_default();
    match source {
        Some(source) => {
            format!("{service} ({template}), {source} of the module {module}, module.yaml:{line}")
        }
        None => format!("{service} ({template}), module.yaml:{line} of the module {module}"),
    }
}

fn first_sentence(docs: &str) -> String {
    let line = docs.split_whitespace().collect::<Vec<_>>().join(" ");
    line.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

fn module_json(module: &Module) -> serde_json::Value {
    let templates: Vec<_> = (module.templates.iter())
        .map(|template| {
            let parameters: Vec<_> = (template.parameters.iter())
                .map(|p| {
                    json!({
                        "name": p.name, "docs": p.docs.trim(), "type": p.kind.noun(), "required": p.required(),
                        "default": p.default, "example": p.example, "runtime": p.runtime, "schema": p.kind.schema(),
                    })
                })
                .collect();
            let outputs: Vec<_> =
                template.outputs.iter().map(|o| json!({ "name": o.name, "docs": o.docs.trim() })).collect();
            json!({
                "name": format!("{}.{}", module.name, template.name), "docs": template.docs.trim(),
                "parameters": parameters, "outputs": outputs,
            })
        })
        .collect();
    json!({ "name": module.name, "docs": module.docs.trim(), "templates": templates, "example": module.example })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_and_parameter_is_explained() {
        for module in all().unwrap() {
            for template in &module.templates {
                assert!(about(&module, &template.name).unwrap().contains(&template.name));
                for parameter in &template.parameters {
                    let text = about(&module, &format!("{}.{}", template.name, parameter.name)).unwrap();
                    assert!(text.contains("Value: "), "{text}");
                }
            }
            assert!(about(&module, "nothing").unwrap_err().to_string().contains("it has "));
        }
    }

    #[test]
    fn copies_lead_back_to_services() {
        let text = "image: {id: a, version: 1}\ntree: {dir: .}\nmodules: [files, login-shell]\n\
            services: {s: {template: files.copy, from: ./x, to: /usr/share/s}, z: {template: login-shell.zsh}}\n";
        let output = twinhull_spec::from_str(text).unwrap().services;
        for path in ["/usr/share/s", "/usr/share/s/a/b.html"] {
            assert_eq!(copy(&output, path).map(|copied| copied.origin.service.as_str()), Some("s"), "{path}");
        }
        assert!(copy(&output, "/usr/share/st").is_none());
        let all = files(&output);
        assert!(all.contains("==> /usr/share/s, copied from ./x <==\n==> s (files.copy)"), "{all}");
        assert!(all.contains("==> /etc/zsh/zshrc (0644, behind what the tree has there) <=="), "{all}");
    }

    #[test]
    fn files_lead_back_to_services() {
        let text = "image: {id: a, version: 1}\ntree: {dir: .}\nmodules: [nginx]\nservices: {w: {template: nginx.server}}\n";
        let output = twinhull_spec::from_str(text).unwrap().services;
        assert!(files(&output).contains("==> w (nginx.server), templates/nginx.conf of the module nginx"));
        assert!(
            find(&output, "/etc/nginx.conf")
                .unwrap_err()
                .to_string()
                .contains("/usr/lib/services/w/nginx.conf")
        );
    }
}
