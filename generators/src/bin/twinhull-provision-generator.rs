//! systemd generator: where this machine is. See `twinhull_generators::provision`.

fn main() -> std::process::ExitCode {
    twinhull_generators::main("twinhull-provision-generator", twinhull_generators::provision::generate)
}
