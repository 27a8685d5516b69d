//! The FAT reader. Its crate panics on some damage, which the reader turns into an error: only a panic that
//! leaves it counts.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| ())),
    |image: &[u8]| {
        let _ = twinhull_fsimg::fat::read(&twinhull_fuzz::file(image), 0, image.len() as u64, |_| true);
    }
);
