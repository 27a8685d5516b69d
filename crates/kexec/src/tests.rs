//! Parts of UKIs. That kernels start is what the boot tests show.

use super::*;

/// The least that is a PE file for x86-64, with room for sections.
fn stub() -> Vec<u8> {
    let mut pe = vec![0; 0x1000];
    pe[..2].copy_from_slice(b"MZ");
    pe[0x3c..0x40].copy_from_slice(&0x40_u32.to_le_bytes());
    pe[0x40..0x44].copy_from_slice(b"PE\0\0");
    pe[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
    pe[0x54..0x56].copy_from_slice(&240_u16.to_le_bytes());
    let optional = 0x58;
    pe[optional..optional + 2].copy_from_slice(&0x20b_u16.to_le_bytes());
    pe[optional + 32..optional + 36].copy_from_slice(&0x1000_u32.to_le_bytes());
    pe[optional + 36..optional + 40].copy_from_slice(&0x200_u32.to_le_bytes());
    pe[optional + 60..optional + 64].copy_from_slice(&0x1000_u32.to_le_bytes());
    pe[optional + 108..optional + 112].copy_from_slice(&16_u32.to_le_bytes());
    // One section, so that there is a first one for the others to come behind.
    pe[0x46..0x48].copy_from_slice(&1_u16.to_le_bytes());
    let table = optional + 240;
    pe[table..table + 5].copy_from_slice(b".text");
    pe[table + 8..table + 12].copy_from_slice(&16_u32.to_le_bytes());
    pe[table + 12..table + 16].copy_from_slice(&0x1000_u32.to_le_bytes());
    pe[table + 16..table + 20].copy_from_slice(&0x200_u32.to_le_bytes());
    pe[table + 20..table + 24].copy_from_slice(&0xe00_u32.to_le_bytes());
    pe
}

/// A UKI of `parts`. The kernel's part is none, or the builder would look for its machine.
fn uki(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let renamed: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, bytes)| (if *name == ".linux" { ".linuX" } else { *name }, *bytes))
        .collect();
    let mut bytes = twinhull_uki::build(&stub(), &renamed).unwrap();
    while let Some(at) = bytes.windows(6).position(|window| window == b".linuX") {
        bytes[at + 5] = b'x';
    }
    bytes
}

const GOOD: [(&str, &[u8]); 4] = [
    (".osrel", b"ID=debian"),
    (".cmdline", b"usrhash=00 quiet\n\0"),
    (".initrd", b"cpio"),
    (".linux", b"kernel"),
];

#[test]
fn parts_are_taken_out() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), uki(&GOOD)).unwrap();
    let mut uki = Uki::open(file.path()).unwrap();
    assert_eq!(uki.cmdline().unwrap(), "usrhash=00 quiet");
    let mut kernel = uki.in_memory("kernel", |parts| &parts.kernel).unwrap();
    let mut text = String::new();
    kernel.rewind().unwrap();
    kernel.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kernel");
}

#[test]
fn kernels_are_told_apart() {
    let open = |parts: &[(&str, &[u8])]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), uki(parts)).unwrap();
        Uki::open(file.path()).unwrap()
    };
    let mut good = open(&GOOD);
    for (cmdline, initrd, kernel, same) in [
        ("usrhash=01", "cpio", "kernel", true),
        ("usrhash=00 quiet", "cpiO", "kernel", false),
        ("usrhash=00 quiet", "cpio1", "kernel", false),
        ("usrhash=00 quiet", "cpio", "Kernel", false),
    ] {
        let mut other = open(&[
            (".cmdline", cmdline.as_bytes()),
            (".initrd", initrd.as_bytes()),
            (".linux", kernel.as_bytes()),
        ]);
        assert_eq!(good.same_kernel(&mut other).unwrap(), same, "{cmdline} {initrd} {kernel}");
    }
}

#[test]
fn what_is_no_whole_uki_is_refused() {
    let long = vec![b'x'; CMDLINE_MAX + 1];
    let find = |parts: &[(&str, &[u8])]| Parts::find(&uki(parts)).unwrap_err().to_string();
    assert!(find(&GOOD[..3]).contains("no section .linux"));
    assert!(find(&[&GOOD[..], &GOOD[2..3]].concat()).contains("two sections .initrd"));
    assert!(find(&[GOOD[3], GOOD[2], (".cmdline", &long)]).contains("2049 bytes"));
    assert!(find(&[&GOOD[..], &[(".dtb", &b"x"[..])]].concat()).contains("section .dtb"));
    assert!(Parts::find(b"MZ").unwrap_err().to_string().contains("no EFI program"));

    let file = tempfile::NamedTempFile::new().unwrap();
    let whole = uki(&GOOD);
    let kernel = whole.windows(6).position(|window| window == b"kernel").unwrap();
    fs_err::write(file.path(), &whole[..kernel + 3]).unwrap();
    let error = Uki::open(file.path()).unwrap().load("twinhull.entry=x").unwrap_err();
    assert!(error.to_string().contains("ends inside its kernel"), "{error}");
    fs_err::write(file.path(), &whole).unwrap();
    let error = Uki::open(file.path()).unwrap().load(&String::from_utf8(long).unwrap()).unwrap_err();
    assert!(error.to_string().contains("a kernel takes up to 2047"), "{error}");
}

/// Whoever runs the tests, no kernel takes this for one, and each says why.
#[test]
fn no_kernel_takes_what_is_none() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), uki(&GOOD)).unwrap();
    let error = Uki::open(file.path()).unwrap().load("twinhull.entry=x").unwrap_err();
    assert!(matches!(&error, Error::Refused(_)) && error.to_string().contains(" ("), "{error}");
}

proptest::proptest! {
    #[test]
    fn finding_never_panics(at in 0_usize..0x300, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
        let mut head = uki(&GOOD);
        head[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = Parts::find(&head);
    }
}
