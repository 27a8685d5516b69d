//! Release folders: from keys to a channel, what is refused on the way, and what `verify-release` finds.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_tests::{Ran, hello, hello_with, program, run, tool};

/// When everything here happens, seconds since 1970.
const NOW: &str = "1900000000";

/// A folder with keys in `keys` and releases in `rel`.
struct Publisher {
    dir: tempfile::TempDir,
}

impl Publisher {
    fn new(keygen: &str) -> Self {
        let publisher = Publisher { dir: tempfile::tempdir_in("/var/tmp").unwrap() };
        publisher.ok(&format!("keygen keys --image hello {keygen}"));
        publisher
    }

    /// With version 1.0.0 in the channel stable.
    fn published() -> Self {
        let publisher = Publisher::new("");
        publisher.ok(&format!("release {} --to rel --root keys/1.root.json --key keys/release.key", image()));
        publisher.ok("promote rel/hello 1.0.0 --key keys/channel.key");
        publisher
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program("image-builder");
        command.args(line.split_whitespace()).current_dir(self.dir.path()).env("TWINHULL_NOW", NOW);
        command
    }

    fn ok(&self, line: &str) -> Ran {
        run(&mut self.command(line)).ok()
    }

    /// Expects a failure with all of `words`, and no change of the folder.
    fn refused(&self, line: &str, words: &[&str]) {
        let before = self.listing();
        let ran = run(&mut self.command(line));
        assert_ne!(ran.code, 0, "{line} went through");
        words
            .iter()
            .for_each(|word| assert!(ran.stderr.contains(word), "{line}: no {word:?} in\n{}", ran.stderr));
        assert_eq!(self.listing(), before, "{line} left something");
    }

    /// Expects that a machine that has the first root would not update, with `word`.
    fn broken(&self, word: &str) {
        let ran = run(&mut self.command("verify-release rel/hello --root keys/1.root.json"));
        assert_eq!(ran.code, 1, "{}", ran.text());
        assert!(ran.text().contains(word), "no {word:?} in\n{}", ran.text());
    }

    fn holds(&self) {
        self.ok("verify-release rel/hello --root keys/1.root.json");
    }

    /// Names and digests of everything.
    fn listing(&self) -> String {
        let ran = run(Command::new("sh")
            .args(["-c", "find . | sort; find . -type f -exec sha256sum {} + | sort"])
            .current_dir(self.dir.path()));
        ran.ok().stdout
    }

    /// A file of the release 1.0.0 by its ending.
    fn file(&self, ending: &str) -> PathBuf {
        let mut all = fs_err::read_dir(self.path("rel/hello")).unwrap().map(|e| e.unwrap().path());
        all.find(|p| p.to_str().unwrap().ends_with(ending)).unwrap()
    }
}

fn image() -> String {
    hello().path.display().to_string()
}

fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs_err::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.file().read_exact_at(&mut byte, at).unwrap();
    file.file().write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn private_keys_are_private_and_never_overwritten() {
    let publisher = Publisher::new("--keys root=3 --threshold root=2");
    let listing =
        run(Command::new("stat").args(["-c", "%a %n", "keys"]).current_dir(publisher.dir.path())).ok();
    assert_eq!(listing.stdout, "700 keys\n");
    for key in ["root-1", "root-3", "release", "channel"] {
        let ran =
            tool("stat", ["-c", "%a", publisher.path(&format!("keys/{key}.key")).to_str().unwrap()]).ok();
        assert_eq!(ran.stdout, "600\n", "{key}");
    }
    publisher.refused("keygen keys --image hello", &["keys has files already", "give an empty folder"]);
    for (line, word) in [
        ("keygen k --image Hello", "is no image name"),
        ("keygen k --image hello --threshold root=2", "give it more with --keys root=2"),
        ("keygen k --image hello --keys root=33", "1 to 32 keys"),
        ("keygen k --image hello --keys boss=1", "the roles are root, release and channel"),
        ("keygen k --image hello --expires 0d", "longer than nothing"),
        ("keygen k --image hello --expires 9000y", "the time is too long"),
    ] {
        publisher.refused(line, &[word]);
    }
}

