//! The `runvm` program: reads its arguments, boots the guest, hands on the exit status.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // QEMU starts us in this form, once for each connection of the guest to the metadata service.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == runvm::PIPE_WORD) {
        let port = words.next().and_then(|word| word.to_str()?.parse().ok());
        return port.map_or(ExitCode::from(2), runvm::pipe);
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
            ExitCode::from(1)
        }
    }
}
