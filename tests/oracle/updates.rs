//! update-agent moves the other slot of a real disk image to a new version, from a real web server. The machine around
//! it is a folder: what it says of itself, and an ESP as it is when mounted. Booting is tests/boot's part.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use twinhull_tests::{Ran, Web, hello, hello_tree, hello_with, partition, program, run, tool};

/// A machine that runs version 1.0.0, and its publisher, who has 1.1.0.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    web: Web,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(at("disk.raw"))).ok();
        for folder in ["root/usr/lib", "root/proc", "root/etc", "esp/EFI/Linux", "rel"] {
            fs_err::create_dir_all(at(folder)).unwrap();
        }
        let image = format!("{}@@{}", hello().path.display(), partition("esp").0);
        let entry = at("esp/EFI/Linux/hello_1.0.0.efi");
        tool("mcopy", ["-i", &image, "::/EFI/Linux/hello_1.0.0+3.efi", entry.to_str().unwrap()]).ok();
        let hash = hello().manifest["root_hash"].as_str().unwrap();
        fs_err::write(at("root/usr/lib/os-release"), "IMAGE_ID=hello\nIMAGE_VERSION=1.0.0\n").unwrap();
        fs_err::write(at("root/proc/cmdline"), format!("usrhash={hash}\n")).unwrap();
        fs_err::write(at("root/etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
        let web = Web::serve(&at("rel"), "");
        let config = json!({"urls": [web.url], "channel": "stable", "root": "keys/1.root.json"});
        fs_err::write(at("config.json"), config.to_string()).unwrap();
        let world = World { dir, web };
        world.builder("keygen keys --image hello");
        world.builder(&format!(
            "release {} --to rel --root keys/1.root.json --key keys/release.key",
            hello().path.display()
        ));
        world.builder("promote rel/hello 1.0.0 --key keys/channel.key");
        world
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn builder(&self, line: &str) {
        run(program("image-builder").args(line.split_whitespace()).current_dir(self.dir.path())).ok();
    }

    /// Releases 1.1.0 and makes it the newest.
    pub(crate) fn publish(&self) {
        self.publish_version("1.1.0");
    }

    fn publish_version(&self, version: &str) {
        let newer = hello_with(&self.at("out"), "version: 1.0.0", &format!("version: {version}"));
        self.builder(&format!("release {} --to rel --key keys/release.key", newer.display()));
        self.builder(&format!("promote rel/hello {version} --key keys/channel.key"));
    }

    pub(crate) fn agent(&self, line: &str) -> Ran {
        run(&mut self.agent_command(line))
    }

    pub(crate) fn agent_command(&self, line: &str) -> Command {
        let paths = "--config config.json --machine-config machine.json --state state --disk disk.raw --esp esp --root root";
        let mut command = program("update-agent");
        command.args(line.split_whitespace().chain(paths.split_whitespace())).current_dir(self.dir.path());
        command
    }

    /// As if the machine had rebooted into 1.1.0 and found it good.
    pub(crate) fn boots_the_new_version(&self) {
        let release = fs_err::read_to_string(self.at("rel/hello/hello_1.1.0.release.json")).unwrap();
        let release: Value = serde_json::from_str(release.lines().next().unwrap()).unwrap();
        let hash = release["root_hash"].as_str().unwrap();
        fs_err::write(self.at("root/usr/lib/os-release"), "IMAGE_ID=hello\nIMAGE_VERSION=1.1.0\n").unwrap();
        fs_err::write(self.at("root/proc/cmdline"), format!("usrhash={hash}\n")).unwrap();
        let entry = |name: &str| self.at("esp/EFI/Linux").join(name);
        fs_err::rename(entry("hello_1.1.0+3.efi"), entry("hello_1.1.0.efi")).unwrap();
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.agent("status --json").ok().stdout).unwrap()
    }

    pub(crate) fn entries(&self) -> String {
        tool("ls", [self.at("esp/EFI/Linux")]).ok().stdout
    }

    /// The usr image of 1.1.0 in the release folder.
    fn usr(&self) -> PathBuf {
        let files = fs_err::read_dir(self.at("rel/hello")).unwrap().map(|e| e.unwrap().path());
        let usr = |p: &PathBuf| p.to_str().unwrap().contains("_1.1.0_") && p.extension().unwrap() == "usr";
        files.into_iter().find(usr).unwrap()
    }

    /// Requests for files that end in `ending`.
    fn fetched(&self, ending: &str) -> usize {
        self.web.requests().iter().filter(|line| line.contains(&format!("{ending} HTTP"))).count()
    }
}

