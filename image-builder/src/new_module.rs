//! `new-module`: a folder with a module that loads, to be changed into one's own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use twinhull_modules::plan::{NAME_RULE, is_name};

use crate::check::print;

/// Arguments of `new-module`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  image-builder new-module modules/greeter\n\n\
    The name of the folder is the module's. It has one template, `service`; \
    say `modules: [./modules/greeter]` and `template: greeter.service` in a spec beside it.")]
pub(crate) struct NewModuleArgs {
    /// The folder to make
    folder: PathBuf,
}

const MODULE: &str = r#"docs: |
  What NAME is, and when one wants it.

# Debian packages that have the commands under `needs`, for whoever lacks one.
commands:
  NAME: [NAME]

templates:
  service:
    docs: What a service of this template does.
    parameters:
      port:
        type: port
        default: 8080
        docs: Where it listens.
      verbose:
        type: boolean
        default: false
        docs: Whether it says what it does.
    outputs:
      port:
        docs: Where it listens.
        value: port
    needs: [NAME]
    listens: port
    units:
      - name: "{{ name }}.service"
        template: NAME.service
    # A command that succeeds when it is well:
    # health: "['NAME', '--check']"

# Services that show how it is used. The module isn't loaded when they don't build.
example:
  my-NAME: { template: NAME.service, port: 8080 }
"#;

const UNIT: &str = "[Unit]
Description=NAME ({{ name }})

[Service]
ExecStart=NAME --port {{ port }}{% if verbose %} --verbose{% endif %}

DynamicUser=yes
Restart=on-failure
";

const CASE: &str = "docs: A service listens where its spec says.

services:
  one: { template: NAME.service, port: 8081, verbose: true }

expect:
  files:
    /usr/lib/systemd/system/one.service: [ExecStart=NAME --port 8081 --verbose]
  listens: [8081]
  starts: [one.service]
";

/// Makes the folder of a module.
pub(crate) fn run(args: &NewModuleArgs) -> Result<ExitCode> {
    let folder = &args.folder;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ensure!(is_name(name), "{name:?} can't be a module's name; take {NAME_RULE}");
    if fs_err::symlink_metadata(folder).is_ok() {
        bail!("{} is there already and is left alone; name another folder", folder.display());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs_err::create_dir_all(parent)?;
    }
    // Whole or not at all.
    let partial = tempfile::Builder::new()
        .prefix(".new-module-")
        .tempdir_in(parent.unwrap_or_else(|| ".".as_ref()))
        .context("the folder can't be made")?;
    for folder in ["templates", "tests"] {
        fs_err::create_dir(partial.path().join(folder))?;
    }
    let of_name = |text: &str| text.replace("NAME", name);
    fs_err::write(partial.path().join("module.yaml"), of_name(MODULE))?;
    fs_err::write(partial.path().join(format!("templates/{name}.service")), of_name(UNIT))?;
    fs_err::write(partial.path().join("tests/port.yaml"), of_name(CASE))?;
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(partial.path(), std::fs::Permissions::from_mode(0o755))?;
    fs_err::rename(partial.path(), folder)?;
    print(std::io::stdout(), &format!("{}\n", folder.display()))?;
    let folder = folder.display();
    eprintln!("change it, then `image-builder check {folder}` and `image-builder test-module {folder}`");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_loads_and_is_never_made_over_something() {
        let dir = tempfile::tempdir().unwrap();
        let args = NewModuleArgs { folder: dir.path().join("modules/night-mail") };
        run(&args).unwrap();
        let module = twinhull_modules::library::from_folder(&args.folder).unwrap();
        assert_eq!((module.name.as_str(), module.templates.len()), ("night-mail", 1));
        let case = args.folder.join("tests/port.yaml");
        let text = fs_err::read_to_string(&case).unwrap();
        let read = twinhull_modules::case::read("port.yaml", &text).unwrap();
        twinhull_modules::case::judge("port.yaml", &text, &read, &[&module]).unwrap();
        assert!(run(&args).unwrap_err().to_string().contains("is there already"));
        let left: Vec<_> = fs_err::read_dir(dir.path().join("modules")).unwrap().collect();
        assert_eq!(left.len(), 1);
        for name in ["Night", "", "..", "9a", "a-", "a_b"] {
            let error = run(&NewModuleArgs { folder: dir.path().join(name) }).unwrap_err();
            assert!(error.to_string().contains("module's name"), "{name}: {error}");
        }
    }
}
