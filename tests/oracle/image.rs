//! The default image as eight foreign tools see it.

use std::process::Command;

use twinhull_tests::{carve, hello, hello_tree, partition, program, run, tool};

#[test]
fn gpt_passes_sgdisk_and_sfdisk() {
    let image = &hello().path;
    let text = tool("sgdisk", ["-v".as_ref(), image.as_os_str()]).ok().text();
    assert!(text.contains("No problems found"), "{text}");
    for word in ["Caution", "Warning", "Problem:"] {
        assert!(!text.contains(word), "{text}");
    }
    tool("sfdisk", ["--verify".as_ref(), image.as_os_str()]).ok();
}

#[test]
fn repart_finds_our_layout_to_satisfy_our_definitions() {
    let image = &hello().path;
    let dir = tempfile::tempdir().unwrap();
    let definitions = twinhull_tests::top().join("units/repart.d");
    let copy = dir.path().join("disk.raw");
    tool("cp", ["--sparse=always".as_ref(), image.as_os_str(), copy.as_os_str()]).ok();
    let args = [
        "--dry-run=yes",
        "--json=short",
        "--no-pager",
        "--seed=00000000-0000-4000-8000-000000000001",
        "--empty=refuse",
    ];
    let ran = run(Command::new("systemd-repart")
        .args(args)
        .arg(format!("--definitions={}", definitions.display()))
        .arg(&copy))
    .ok();
    let start = ran.stdout.find('[').expect("repart prints a table");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(ran.stdout[start..].trim()).expect("repart's table is JSON");
    // The one for a BIOS is none of the definitions', and is left alone.
    assert_eq!(rows.len(), 7, "{rows:?}");
    for row in &rows {
        let made = row["file"].as_str() == Some("60-var.conf");
        assert_eq!(row["activity"], if made { "create" } else { "unchanged" }, "{row:?}");
    }
    assert!(rows.iter().any(|row| row["file"] == "60-var.conf"), "{rows:?}");
    assert_eq!(
        ran.stderr.lines().filter(|l| !l.contains("dry-run") && !l.contains("Applying")).count(),
        0,
        "{}",
        ran.stderr
    );
}

#[test]
fn the_hash_tree_passes_veritysetup_and_a_flipped_byte_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (data, tree) = (dir.path().join("usr"), dir.path().join("verity"));
    let (offset, len) = partition("hello_1.0.0");
    carve(&hello().path, offset, len, &data);
    let (offset, len) = partition("hello_1.0.0_verity");
    carve(&hello().path, offset, len, &tree);
    let root = hello().manifest["root_hash"].as_str().unwrap().to_owned();
    let verify = || tool("veritysetup", ["verify", data.to_str().unwrap(), tree.to_str().unwrap(), &root]);
    verify().ok();
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&data).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 5_000_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 5_000_000).unwrap();
    assert_ne!(verify().code, 0);
}

#[test]
fn the_esp_passes_fsck_mtools_and_bootctl() {
    let dir = tempfile::tempdir().unwrap();
    let esp = dir.path().join("esp.img");
    let (offset, len) = partition("esp");
    carve(&hello().path, offset, len, &esp);
    let text = tool("fsck.vfat", ["-n".as_ref(), esp.as_os_str()]).ok().text();
    let complaints = text.lines().filter(|l| !l.starts_with("fsck.fat") && !l.contains(" files, ")).count();
    assert_eq!(complaints, 0, "{text}");
    let files = dir.path().join("esp");
    fs_err::create_dir_all(&files).unwrap();
    tool("mcopy", ["-s", "-Q", "-i", esp.to_str().unwrap(), "::*", files.to_str().unwrap()]).ok();
    let conf = fs_err::read_to_string(files.join("loader/loader.conf")).unwrap();
    assert!(!conf.lines().any(|l| l.starts_with("default")), "{conf}");
    let list = run(Command::new("bootctl")
        .args(["--json=short", "list"])
        .env("SYSTEMD_ESP_PATH", &files)
        .env("SYSTEMD_RELAX_ESP_CHECKS", "1"))
    .ok();
    assert!(
        list.stdout.contains("hello_1.0.0+3.efi") && list.stdout.contains("/EFI/Linux/"),
        "{}",
        list.text()
    );
}

#[test]
fn the_uki_has_the_sections_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let (offset, _) = partition("esp");
    let uki = dir.path().join("uki.efi");
    let source = format!("{}@@{offset}", hello().path.display());
    tool("mcopy", ["-i", &source, "::EFI/Linux/hello_1.0.0+3.efi", uki.to_str().unwrap()]).ok();
    let sections = tool("objdump", ["-h".as_ref(), uki.as_os_str()]).ok().stdout;
    for name in [".linux", ".initrd", ".cmdline", ".osrel", ".uname", ".sbat"] {
        assert!(sections.contains(name), "{name}\n{sections}");
    }
    let dump = dir.path().join("cmdline");
    let arg = format!(".cmdline={}", dump.display());
    tool("objcopy", ["-O", "binary", "--dump-section", &arg, uki.to_str().unwrap(), "/dev/null"]);
    let cmdline = fs_err::read_to_string(&dump).unwrap();
    assert_eq!(cmdline.trim_end_matches('\0'), hello().manifest["cmdline"].as_str().unwrap());
    // Where a newer systemd is at hand, its own tool reads it too; Debian 12 has no ukify.
    let data = fs_err::read(&uki).unwrap();
    let ours: Vec<String> =
        twinhull_uki::sections("UKI", &data).unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(ours.iter().filter(|n| *n == ".linux").count(), 1);
}

