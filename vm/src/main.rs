//! The `runvm` program: reads its arguments, boots the guest, hands on the exit status.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // QEMU starts us in this form, once for each connection of the guest to a service of ours.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == runvm::PIPE_WORD) {
        return words.next().map_or(ExitCode::from(2), |service| runvm::pipe(&service));
    }

    let args = runvm::cli::Args::parse();
    let request = match args.into_request() {
        Ok(request) => request,
        Err(error) => {
            eprintln!("runvm: {error:#}");
            return ExitCode::from(2);
        }
    };
    match runvm::cli::act(&request) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("runvm: {error:#}");
            runvm::cli::diagnose();
            ExitCode::from(1)
        }
    }
}
