//! `cargo xtask bench`: ratios against a peer, measured in pairs in the same run.

use std::process::ExitCode;

use anyhow::Result;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Boot time
    Boot,
}

/// Runs a benchmark.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let What::Boot = args.what;
    anyhow::bail!("not yet")
}