#[test]
fn the_agent_moves_the_other_slot_to_a_new_version() {
    let world = World::new();
    let ran = world.agent("check").ok();
    assert_eq!(ran.stdout, "1.0.0 runs, nothing is newer\n");
    assert_eq!(world.agent("update").ok().stdout, ran.stdout);
    world.publish();
    let ran = world.agent("check");
    assert_eq!((ran.code, ran.stdout.as_str()), (3, "1.1.0 is newer than 1.0.0, which runs\n"));
    assert_eq!(world.status()["slots"][1]["version"], Value::Null, "check has changed something");
    let ran = world.agent("update --json").ok();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((json["result"].as_str(), json["version"].as_str()), (Some("staged"), Some("1.1.0")));
    // Nothing is new but the version.
    let fetched = json["fetched"].as_u64().unwrap();
    assert!((1..200_000).contains(&fetched), "{fetched} bytes were fetched");
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+3.efi\n");
    let slots = &world.status()["slots"];
    let want = json!([
        {"slot": "A", "version": "1.0.0", "state": "blessed", "reason": null, "running": true},
        {"slot": "B", "version": "1.1.0", "state": "to be tried", "reason": null, "running": false},
    ]);
    assert_eq!(*slots, want);
    let seen = run(program("image-builder").arg("inspect").arg(world.at("disk.raw")).arg("--json")).ok();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen["slots"][1]["verity"], "verified", "{seen}");
    tool("sgdisk", ["-v".as_ref(), world.at("disk.raw").as_os_str()]).ok();
    tool("sfdisk", ["--verify".as_ref(), world.at("disk.raw").as_os_str()]).ok();
    // Done is done.
    let before = world.fetched(".usr");
    assert!(world.agent("update").ok().stdout.contains("1.1.0 is installed"));
    assert_eq!(world.fetched(".usr"), before);
}

#[test]
fn nothing_boots_that_is_not_what_was_signed() {
    let world = World::new();
    world.publish();
    let usr = world.usr();
    let good = fs_err::read(&usr).unwrap();
    // With an index, hardly anything of the file would be fetched.
    let index = PathBuf::from(format!("{}.index", usr.display()));
    let aside = world.at("index");
    fs_err::rename(&index, &aside).unwrap();
    let mut bad = good.clone();
    bad.iter_mut().step_by(4096).for_each(|byte| *byte ^= 1);
    fs_err::write(&usr, &bad).unwrap();
    let ran = world.agent("update");
    assert!(ran.code == 1 && ran.stderr.contains("doesn't match its root hash"), "{}", ran.text());
    assert_eq!(world.entries(), "hello_1.0.0.efi\n");
    assert_eq!(world.status()["slots"][1]["version"], Value::Null);
    // A file of another length is not even read.
    fs_err::write(&usr, &good[..good.len() - 4096]).unwrap();
    let ran = world.agent("update");
    assert!(ran.code == 1 && ran.stderr.contains("were signed"), "{}", ran.text());
    fs_err::write(&usr, &good).unwrap();
    world.agent("update").ok();
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+3.efi\n");

    fs_err::rename(&aside, &index).unwrap();

    // What the boot loader has given up is not tried again.
    let entry = |name: &str| world.at("esp/EFI/Linux").join(name);
    fs_err::rename(entry("hello_1.1.0+3.efi"), entry("hello_1.1.0+0-3.efi")).unwrap();
    assert!(world.agent("update").ok().stdout.contains("is not tried again"));
    let slot = &world.status()["slots"][1];
    assert_eq!((&slot["state"], &slot["reason"]), (&"failed".into(), &"it did not come up".into()));
    // Also when another version has taken its slot.
    world.publish_version("1.2.0");
    world.agent("update").ok();
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.2.0+3.efi\n");
    world.builder("promote rel/hello 1.1.0 --key keys/channel.key");
    assert!(world.agent("update").ok().stdout.contains("1.1.0 was tried"));
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.2.0+3.efi\n");
}

