//! `cargo xtask bench`: ratios against a peer, measured in pairs in the same run. Run it on an idle machine.

mod boot;
mod build;
mod chart;
mod check;
mod install;
mod mkosi;
mod peer;
mod provisioning;
mod report;
mod update;

use std::path::PathBuf;
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
    /// Boot time: start of PID 1 in the initrd to multi-user.target, against the same tree and kernel with a
    /// dracut initrd and Debian's defaults; and our disk with a BIOS, against itself with UEFI
    Boot {
        #[command(flatten)]
        options: Options,
        /// Only the row with the BIOS, for which no peer is made
        #[arg(long)]
        bios: bool,
    },
    /// What the first-boot agent adds to the boot of a machine that is on no cloud, against the same boot without it
    Provisioning(Options),
    /// What each service of a spec adds to its check, with 2,000 services against 500
    Check(Options),
    /// A disk image from a web server onto a disk, against curl, zstd and dd in a pipe
    Install(Options),
    /// Build time from a tree archive, against systemd-repart, mkfs.erofs and ukify on the same tree, and
    /// against mkosi's whole run with a warm cache
    Build {
        #[command(flatten)]
        options: Options,
        /// Write the chart of the documentation to this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Bytes on the wire of an update, against casync, RAUC's adaptive updates and zstd --patch-from
    Update {
        #[command(flatten)]
        options: Options,
        /// Write the chart of the documentation to this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Pairs of runs that count, after one of each that doesn't
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Runs a benchmark.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Boot { options, bios: true } => boot::run_bios(options.pairs, options.json),
        What::Boot { options, bios: false } => boot::run(options.pairs, options.json),
        What::Provisioning(options) => provisioning::run(options.pairs, options.json),
        What::Check(options) => check::run(options.pairs, options.json),
        What::Install(options) => install::run(options.pairs, options.json),
        What::Build { options, svg } => build::run(options.pairs, options.json, svg.as_deref()),
        What::Update { options, svg } => update::run(options.pairs, options.json, svg.as_deref()),
    }?;
    Ok(ExitCode::SUCCESS)
}