#[test]
fn inspect_agrees_and_names_a_flipped_byte() {
    let report = run(program("image-builder").arg("inspect").arg("--json").arg(&hello().path)).ok();
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["slots"][0]["verity"], "verified");
    assert_eq!(report["slots"][1]["state"], "empty");
    assert_eq!(report["boot_entries"][0]["tries_left"], 3);
    assert_eq!(report["boot_entries"][0]["slot"], "A");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("disk.raw");
    tool("cp", ["--sparse=always".as_ref(), hello().path.as_os_str(), copy.as_os_str()]).ok();
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(&copy).unwrap();
    file.write_all_at(b"\xff\x00\xff", partition("hello_1.0.0").0 + 9_000_000).unwrap();
    let ran = run(program("image-builder").arg("inspect").arg(&copy));
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("does not match its hash"), "{}", ran.text());
}

/// Same input, same bytes: under another user, umask, time zone, locale, CPU count and folder. Without privileges, any
/// way to get some, user namespaces, and network.
#[test]
fn a_second_build_gives_the_same_bytes_as_user_nobody() {
    let spec = twinhull_tests::top().join("examples/hello.yaml");
    let tree = hello_tree();
    let dir = tempfile::Builder::new().prefix("twinhull-nobody-").tempdir_in("/var/tmp").unwrap();
    // Everything nobody needs, in a place nobody can read, whatever the checkout's folder allows.
    let copy = |from: &std::path::Path, to: &str| {
        let to = dir.path().join(to);
        tool("cp", ["-r".as_ref(), from.as_os_str(), to.as_os_str()]).ok();
        to
    };
    let bin = copy(&twinhull_tests::bin_dir().join("image-builder"), "image-builder");
    for name in [
        "firstboot-agent",
        "twinhull-bridge",
        "twinhull-disk",
        "twinhull-boot-generator",
        "twinhull-provision-generator",
    ] {
        copy(&twinhull_tests::bin_dir().join(name), name);
    }
    let spec = copy(&spec, "hello.yaml");
    // The tree alone: nothing is kept from other builds.
    fs_err::create_dir_all(dir.path().join("cache/trees")).unwrap();
    for path in [tree.clone(), tree.with_extension("sha256")] {
        copy(&path, &format!("cache/trees/{}", path.file_name().unwrap().display()));
    }
    let out = dir.path().join("out");
    fs_err::create_dir_all(&out).unwrap();
    tool("chmod", ["-R", "a+rX", dir.path().to_str().unwrap()]).ok();
    tool("chmod", ["0777", out.to_str().unwrap()]).ok();
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command.args(["--no-new-privs", "bwrap", "--dev-bind", "/", "/"]);
    command.args(["--unshare-user", "--disable-userns", "--assert-userns-disabled", "--unshare-net"]);
    command.args(["taskset", "-c", "0", "sh", "-c", "umask 077; exec \"$@\"", "sh"]);
    command
        .arg(bin)
        .arg("build")
        .arg(spec)
        .args(["--offline", "--quiet", "--cache-dir"])
        .arg(dir.path().join("cache"));
    command.arg("--out").arg(&out);
    command.env("TZ", "Pacific/Chatham").env("LANG", "tr_TR.UTF-8").env("HOME", "/nonexistent");
    run(&mut command).ok();
    for name in ["hello_1.0.0.raw", "hello_1.0.0.manifest.json", "hello_1.0.0.spdx.json"] {
        let ours = hello().path.with_file_name(name);
        tool("cmp", [ours.as_os_str(), out.join(name).as_os_str()]).ok();
    }
}

/// An archive and the folder it was unpacked to give the same disk, and so does a build in which everything is kept.
#[test]
fn archive_and_folder_give_the_same_bytes() {
    assert!(rustix::process::geteuid().is_root(), "only root can unpack a tree with its owners");
    let dir = tempfile::Builder::new().prefix("twinhull-folder-").tempdir_in("/var/tmp").unwrap();
    let archive = hello_tree();
    let tree = dir.path().join("tree");
    fs_err::create_dir(&tree).unwrap();
    let unpack = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"];
    run(Command::new("tar").args(unpack).arg(&archive).arg("-C").arg(&tree)).ok();
    let text = fs_err::read_to_string(twinhull_tests::top().join("examples/hello.yaml")).unwrap();
    let (head, rest) = text.split_once("tree:").unwrap();
    let (_, system) = rest.split_once("system:").unwrap();
    let mut images = Vec::new();
    for (name, source) in [("archive", format!("tar: {}", archive.display())), ("folder", "dir: tree".into())]
    {
        let spec = dir.path().join(format!("{name}.yaml"));
        fs_err::write(&spec, format!("{head}tree:\n  {source}\nsystem:{system}")).unwrap();
        let out = dir.path().join(name);
        run(program("image-builder").arg("build").arg(&spec).arg("--quiet").arg("--out").arg(&out)).ok();
        images.push(out.join("hello_1.0.0.raw"));
    }
    for image in &images {
        tool("cmp", [hello().path.as_os_str(), image.as_os_str()]).ok();
    }
}
