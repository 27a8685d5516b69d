//! Module indices against the host's `depmod` and `modprobe`, over small made-up modules.
//!
//! The modules have what depmod reads (`.modinfo`, exported and needed symbols) and nothing else.
//! Real ones are compared in `debian_tree.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{load, run};
use twinhull_osdb::{IndexOptions, ModuleDb, decompress_module, lookup_index};

const VERSION: &str = "6.12.0-test";

/// Path, `.modinfo`, exported and needed symbols; in the order of `modules.order`.
const MODULES: [(&str, &str, &[&str], &[&str]); 7] = [
    (
        "kernel/net/virtio-net.ko",
        "alias=virtio:d00000001v*\0softdep=pre: crc-x post: late\0",
        &[],
        &["printk", "core_b", "fail_a"],
    ),
    ("kernel/net/failover.ko", "", &["fail_a", "fail_b"], &["core_a"]),
    ("kernel/lib/core.ko", "weakdep=late\0", &["core_a", "core_b"], &["printk", "low"]),
    ("kernel/lib/low.ko", "", &["low"], &[]),
    (
        "kernel/lib/crc-x.ko",
        "alias=crypto-crc-x\0alias=cpu:type:x86,ven*fam*mod*:feature:*00[0-9]4*\0",
        &[],
        &["low"],
    ),
    ("kernel/drivers/tun.ko", "alias=devname:net/tun\0alias=char-major-10-200\0", &[], &["core_a", "fail_b"]),
    ("kernel/lib/late.ko", "", &[], &[]),
];

