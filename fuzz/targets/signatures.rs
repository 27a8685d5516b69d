//! The readers of certificate tables, their signatures, signature lists and certificates.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use twinhull_secureboot as secureboot;

fuzz_target!(|data: &[u8]| {
    let _ = secureboot::digest(data);
    let _ = secureboot::signatures(data);
    let _ = secureboot::to_be_signed(data);
    let _ = secureboot::certificates(data, Path::new("list"));
    let _ = secureboot::Certificate::parse(data, Path::new("certificate"));
    let _ = secureboot::enroll(data, &[]);
});
