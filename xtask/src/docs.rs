//! `cargo xtask docs`: what is generated from the code, and the check that it is current.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::CommandFactory;

use crate::paths;

/// Arguments of `docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only say whether the files are current
    #[arg(long)]
    check: bool,
}

/// Writes or checks the files.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.check {
        check()?;
        return Ok(ExitCode::SUCCESS);
    }
    for (path, text) in generated()? {
        if let Some(dir) = path.parent() {
            fs_err::create_dir_all(dir)?;
        }
        fs_err::write(path, text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails when a generated file is missing or old.
pub(crate) fn check() -> Result<()> {
    for (path, text) in generated()? {
        let current = fs_err::read(&path).unwrap_or_default() == text;
        ensure!(current, "{} is not current; run `cargo xtask docs` and commit the result", path.display());
    }
    Ok(())
}

fn generated() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let docs = paths::top().join("docs");
    let mut files = vec![(docs.join("reference/spec.md"), twinhull_spec::reference_markdown().into_bytes())];
    for (name, command) in [
        ("image-builder", image_builder::cli::Cli::command()),
        ("runvm", runvm::cli::Args::command()),
        ("update-agent", update_agent::cli::Cli::command()),
        ("twinhull-install", twinhull_installer::cli::Cli::command()),
        ("firstboot-agent", firstboot_agent::cli::Cli::command()),
    ] {
        let command = command.name(name);
        let mut with_help = command.clone();
        with_help.build();
        let mut pages = vec![(name.to_owned(), command.clone())];
        subcommands(name, &with_help, &mut pages);
        for (title, page) in pages {
            let mut text = Vec::new();
            clap_mangen::Man::new(page.name(title.clone())).title(title.to_uppercase()).render(&mut text)?;
            files.push((docs.join(format!("man/{title}.1")), text));
        }
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), name, &mut text);
            files.push((docs.join(format!("completions/{name}.{shell}")), text));
        }
    }
    Ok(files)
}

/// Adds the subcommands of `command`, and theirs, with the titles of their pages.
fn subcommands(title: &str, command: &clap::Command, pages: &mut Vec<(String, clap::Command)>) {
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        let title = format!("{title}-{}", sub.get_name());
        pages.push((title.clone(), sub.clone()));
        subcommands(&title, sub, pages);
    }
}
