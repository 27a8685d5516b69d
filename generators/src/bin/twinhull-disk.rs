//! `twinhull-disk repart`: make swap and /var on the boot disk, and grow /var. See `twinhull_generators::disk`.
//! `twinhull-disk bless` and `twinhull-disk bridge`: after a good boot. See `twinhull_generators::good`.
//! `twinhull-disk data NAME`: look at a data disk. See `twinhull_generators::data`.

use std::process::ExitCode;

use twinhull_generators::{Context, data, disk, good};

fn main() -> ExitCode {
    let context = Context { root: "/".into(), units: "/".into(), initrd: true };
    let name = std::env::args().nth(2).unwrap_or_default();
    let result = match std::env::args().nth(1).as_deref() {
        Some("repart") => disk::repart(&context),
        Some("data") => data::prepare(&context, &name),
        Some("bless") => good::bless(&context).map(|file| println!("<6>{file} is good")),
        Some("bridge") => good::renew_bridge(&context).map(|done| println!("<6>{done}")),
        Some("boot-disk") => disk::boot_disk(&context).map(|disk| println!("/dev/{disk}")),
        _ => {
            eprintln!("usage: twinhull-disk repart | data NAME | boot-disk | bless | bridge");
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
