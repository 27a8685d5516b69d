//! systemd generator: the mounts of /var and of the ESP. See `twinhull_generators::boot`.

fn main() -> std::process::ExitCode {
    twinhull_generators::main("twinhull-boot-generator", twinhull_generators::boot::generate)
}
