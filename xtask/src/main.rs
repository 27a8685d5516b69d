//! `cargo xtask`: the project's own tasks. `demo` and `test` are all that a newcomer needs.

mod bench;
mod checks;
mod demo;
mod docs;
mod fuzz;
mod host;
mod newer;
mod paths;
mod spdx;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Twinhull's project tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set the host up, build examples/hello.yaml, boot it, and leave a console
    #[command(
        after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo -- --exec 'systemctl is-system-running --wait'"
    )]
    Demo(demo::Args),
    /// Set the host up and pass all tests
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --fast")]
    Test(test::Args),
    /// Measure against a peer in the same run
    Bench(bench::Args),
    /// Build twinhull-install as one static program, and print its path
    Installer,
    /// Throw mutated files at the readers of everything that comes from outside
    #[command(after_help = "Examples:\n  cargo xtask fuzz --seconds 600\n  cargo xtask fuzz erofs gpt")]
    Fuzz(fuzz::Args),
    /// Write generated documentation: man pages, completions, the spec's reference
    Docs(docs::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Installer => paths::build_installer().map(|path| {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Docs(args) => docs::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
