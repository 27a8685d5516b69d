//! The bridge of machines with a BIOS: it tries boot entries in the order that systemd has for them.

use std::process::Command;

use twinhull_bridge::{Side, State, order};
use twinhull_slots::{BootFile, EntryName};
use twinhull_tests::{hello_tree, newer_program, run};

/// Sets of entries: versions of one image, several images, some on trial, some bad. None has `~` or `^`, which systemd-boot takes and
/// bootctl leaves out.
const SETS: &[&[&str]] = &[
    &["box_1.efi"],
    &["box_1.efi", "box_2+3.efi"],
    &["box_1.efi", "box_2+1-2.efi", "box_3+0-3.efi"],
    &["box_1+0-3.efi", "box_2+0-3.efi"],
    &["box_1+0-3.efi", "box_2+0-3.efi", "web_9+0-1.efi", "alt_9.efi"],
    &["box_9.efi", "box_10.efi", "box_10-1+3.efi", "box_10.0.1.efi", "box_10a+2-1.efi"],
    &["web_9.efi", "box_1.efi", "box_2+0-3.efi", "web_10+3.efi"],
    &["box_2026.11.9.efi", "box_2026.11.27+3.efi", "box_2026.2.28.efi"],
];

#[test]
fn bridge_and_systemd_agree_on_the_order() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    // bootctl of the image's systemd, with its libraries: the host's may not know of tries.
    let tree = hello_tree();
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&tree).arg("-C").arg(dir.path());
    unpack.args(["./usr/bin/bootctl", "./usr/lib64", "./usr/lib/x86_64-linux-gnu", "./usr/lib/systemd/boot"]);
    run(&mut unpack).ok();
    let stub = fs_err::read(dir.path().join("usr/lib/systemd/boot/efi/linuxx64.efi.stub")).unwrap();
    for (n, names) in SETS.iter().enumerate() {
        let esp = dir.path().join(format!("esp{n}"));
        let folder = esp.join("EFI/Linux");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::create_dir_all(esp.join("loader")).unwrap();
        let mut files = Vec::new();
        for file in *names {
            let name = EntryName::parse(file).unwrap();
            let release = format!(
                "ID=debian\nNAME=Debian\nPRETTY_NAME=Debian\nIMAGE_ID={}\nIMAGE_VERSION={}\n",
                name.id, name.version
            );
            let sections: [(&str, &[u8]); 4] = [
                (".osrel", release.as_bytes()),
                (".cmdline", b"quiet"),
                (".initrd", b"initrd"),
                // An EFI program for the stub's machine passes for a kernel.
                (".linux", &stub),
            ];
            let uki = twinhull_uki::build(&stub, &sections).unwrap();
            fs_err::write(folder.join(file), &uki).unwrap();
            files.push(BootFile { file: (*file).to_owned(), len: uki.len() as u64, name });
        }
        let ours: Vec<String> = order(files).into_iter().map(|entry| entry.file).collect();
        assert_eq!(ours, bootctl(dir.path(), &esp), "{names:?}");
    }
}

/// Names of the files that bootctl lists, in its order.
fn bootctl(root: &std::path::Path, esp: &std::path::Path) -> Vec<String> {
    let usr = root.join("usr");
    let mut command = Command::new("bwrap");
    command.arg("--ro-bind").arg(&usr).arg("/usr").args(["--symlink", "usr/lib64", "/lib64"]);
    command.args(["--proc", "/proc", "--dev", "/dev", "--ro-bind"]).arg(esp).arg("/efi");
    command.args(["--setenv", "SYSTEMD_RELAX_ESP_CHECKS", "1", "--setenv", "SYSTEMD_ESP_PATH", "/efi"]);
    let ran = run(command.args(["--", "/usr/bin/bootctl", "--json=short", "list"])).ok();
    let list: serde_json::Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    let paths = list.as_array().unwrap().iter().filter_map(|entry| entry["path"].as_str());
    let names = paths.filter(|path| path.contains("/EFI/Linux/"));
    names.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect()
}

#[test]
fn bridge_state_is_what_grub_edits() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = dir.path().join("bridge.env");
    let state = State { next: Side::B, offers: 1, ..State::new(Side::A) };
    fs_err::write(&file, state.to_bytes()).unwrap();
    let path = file.to_str().unwrap();
    let edit = |args: &[&str]| {
        let mut command = newer_program("/usr/bin/grub-editenv", &[dir.path()]);
        run(command.arg(path).args(args)).ok().stdout
    };
    assert_eq!(edit(&["list"]), "good=a\nnext=b\noffers=1\n");
    // As `save_env` does it.
    edit(&["set", "next=a"]);
    assert_eq!(State::read(&file).unwrap(), State { next: Side::A, ..state });
}