/// No run of bytes is as it was in a program that was built anew, but what is different is little.
#[test]
fn a_rebuilt_program_costs_its_patch() {
    const PROGRAM: &str = "usr/bin/perl";
    let world = World::new();
    let (tree, files) = (world.at("tree.tar"), world.at("files"));
    run(Command::new("cp").arg(hello_tree()).arg(&tree)).ok();
    fs_err::create_dir(&files).unwrap();
    let path = files.join(PROGRAM);
    let tar = |args: &[&str]| run(Command::new("tar").args(args).arg(format!("./{PROGRAM}"))).ok();
    tar(&["-xpf", tree.to_str().unwrap(), "-C", files.to_str().unwrap()]);
    let mut bytes = fs_err::read(&path).unwrap();
    bytes.iter_mut().step_by(3000).for_each(|byte| *byte ^= 1);
    fs_err::write(&path, &bytes).unwrap();
    // Behind the one that is there: the last one counts.
    tar(&["-rpf", tree.to_str().unwrap(), "-C", files.to_str().unwrap()]);
    let spec = format!(
        "image: {{id: hello, version: 1.1.0}}\ntree: {{tar: {}}}\nsystem: {{hostname: hello}}\n",
        tree.display()
    );
    fs_err::write(world.at("new.yaml"), spec).unwrap();
    world.builder("build new.yaml --quiet --out out");
    let ran = run(program("image-builder")
        .args("release out/hello_1.1.0.raw --to rel --key keys/release.key --json --quiet".split(' '))
        .current_dir(world.dir.path()))
    .ok();
    assert!(ran.stdout.contains("hello_1.1.0_1.0.0.patches"), "{}", ran.text());
    world.builder("promote rel/hello 1.1.0 --key keys/channel.key");
    let ran = world.agent("update --json").ok();
    let fetched = serde_json::from_str::<Value>(&ran.stdout).unwrap()["fetched"].as_u64().unwrap();
    assert!(
        world.fetched(".patches") > 0 && fetched < 400_000,
        "{fetched} bytes of {} MB",
        bytes.len() >> 20
    );
    let seen = run(program("image-builder").arg("inspect").arg(world.at("disk.raw")).arg("--json")).ok();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen["slots"][1]["verity"], "verified", "{seen}");
}

