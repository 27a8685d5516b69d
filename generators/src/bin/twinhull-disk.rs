//! `twinhull-disk repart`: make swap and /var on the boot disk, and grow /var. See `twinhull_generators::disk`.
//! `twinhull-disk data NAME`: look at a data disk. See `twinhull_generators::data`.

use std::process::ExitCode;

use twinhull_generators::{Context, data, disk};

fn main() -> ExitCode {
    let context = Context { root: "/".into(), units: "/".into(), initrd: true };
    let name = std::env::args().nth(2).unwrap_or_default();
    let result = match std::env::args().nth(1).as_deref() {
        Some("repart") => disk::repart(&context),
        Some("data") => data::prepare(&context, &name),
        Some("boot-disk") => disk::boot_disk(&context).map(|disk| println!("/dev/{disk}")),
        _ => {
            eprintln!("usage: twinhull-disk repart | data NAME | boot-disk");
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