#[test]
fn a_release_gets_to_machines_in_steps() {
    let publisher = Publisher::new("--keys release=2 --threshold release=2");
    let release = format!("release {} --to rel", image());
    publisher.refused(&release, &["has no 1.root.json yet", "--root KEYS/1.root.json"]);
    let with_root = format!("{release} --root keys/1.root.json");
    publisher.refused(&format!("{with_root} --key keys/nobody.key"), &["keys/nobody.key"]);
    let ran = publisher.ok(&format!("{with_root} --key keys/release-1.key"));
    assert!(ran.stderr.contains("has 1 of 2 signatures by the role release of root 1"), "{}", ran.stderr);
    publisher.refused(
        &format!("{release} --key keys/channel.key"),
        &["keys/channel.key is no key of the role release"],
    );
    publisher.refused(
        "promote rel/hello 1.0.0 --key keys/channel.key",
        &["is still a draft", "image-builder sign"],
    );
    publisher.refused("promote rel/hello 2.0.0 --key keys/channel.key", &["has no hello_2.0.0.release.json"]);
    publisher.refused("promote rel/hello --key keys/channel.key", &["has no version yet"]);

    // The second key is elsewhere.
    let draft = "rel/hello/hello_1.0.0.release.json.draft";
    publisher.ok(&format!("sign {draft} --prepare tbs"));
    let sign = ["pkeyutl", "-sign", "-rawin", "-inkey", "keys/release-2.key", "-in", "tbs", "-out", "sig"];
    run(Command::new("openssl").args(sign).current_dir(publisher.dir.path())).ok();
    publisher
        .refused(&format!("sign {draft} --attach tbs --public keys/release-2.pub"), &["signature has 64"]);
    publisher.refused(
        &format!("sign {draft} --attach sig --public keys/release-1.pub"),
        &["no signature of the key"],
    );
    publisher.refused(
        &format!("sign {draft} --key keys/root.key"),
        &["keys/root.key is no key of the role release"],
    );
    publisher.refused(&format!("sign {draft}"), &["nothing to sign with"]);
    publisher.refused("sign keys/root.pub --key keys/root.key", &["is no document of a release folder"]);
    publisher.ok(&format!("sign {draft} --attach sig --public keys/release-2.pub"));
    assert!(!publisher.path(draft).exists());

    publisher.ok("promote rel/hello 1.0.0 --key keys/channel.key --rollout 2d");
    publisher.holds();
    let sums = ["-c", "--strict", "SHA256SUMS"];
    run(Command::new("sha256sum").args(sums).current_dir(publisher.path("rel/hello"))).ok();
    // Again is no mistake, and changes nothing.
    let before = publisher.listing();
    publisher.ok(&format!("{release} --key keys/release-1.key"));
    assert_eq!(publisher.listing(), before);
    // A renewal keeps what was said.
    publisher.ok("promote rel/hello --key keys/channel.key --expires 60d");
    let json = publisher.ok("verify-release rel/hello --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (json["serial"].as_u64(), json["expires"].as_u64()),
        (Some(2), Some(1_900_000_000 + 60 * 86_400))
    );
    let channel = fs_err::read_to_string(publisher.path("rel/hello/stable.channel.json")).unwrap();
    assert!(channel.contains(r#""rollout":{"start":1900000000,"duration":172800}"#), "{channel}");
}

#[test]
fn a_version_is_released_once() {
    let publisher = Publisher::published();
    let again =
        hello_with(&publisher.path("out"), "hostname: hello", "hostname: other").display().to_string();
    publisher.refused(
        &format!("release {again} --to rel --key keys/release.key"),
        &["released already, with other contents", "image.version"],
    );

    let newer = hello_with(&publisher.path("out"), "version: 1.0.0", "version: 1.1.0").display().to_string();
    publisher.ok(&format!("release {newer} --to rel --key keys/release.key"));
    publisher.holds();
    publisher.ok("promote rel/hello 1.1.0 --channel testing --key keys/channel.key");
    publisher.ok("verify-release rel/hello --channel testing");
    // Machines with systemd-sysupdate follow stable.
    let sums = || fs_err::read_to_string(publisher.path("rel/hello/SHA256SUMS")).unwrap();
    assert!(sums().contains("hello_1.0.0.efi") && !sums().contains("1.1.0"));
    publisher.ok("promote rel/hello 1.1.0 --floor 1.1.0 --key keys/channel.key");
    assert!(sums().contains("hello_1.1.0.efi") && !sums().contains("1.0.0"));
    publisher
        .refused("promote rel/hello 1.0.0 --key keys/channel.key", &["older than the channel's floor 1.1.0"]);
    publisher.refused("promote rel/hello 1.1.0 --floor ../1", &["newest or floor is no version"]);
    let back = publisher.ok("promote rel/hello 1.0.0 --channel testing --key keys/channel.key");
    assert!(back.stderr.contains("none goes back to 1.0.0"), "{}", back.stderr);
}

#[test]
fn every_damage_is_found() {
    let publisher = Publisher::published();
    publisher.holds();
    for (ending, at) in [(".usr", 70_000), (".verity", 5000), (".efi", 1_000_000)] {
        let path = publisher.file(ending);
        flip(&path, at);
        publisher.broken("its digest is not the signed one");
        publisher
            .refused("promote rel/hello 1.0.0 --key keys/channel.key", &["is damaged", "release it again"]);
        flip(&path, at);
        publisher.holds();
        let aside = publisher.path("aside");
        fs_err::rename(&path, &aside).unwrap();
        publisher.broken(path.file_name().unwrap().to_str().unwrap());
        fs_err::rename(&aside, &path).unwrap();
    }
    let sums = publisher.path("rel/hello/SHA256SUMS");
    let text = fs_err::read_to_string(&sums).unwrap();
    fs_err::write(&sums, text.replace("1.0.0", "1.0.1")).unwrap();
    publisher.broken("it isn't about 1.0.0");
    fs_err::write(&sums, text).unwrap();
    for (name, from, to, word) in [
        ("stable.channel.json", "\"serial\":1", "\"serial\":9", "arbitrary software"),
        ("hello_1.0.0.release.json", "\"format\":1", "\"format\":1 ", "mix and match"),
        ("1.root.json", "\"version\":1", "\"version\":2", "refused"),
    ] {
        let path = publisher.path("rel/hello").join(name);
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs_err::write(&path, text.replacen(from, to, 1)).unwrap();
        if name == "1.root.json" {
            publisher.refused("promote rel/hello 1.0.0 --key keys/channel.key", &[word]);
        } else {
            publisher.broken(word);
        }
        fs_err::write(&path, text).unwrap();
    }
    let mut late = publisher.command("verify-release rel/hello");
    let ran = run(late.env("TWINHULL_NOW", "1902600000"));
    assert!(ran.code == 1 && ran.stdout.contains("freeze: the channel expired"), "{}", ran.text());
}

#[test]
fn keys_change_and_machines_follow() {
    let publisher = Publisher::published();
    publisher.ok("keygen new --image hello");
    let change = "rotate-keys rel/hello --add channel=new/channel.pub --remove channel=keys/channel.pub";
    publisher
        .refused(&format!("{change} --key new/release.key"), &["neither a root key of root 1 nor any key"]);
    publisher.refused(
        "rotate-keys rel/hello --threshold channel=2",
        &["2 of 1 keys of the role channel can't sign"],
    );
    publisher.refused("rotate-keys rel/hello --remove channel=new/channel.pub", &["has no key"]);
    publisher.refused("rotate-keys rel/hello --add channel=keys/channel.pub", &["has the key"]);
    // Without the new channel key, machines could believe nothing any more: the root waits.
    let ran = publisher.ok(&format!("{change} --key keys/root.key"));
    assert!(ran.stderr.contains("would not believe stable.channel.json"), "{}", ran.stderr);
    assert!(!publisher.path("rel/hello/2.root.json").exists());
    publisher.holds();
    publisher.ok("sign rel/hello/stable.channel.json --key new/channel.key");
    publisher.ok("sign rel/hello/2.root.json.draft");
    publisher.holds();
    publisher
        .refused("promote rel/hello --key keys/channel.key", &["is no key of the role channel of root 2"]);
    publisher.ok("promote rel/hello --key new/channel.key");
    // All of it at once, for the root's own key, too.
    publisher.ok("rotate-keys rel/hello --add root=new/root.pub --remove root=keys/root.pub \
         --add release=new/release.pub --remove release=keys/release.pub \
         --key keys/root.key --key new/root.key --key new/release.key");
    publisher.ok("rotate-keys rel/hello --key new/root.key");
    assert!(publisher.path("rel/hello/4.root.json").exists());
    publisher.holds();
    // A machine that has root 1 follows to root 4; one that never heard of it stops.
    let stranger = run(&mut publisher.command("verify-release rel/hello --root new/1.root.json"));
    assert!(stranger.code == 1 && stranger.stdout.contains("refused"), "{}", stranger.text());
}