/// Indexes only say what needn't be fetched.
#[test]
fn whatever_is_wrong_with_an_index_costs_bytes_and_nothing_else() {
    let world = World::new();
    world.publish();
    let usr_index = PathBuf::from(format!("{}.index", world.usr().display()));
    let uki_index = world.at("rel/hello/hello_1.1.0.efi.index");
    let (good, uki_good) = (fs_err::read(&usr_index).unwrap(), fs_err::read(&uki_index).unwrap());
    let flipped = |bytes: &[u8], from: usize| -> Vec<u8> {
        bytes.iter().enumerate().map(|(n, byte)| if n < from { *byte } else { byte ^ 1 }).collect()
    };
    let uki = world.at("rel/hello/hello_1.1.0.efi");
    let uki_len = fs_err::metadata(&uki).unwrap().len();
    let usr_len = fs_err::metadata(world.usr()).unwrap().len();
    let short = &good[..good.len() - 1];
    for (what, usr, new_uki, whole_usr, whole_uki) in [
        ("no index", None, None, true, true),
        ("a short one", Some(short.to_vec()), Some(uki_good[..40].to_vec()), true, true),
        ("no table", Some(flipped(&good, 32)), Some(flipped(&uki_good, 32)), true, true),
        ("wrong hashes", Some(flipped(&good, good.len() - 6)), Some(uki_good.clone()), false, false),
    ] {
        for (path, bytes) in [(&usr_index, &usr), (&uki_index, &new_uki)] {
            match bytes {
                Some(bytes) => fs_err::write(path, bytes).unwrap(),
                None => fs_err::remove_file(path).unwrap(),
            }
        }
        run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(world.at("disk.raw"))).ok();
        let _ = fs_err::remove_file(world.at("esp/EFI/Linux/hello_1.1.0+3.efi"));
        let ran = world.agent("update --json").ok();
        let json: Value = serde_json::from_str(&ran.stdout).unwrap();
        let fetched = json["fetched"].as_u64().unwrap();
        let least = if whole_usr { usr_len } else { 0 } + if whole_uki { uki_len } else { 0 };
        assert!(
            (least..least + 2_000_000).contains(&fetched),
            "{what}: {fetched} of {least}\n{}",
            ran.stderr
        );
        let seen = run(program("image-builder").arg("inspect").arg(world.at("disk.raw")).arg("--json")).ok();
        let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
        assert_eq!(seen["slots"][1]["verity"], "verified", "{what}");
    }
    // An index of another UKI. The release says how long it is, and some changes make its packed hashes a byte longer or
    // shorter.
    let other = fs_err::read(&uki).unwrap();
    let index = (0..50).map(|n| other.len() / 2 + n * 4096).find_map(|changed| {
        let (mut other, mut index) = (other.clone(), Vec::new());
        other[changed] ^= 1;
        twinhull_delta::write_index(&other.as_slice(), &mut index).unwrap();
        (index.len() == uki_good.len()).then_some(index)
    });
    let index = index.expect("one of fifty indexes has the same length");
    fs_err::write(&uki_index, index).unwrap();
    run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(world.at("disk.raw"))).ok();
    fs_err::remove_file(world.at("esp/EFI/Linux/hello_1.1.0+3.efi")).unwrap();
    let ran = world.agent("update").ok();
    let said = ["fetched whole", "not what the index says"];
    assert!(said.iter().all(|words| ran.stderr.contains(words)), "{}", ran.text());
    assert_eq!(world.entries(), "hello_1.0.0.efi\nhello_1.1.0+3.efi\n");
    // An index of a UKI with two extents of the running one in each other's place: each of them is what the index says, and
    // only the SHA-256 of all of it notices. Two of one group change nothing else in the index.
    let bytes = fs_err::read(&uki).unwrap();
    let sections = twinhull_uki::sections("UKI", &bytes).unwrap();
    let kernel = sections.iter().find(|section| section.name == ".linux").unwrap();
    const EXTENT: usize = 64 << 10;
    let swapped = (0..kernel.size / EXTENT - 1).find_map(|n| {
        let (mut swapped, mut index) = (bytes.clone(), Vec::new());
        let at = kernel.offset + n * EXTENT;
        swapped[at..at + 2 * EXTENT].rotate_left(EXTENT);
        twinhull_delta::write_index(&swapped.as_slice(), &mut index).unwrap();
        (swapped != bytes && index.len() == uki_good.len()).then_some((swapped, index))
    });
    let (swapped, index) = swapped.expect("two extents of the kernel are in one group");
    fs_err::write(&uki_index, index).unwrap();
    let update = || {
        run(Command::new("cp").arg("--sparse=always").arg(&hello().path).arg(world.at("disk.raw"))).ok();
        let _ = fs_err::remove_file(world.at("esp/EFI/Linux/hello_1.1.0+3.efi"));
        world.agent("update")
    };
    let ran = update().ok();
    let said = ["fetched whole", "doesn't have the SHA-256"];
    assert!(said.iter().all(|words| ran.stderr.contains(words)), "{}", ran.text());
    assert_eq!(fs_err::read(world.at("esp/EFI/Linux/hello_1.1.0+3.efi")).unwrap(), bytes);
    // Where the UKI itself is that other one, nothing is left to fetch.
    fs_err::write(&uki, &swapped).unwrap();
    let ran = update();
    assert!(ran.code == 1 && ran.stderr.contains("1.1.0 was not installed"), "{}", ran.text());
    let refused = ran.stderr.lines().last().is_some_and(|line| line.contains("doesn't have the SHA-256"));
    assert!(refused, "{}", ran.text());
    assert_eq!(world.entries(), "hello_1.0.0.efi\n");
    fs_err::write(&uki, &bytes).unwrap();
    // A server that knows no ranges.
    fs_err::write(&usr_index, good).unwrap();
    fs_err::write(&uki_index, uki_good).unwrap();
    let web = Web::serve(&world.at("rel"), "max_ranges 0;");
    let config = json!({"urls": [web.url], "channel": "stable", "root": "keys/1.root.json"});
    fs_err::write(world.at("config.json"), config.to_string()).unwrap();
    let ran = update().ok();
    assert!(ran.stderr.contains("sends no ranges"), "{}", ran.text());
}

