//! `image-builder`: see `image_builder::cli` for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    image_builder::cli::main()
}
