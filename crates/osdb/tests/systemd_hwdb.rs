//! The hardware database against the host's `systemd-hwdb`.

mod common;

use common::{load, run};
use twinhull_osdb::{HwdbReader, hwdb, hwdb_sources};

const SOURCES: [(&str, &str); 4] = [
    (
        "usr/lib/udev/hwdb.d/20-pci.hwdb",
        "# pci\npci:v00001AF4*\n ID_VENDOR_FROM_DATABASE=Red Hat, Inc.\n\npci:v00001AF4d00001000*\npci:v00001AF4d00001001*\n\
         \x20 ID_MODEL_FROM_DATABASE=Virtio device # x\n  OTHER=a=b\n\npci:v00008086*\n ID_VENDOR_FROM_DATABASE=Intel\n",
    ),
    (
        "usr/lib/udev/hwdb.d/60-evdev.hwdb",
        "evdev:name:Foo [Bb]ar?:dmi:*\n EVDEV_ABS_00=::41\n EVDEV_ABS_01=\n",
    ),
    (
        "etc/udev/hwdb.d/70-local.hwdb",
        "pci:v00001AF4d00001000*\n OTHER=local\n\n\n KEY=lost\nusb:v1p2\nstray\n  A=1\nnew\n B=2\n",
    ),
    ("usr/lib/udev/hwdb.d/70-local.hwdb", "usb:v1p2\n HIDDEN=1\n"),
];

#[test]
fn systemd_hwdb_finds_the_same_properties() {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in SOURCES {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    // Older releases name the directory through the merged-/usr link.
    std::os::unix::fs::symlink("usr/lib", dir.path().join("lib")).unwrap();
    let ours = hwdb(&hwdb_sources(&load(dir.path())).unwrap(), 257).unwrap();
    let root = format!("--root={}", dir.path().display());
    let database = dir.path().join("usr/lib/udev/hwdb.bin");
    let names = [
        "pci:v00001AF4d00001000sv0",
        "pci:v00001AF4d00001001sv0",
        "pci:v00001AF4d00009999sv0",
        "pci:v00008086d1",
        "evdev:name:Foo Barx:dmi:bvn",
        "evdev:name:Foo car:dmi:bvn",
        "usb:v1p2",
        "stray",
        "new",
        "nothing",
    ];
    run("systemd-hwdb", &[&root, "--usr", "update"]);
    let theirs = fs_err::read(&database).unwrap();
    let query = |name: &str| run("systemd-hwdb", &[&root, "query", name]);
    let expected: Vec<String> = names.iter().map(|n| query(n)).collect();
    fs_err::remove_file(&database).unwrap();
    fs_err::write(&database, &ours).unwrap();
    for (name, expected) in names.iter().zip(&expected) {
        assert_eq!(&query(name), expected, "{name}");
        for data in [&ours, &theirs] {
            let found = HwdbReader::parse(data).unwrap().query(name).unwrap();
            let mut found: Vec<String> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let mut lines: Vec<&str> = expected.lines().collect();
            found.sort();
            lines.sort();
            assert_eq!(found, lines, "{name}");
        }
    }
    assert_eq!(expected[0].lines().count(), 3, "{expected:?}");
}