#[test]
fn a_version_that_is_not_blessed_keeps_its_fallback() {
    let world = World::new();
    world.publish();
    let entry = |name: &str| world.at("esp/EFI/Linux").join(name);
    fs_err::rename(entry("hello_1.0.0.efi"), entry("hello_1.0.0+2-1.efi")).unwrap();
    let ran = world.agent("update");
    assert!(ran.code == 1 && ran.stderr.contains("is not blessed yet"), "{}", ran.text());
    assert_eq!(world.fetched(".usr"), 0);
}

#[test]
fn a_rollout_reaches_this_machine_in_its_turn() {
    let world = World::new();
    world.publish();
    world.builder("promote rel/hello 1.1.0 --rollout 9w --start 2100-01-01T00:00Z --key keys/channel.key");
    let json: Value = serde_json::from_str(&world.agent("update --json").ok().stdout).unwrap();
    assert_eq!((json["result"].as_str(), json["version"].as_str()), (Some("waiting"), Some("1.1.0")));
    let until = json["until"].as_i64().unwrap() - 4_102_444_800;
    assert!((0..9 * 7 * 86_400).contains(&until), "{until}");
    assert!(world.agent("update --now").ok().stdout.contains("1.1.0 is installed"));
}

#[test]
fn old_documents_and_strangers_are_refused_by_name() {
    let world = World::new();
    let pointer = world.at("rel/hello/stable.channel.json");
    let old = fs_err::read(&pointer).unwrap();
    world.publish();
    assert_eq!(world.agent("check").code, 3);
    fs_err::write(&pointer, old).unwrap();
    let ran = world.agent("check");
    assert!(ran.code == 1 && ran.stderr.contains("rollback: the serial"), "{}", ran.text());
    assert!(world.agent("status").ok().stdout.contains("rollback: the serial"));
    world.builder("keygen others --image hello");
    fs_err::copy(world.at("others/1.root.json"), world.at("keys/1.root.json")).unwrap();
    fs_err::remove_dir_all(world.at("state")).unwrap();
    let ran = world.agent("check");
    assert!(ran.code == 1 && ran.stderr.contains("arbitrary software"), "{}", ran.text());
}

