//! `update-agent`: the thin binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    update_agent::cli::main()
}
