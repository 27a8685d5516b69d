//! `cargo xtask demo`: from a fresh machine to a booted image in one command.

use std::process::ExitCode;

use anyhow::Result;
use twinhull_sysutil::command::Cmd;

use crate::{host, paths};

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for runvm, for example --exec CMD
    #[arg(last = true)]
    runvm: Vec<String>,
}

/// Builds and boots the default image; the exit status is runvm's.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    host::for_demo()?;
    let bin = paths::build_programs()?;
    let out = paths::target().join("demo");
    eprintln!("==> building examples/hello.yaml");
    let builder = bin.join("image-builder");
    let build = environment(Cmd::new(&builder))
        .arg("build")
        .arg(paths::top().join("examples/hello.yaml"))
        .arg("--out")
        .arg(&out)
        .output_of_stdout();
    let build = match build {
        Ok(paths) => paths,
        Err(error) => {
            eprintln!("==> the build failed; this is what image-builder doctor says of this host");
            // What it finds is a hint; the error is what counts.
            if let Ok(said) = environment(Cmd::new(&builder)).arg("doctor").into_inner().output() {
                eprint!("{}", String::from_utf8_lossy(&said.stdout));
            }
            return Err(error.into());
        }
    };
    let image = String::from_utf8_lossy(&build).trim().to_owned();
    eprintln!("==> booting {image}");
    let status =
        environment(Cmd::new(bin.join("runvm"))).inherit_stdin().arg(&image).args(&args.runvm).status()?;
    Ok(ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)))
}

/// Passes on what our own programs read from the environment.
fn environment(mut cmd: Cmd) -> Cmd {
    for name in ["XDG_CACHE_HOME", "TWINHULL_CACHE", "SOURCE_DATE_EPOCH", "TERM", "NO_COLOR"] {
        if let Some(value) = std::env::var_os(name) {
            cmd = cmd.env(name, value);
        }
    }
    cmd
}