#[test]
fn a_machine_that_slept_through_two_rotations_follows() {
    let world = World::new();
    world.agent("check").ok();
    for (old, new) in [("keys", "new"), ("new", "newer")] {
        world.builder(&format!("keygen {new} --image hello"));
        let mut line = "rotate-keys rel/hello".to_owned();
        for role in ["root", "release", "channel"] {
            line += &format!(
                " --add {role}={new}/{role}.pub --remove {role}={old}/{role}.pub --key {new}/{role}.key"
            );
        }
        world.builder(&format!("{line} --key {old}/root.key"));
    }
    let newer = hello_with(&world.at("out"), "version: 1.0.0", "version: 1.1.0");
    world.builder(&format!("release {} --to rel --key newer/release.key", newer.display()));
    world.builder("promote rel/hello 1.1.0 --key newer/channel.key");
    // Nobody gets past a root that is kept from the machine.
    let (second, aside) = (world.at("rel/hello/2.root.json"), world.at("2.root.json"));
    fs_err::rename(&second, &aside).unwrap();
    let ran = world.agent("check");
    assert!(ran.code == 1 && ran.stderr.contains("arbitrary software"), "{}", ran.text());
    fs_err::rename(&aside, &second).unwrap();
    assert_eq!(world.agent("check").code, 3);
    assert!(world.agent("apply").ok().stdout.contains("1.1.0 is installed"));
    let state = fs_err::read_to_string(world.at("state/state.json")).unwrap();
    assert!(state.contains("\\\"version\\\":3"), "{state}");
}

/// A failed boot goes back to the version before, whatever else is wrong. systemctl is a script that writes down how it was
/// called.
#[test]
fn nothing_keeps_a_bad_version_from_going_back() {
    let world = World::new();
    let (bin, called) = (world.at("bin"), world.at("called"));
    fs_err::create_dir(&bin).unwrap();
    let systemctl = bin.join("systemctl");
    let script = |listing: &str| {
        let text = format!(
            "#!/bin/sh\necho \"$@\" >>{}\n[ \"$1\" = list-units ] || exit 0\n{listing}\n",
            called.display()
        );
        fs_err::write(&systemctl, text).unwrap();
        tool("chmod", ["0755", systemctl.to_str().unwrap()]).ok();
    };
    let run_boot_failed = || {
        let args = "boot-failed --config config.json --state state --disk disk.raw --esp esp --root root";
        let mut command = program("update-agent");
        command.args(args.split_whitespace()).current_dir(world.dir.path());
        // Not with `run`, which puts the host's programs behind ours.
        let output = command.env("PATH", &bin).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let calls = fs_err::read_to_string(&called).unwrap_or_default();
        let _ = fs_err::remove_file(&called);
        (output.status.code(), said, calls.lines().any(|line| line == "reboot"))
    };
    script(
        "echo 'systemd-boot-check-no-failures.service loaded failed failed x'; echo 'web.service loaded failed failed Web'",
    );
    // Nobody counts.
    let (code, said, rebooted) = run_boot_failed();
    assert!(code == Some(0) && !rebooted && said.contains("proved to be good before"), "{said}");
    let counted = "sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let counted = world.at("root").join(counted);
    fs_err::create_dir_all(counted.parent().unwrap()).unwrap();
    fs_err::write(counted, "").unwrap();
    // There is nothing to go back to.
    let (code, said, rebooted) = run_boot_failed();
    assert!(code == Some(0) && !rebooted && said.contains("so it stays up"), "{said}");
    assert!(said.contains("failed units: web.service\n"), "{said}");
    let kept = fs_err::read_to_string(world.at("state/failures.json")).unwrap();
    assert!(kept.contains("failed units: web.service"), "{kept}");

    fs_err::write(world.at("esp/EFI/Linux/hello_0.9.0.efi"), "x").unwrap();
    let (code, said, rebooted) = run_boot_failed();
    assert!(code == Some(0) && rebooted && said.contains("0.9.0 is there"), "{said}");
    // Nothing can be written, and nothing can be listed.
    fs_err::remove_dir_all(world.at("state")).unwrap();
    fs_err::write(world.at("state"), "no folder").unwrap();
    script("exit 1");
    let (code, said, rebooted) = run_boot_failed();
    assert!(code == Some(0) && rebooted && said.contains("the reason can't be kept"), "{said}");
}