/// A relocatable ELF file for x86-64 with the given `.modinfo` and symbols.
fn module(info: &str, exports: &[&str], imports: &[&str]) -> Vec<u8> {
    let (mut strings, mut symbols) = (vec![0u8], vec![0u8; 24]);
    let names = exports.iter().map(|e| (format!("__crc_{e}"), 0xfff1u16));
    for (name, section) in names.chain(imports.iter().map(|i| (i.to_string(), 0))) {
        symbols.extend((strings.len() as u32).to_le_bytes());
        symbols.extend([0x10, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend([0; 16]);
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let exported: String = exports.iter().map(|e| format!("{e}\0")).collect();
    let names = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0__ksymtab_strings\0";
    let sections: [(u32, u32, &[u8], u32, u64); 6] = [
        (0, 0, b"", 0, 0),
        (1, 1, info.as_bytes(), 0, 0),
        (10, 2, &symbols, 3, 24),
        (18, 3, &strings, 0, 0),
        (26, 3, names, 0, 0),
        (36, 1, exported.as_bytes(), 0, 0),
    ];
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
    out.resize(64, 0);
    let mut table = Vec::new();
    for (name, kind, data, link, entry) in sections {
        out.resize(out.len().next_multiple_of(8), 0);
        table.extend(name.to_le_bytes());
        table.extend(kind.to_le_bytes());
        [0, 0, out.len() as u64, data.len() as u64].iter().for_each(|n| table.extend(n.to_le_bytes()));
        table.extend(link.to_le_bytes());
        table.extend(1u32.to_le_bytes());
        table.extend(8u64.to_le_bytes());
        table.extend(entry.to_le_bytes());
        out.extend(data);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let at = (out.len() as u64).to_le_bytes();
    out.extend(table);
    out[40..48].copy_from_slice(&at);
    let halves: Vec<u8> = [64u16, 0, 0, 64, 6, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
    out[52..64].copy_from_slice(&halves);
    out
}

/// Writes the modules, every second one compressed, below a merged `/usr`.
fn write_modules(root: &Path) {
    let dir = root.join("usr/lib/modules").join(VERSION);
    let mut order = String::new();
    for (at, (path, info, exports, imports)) in MODULES.into_iter().enumerate() {
        let file = dir.join(path);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".ko").replace('-', "_");
        let bytes = module(&format!("{info}name={name}\0license=GPL\0"), exports, imports);
        if at % 2 == 0 {
            fs_err::write(file.with_extension("ko.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
        } else {
            fs_err::write(file, bytes).unwrap();
        }
        order += &format!("{path}\n");
    }
    fs_err::write(dir.join("modules.order"), order).unwrap();
    fs_err::write(dir.join("modules.builtin"), "kernel/fs/ext4/ext-4.ko\nkernel/block/nvme.ko\n").unwrap();
    let info =
        "ext_4.alias=fs-ext4\0ext_4.license=GPL\0nvme.alias=pci:v*d*bc01sc08i02*\0nvme.file=block/nvme\0";
    fs_err::write(dir.join("modules.builtin.modinfo"), info).unwrap();
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
}

fn lines(data: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(data).lines().map(str::to_owned).collect()
}

#[test]
fn depmod_writes_the_same_text() {
    let dir = tempfile::tempdir().unwrap();
    write_modules(dir.path());
    let db = ModuleDb::scan(&load(dir.path()), VERSION).unwrap();
    run("depmod", &["-b", dir.path().to_str().unwrap(), VERSION]);
    let tree = load(dir.path());
    for (name, ours) in db.index_files(&IndexOptions::default()).unwrap() {
        let path = format!("{}/{name}", db.directory());
        // kmod 30, which hosts may have, knows no weak dependencies.
        if name == "modules.weakdep" && !tree.exists(&path) {
            continue;
        }
        let theirs = tree.read(&path).unwrap();
        if name.ends_with(".bin") {
            // Releases lay nodes out in different orders; none adds or drops any.
            assert_eq!(ours.len(), theirs.len(), "{name}");
        } else if name == "modules.symbols" || name == "modules.softdep" {
            let comments = |l: &String| !l.starts_with('#');
            let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) = (
                lines(&ours).into_iter().filter(comments).collect(),
                lines(&theirs).into_iter().filter(comments).collect(),
            );
            assert_eq!(ours, theirs, "{name}");
        } else {
            assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{name}");
        }
        if name == "modules.alias.bin" {
            let look = |data| lookup_index(data, "cpu:type:x86,ven0fam6mod1:feature:,0094,").unwrap();
            assert_eq!(look(&ours), look(&theirs));
            assert_eq!(look(&ours).len(), 1);
        }
    }
    let indexed = ModuleDb::from_index(&tree, VERSION).unwrap();
    let names = ["virtio-net", "tun"];
    assert_eq!(db.closure(&names).unwrap(), indexed.closure(&names).unwrap());
}

/// An initrd's part of the modules, decompressed, with our indices only.
#[test]
fn modprobe_follows_our_indices() {
    let dir = tempfile::tempdir().unwrap();
    write_modules(dir.path());
    let tree = load(dir.path());
    let db = ModuleDb::scan(&tree, VERSION).unwrap();
    let paths = db.closure(&["virtio-net", "fs-ext4"]).unwrap();
    assert_eq!(paths.len(), 6, "{paths:?}");
    let target = tempfile::tempdir().unwrap();
    let modules = target.path().join("usr/lib/modules").join(VERSION);
    for path in &paths {
        let from = format!("{}/{path}", db.directory());
        let (name, bytes) = decompress_module(path, &tree.read(&from).unwrap(), 1 << 20).unwrap();
        let file = modules.join(name);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, bytes).unwrap();
    }
    let subset = db.subset(&paths).unwrap();
    for (name, bytes) in subset.index_files(&IndexOptions { decompressed: true }).unwrap() {
        fs_err::write(modules.join(name), bytes).unwrap();
    }
    std::os::unix::fs::symlink("usr/lib", target.path().join("lib")).unwrap();
    let root = target.path().to_str().unwrap();
    let modprobe =
        |args: &[&str]| run("modprobe", &[&["-d", root, "-S", VERSION, "-C", "/dev/null"], args].concat());
    let shown = modprobe(&["--show-depends", "virtio-net"]);
    let loaded: Vec<&str> = shown
        .lines()
        .map(|l| l.strip_prefix("insmod ").expect(&shown).trim().rsplit_once("/6.12.0-test/").unwrap().1)
        .collect();
    let expected: Vec<String> = paths.iter().map(|p| p.replace(".zst", "")).collect();
    let mut once: Vec<&str> = Vec::new();
    loaded.into_iter().for_each(|path| {
        if !once.contains(&path) {
            once.push(path);
        }
    });
    assert_eq!(once, expected);
    assert_eq!(modprobe(&["-R", "virtio:d00000001v00001AF4"]).trim(), "virtio_net");
    assert_eq!(modprobe(&["-R", "crypto-crc-x"]).trim(), "crc_x");
    assert_eq!(modprobe(&["-R", "symbol:fail_a"]).trim(), "failover");
    assert_eq!(modprobe(&["--show-depends", "ext_4"]).trim(), "builtin ext_4");
    assert_eq!(modprobe(&["-R", "fs-ext4"]).trim(), "ext_4");
}
