//! `cargo xtask fuzz`: libFuzzer over the readers of everything that comes from outside.
//!
//! Works with a stable compiler: coverage comes from LLVM's own pass, and there is no address sanitizer, which code
//! without `unsafe` needs least. New inputs that reach new code are kept below the target folder; the seeds in
//! `fuzz/seeds/` are only read. An input that crashes is written to `fuzz/crashes/`.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::{host, paths};

const TARGETS: &[&str] =
    &["erofs", "ext4", "fat", "gpt", "index", "metadata", "pe", "signatures", "userdata", "verity"];

/// What makes a program report which of its code it reached, as cargo-fuzz sets it.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Largest input in bytes; the seeds are smaller.
const MAX_LEN: u32 = 256 << 10;

/// Arguments of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Readers to fuzz [default: all]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
    /// Seconds for each of them
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
}

/// Fuzzes one target after the other; the first crash ends it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    host::packages(&["g++"])?;
    let fuzz = paths::top().join("fuzz");
    let target = paths::target().join("fuzz");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // With a target named, build scripts and macros are built without the coverage.
    let build = ["build", "--release", "--locked", "--bins", "--target", &triple];
    paths::run(
        paths::cargo()
            .args(build)
            .env("RUSTFLAGS", COVERAGE)
            .env("CARGO_TARGET_DIR", &target)
            .current_dir(&fuzz),
    )?;
    let chosen: Vec<&str> = match args.targets.as_slice() {
        [] => TARGETS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let crashes = fuzz.join("crashes");
    fs_err::create_dir_all(&crashes)?;
    for name in chosen {
        eprintln!("==> {name} for {} s", args.seconds);
        let corpus = target.join("corpus").join(name);
        fs_err::create_dir_all(&corpus)?;
        let program = target.join(&triple).join("release").join(name);
        ensure!(program.exists(), "cargo didn't build {}", program.display());
        let options = [
            format!("-max_total_time={}", args.seconds),
            format!("-max_len={MAX_LEN}"),
            "-timeout=20".into(),
            "-rss_limit_mb=1024".into(),
            "-print_final_stats=1".into(),
            format!("-artifact_prefix={}/{name}-", crashes.display()),
        ];
        let seeds = fuzz.join("seeds").join(name);
        paths::run(twinhull_sysutil::command::Cmd::new(program).args(options).arg(&corpus).arg(seeds))?;
    }
    Ok(ExitCode::SUCCESS)
}
