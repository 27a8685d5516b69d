//! A release folder is one for the stock systemd-sysupdate, too.

use std::path::Path;
use std::process::Command;

use twinhull_tests::{Web, hello, hello_with, newer_program, partition, program, run, tool};

use crate::support::{Guest, values};

/// Publishes version 1.1.0 of the default image as the channel stable below `dir`/rel.
fn publish(dir: &Path) {
    let newer = hello_with(&dir.join("out"), "version: 1.0.0", "version: 1.1.0");
    let builder = |line: &str| {
        let mut command = program("image-builder");
        run(command.args(line.split_whitespace()).arg("--quiet").current_dir(dir)).ok();
    };
    run(program("image-builder").args(["keygen", "keys", "--image", "hello"]).current_dir(dir)).ok();
    builder(&format!("release {} --to rel --root keys/1.root.json --key keys/release.key", newer.display()));
    builder("promote rel/hello 1.1.0 --key keys/channel.key");
}

/// The transfer files of docs/guides/releases.md, for a disk image and an ESP that is a folder.
fn transfers(dir: &Path, url: &str, disk: &Path, esp: &Path) {
    let (disk, esp) = (disk.display(), esp.display());
    let common = format!("[Transfer]\nVerify=no\n[Source]\nType=url-file\nPath={url}/hello/\n");
    for (name, source, target) in [
        (
            "50-verity",
            "hello_@v_@u.verity",
            format!(
                "Type=partition\nPath={disk}\nMatchPattern=hello_@v_verity\nMatchPartitionType=usr-verity\nReadOnly=1"
            ),
        ),
        (
            "60-usr",
            "hello_@v_@u.usr",
            format!("Type=partition\nPath={disk}\nMatchPattern=hello_@v\nMatchPartitionType=usr\nReadOnly=1"),
        ),
        (
            "70-uki",
            "hello_@v.efi",
            format!(
                "Type=regular-file\nPath={esp}\nMatchPattern=hello_@v+@l-@d.efi hello_@v+@l.efi hello_@v.efi\n\
                 Mode=0444\nTriesLeft=3\nTriesDone=0\nInstancesMax=2"
            ),
        ),
    ] {
        let text = format!("{common}MatchPattern={source}\n[Target]\n{target}\n");
        fs_err::write(dir.join(name).with_extension("transfer"), text).unwrap();
    }
}

#[test]
fn stock_sysupdate_applies_a_release_and_it_boots() {
    let dir = tempfile::Builder::new().prefix("twinhull-update-").tempdir_in("/var/tmp").unwrap();
    let at = |name: &str| dir.path().join(name);
    publish(dir.path());
    let (disk, esp, definitions) = (at("disk.raw"), at("esp"), at("definitions"));
    run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(&disk)).ok();
    for folder in [&esp, &definitions] {
        fs_err::create_dir_all(folder).unwrap();
    }
    // sysupdate writes partitions of a disk image, but the UKI into a folder: here without loop devices, by mtools.
    let image = format!("{}@@{}", disk.display(), partition("esp").0);
    tool("mcopy", ["-i", &image, "::/EFI/Linux/hello_1.0.0+3.efi", esp.to_str().unwrap()]).ok();
    let web = Web::serve(&at("rel"), "");
    transfers(&definitions, &web.url, &disk, &esp);
    let mut sysupdate = newer_program("/usr/lib/systemd/systemd-sysupdate", &[dir.path()]);
    let ran = run(sysupdate
        .arg(format!("--definitions={}", definitions.display()))
        .args(["--verify=no", "update"]));
    assert!(ran.code == 0 && ran.text().contains("Successfully installed update '1.1.0'"), "{}", ran.text());
    assert!(web.requests().iter().any(|line| line.contains("SHA256SUMS")), "{:?}", web.requests());
    let uki = esp.join("hello_1.1.0+3-0.efi");
    tool("mcopy", ["-i", &image, uki.to_str().unwrap(), "::/EFI/Linux/"]).ok();
    let seen = run(program("image-builder").arg("inspect").arg(&disk)).ok().stdout;
    assert_eq!(seen.matches("verified").count(), 2, "{seen}");

    let guest = Guest::of(disk);
    let script = "echo state=$(systemctl is-system-running --wait); . /usr/lib/os-release; echo version=$IMAGE_VERSION; \
                  systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; \
                  echo entries=$(ls /efi/EFI/Linux)";
    let got = values(&guest.exec(script).ok().stdout);
    assert_eq!((got["state"].as_str(), got["version"].as_str()), ("running", "1.1.0"), "{}", guest.serial());
    assert_eq!(got["entries"], "hello_1.0.0+3.efi hello_1.1.0.efi");
}
