//! `twinhull-install`: see `twinhull_installer::cli` for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinhull_installer::cli::main()
}
