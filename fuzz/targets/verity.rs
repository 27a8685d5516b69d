//! The checkers of hash trees: the first 8 KiB are data, the rest is the tree.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (whole, tree) = data.split_at(data.len().min(8192));
    let _ = twinhull_fsimg::verity::check(&whole, &tree, &[0; 32]);
    let _ = twinhull_fsimg::verity::verify(&twinhull_fuzz::file(data), 0, 8192, 8192, &[0; 32]);
});
