//! `cargo xtask test`: style, lints, unit, oracle and command line tests, then the virtual machines.

use std::process::ExitCode;

use anyhow::Result;

use crate::{checks, docs, host, newer, paths, spdx};

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the virtual machines out
    #[arg(long)]
    fast: bool,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How often the power of a machine that updates is cut [default: 2]
    #[arg(long, value_name = "N")]
    power_cuts: Option<u32>,
}

/// Runs everything; the first failure ends it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    host::for_tests()?;
    if args.only.is_none() {
        eprintln!("==> style and lints");
        paths::run(paths::cargo().args(["fmt", "--all", "--check"]))?;
        paths::run(paths::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--release",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))?;
        checks::dependencies()?;
        checks::style()?;
        docs::check()?;
    }
    let bin = paths::build_programs()?;
    paths::build_installer()?;
    let (newer, spdx) = (newer::tools()?, spdx::tools()?);
    eprintln!("==> tests{}", if args.fast { " (without virtual machines)" } else { "" });
    let mut cmd = paths::cargo()
        .env("TWINHULL_BIN_DIR", &bin)
        .env("TWINHULL_NEWER_TOOLS", &newer)
        .env("TWINHULL_SPDX_TOOLS", &spdx)
        .args(["test", "--workspace", "--release", "--locked", "--no-fail-fast"]);
    if !args.fast {
        cmd = cmd.args(["--features", "twinhull-tests/boot"]);
    }
    // Virtual machines have a processor each.
    cmd = cmd.arg("--").arg("--test-threads=2");
    if let Some(cuts) = args.power_cuts {
        // Who asks for them wants to see each.
        cmd = cmd.env("TWINHULL_POWER_CUTS", cuts.to_string()).arg("--nocapture");
    }
    if let Some(only) = &args.only {
        cmd = cmd.arg(only);
    }
    paths::run(cmd)?;
    Ok(ExitCode::SUCCESS)
}
