//! `firstboot-agent`: the thin binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstboot_agent::cli::main()
}
