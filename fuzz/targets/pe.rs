//! The reader of PE files: boot loaders, stubs, UKIs, kernels; and the writer that puts sections into a stub.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = twinhull_uki::machine("file", data);
    let _ = twinhull_uki::kernel_machine(data);
    if let Ok(sections) = twinhull_uki::sections("file", data) {
        for section in sections.iter().take(50) {
            let _ = twinhull_uki::section("file", data, &section.name);
        }
    }
    let _ = twinhull_uki::build(data, &[(".cmdline", b"quiet"), (".linux", b"MZ")]);
});
