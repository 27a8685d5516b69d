//! The reader of partition tables.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|disk: &[u8]| {
    let _ = twinhull_disk::table::read(std::path::Path::new("fuzz"), &twinhull_fuzz::file(disk));
});
