//! `twinhull-disk repart`: make and grow /var on the boot disk. See `twinhull_generators::disk`.

use std::process::ExitCode;

use twinhull_generators::{Context, disk};

fn main() -> ExitCode {
    let context = Context { root: "/".into(), units: "/".into(), initrd: true };
    let result = match std::env::args().nth(1).as_deref() {
        Some("repart") => disk::repart(&context),
        Some("boot-disk") => disk::boot_disk(&context).map(|disk| println!("/dev/{disk}")),
        _ => {
            eprintln!("usage: twinhull-disk repart | boot-disk");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("<3>twinhull-disk: {error}");
            ExitCode::FAILURE
        }
    }
}
