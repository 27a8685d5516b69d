//! Secure Boot in real firmware: what our key signed boots (from a qcow2), what it didn't sign is refused.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use twinhull_tests::{program, run, top};

use crate::support::{Guest, values};

/// How long firmware may take to refuse an image.
const PATIENCE: Duration = Duration::from_secs(120);

/// What Linux says first on the console of our images, or systemd in the initrd.
const STARTED: [&str; 2] = ["Linux version", "systemd"];

/// Keys, what machines learn them from, and images: signed, signed later, and signed but for its UKI.
struct Fleet {
    dir: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-secure-").tempdir_in("/var/tmp").unwrap();
        let fleet = Fleet { dir };
        fleet.builder(&["secure-boot", "keygen", "keys", "--common-name", "boot test"]);
        fleet.builder(&["secure-boot", "enroll-files", "keys", "--out", "enroll"]);
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn builder(&self, args: &[&str]) {
        run(program("image-builder").args(args).current_dir(self.dir.path())).ok();
    }

    /// The default image, with `keys` below `boot.secure-boot`; returns its path.
    fn build(&self, name: &str, keys: &str) -> PathBuf {
        let hello = fs_err::read_to_string(top().join("examples/hello.yaml")).unwrap();
        let spec = format!("{name}.yaml");
        fs_err::write(self.path(&spec), format!("{hello}\nboot:\n  secure-boot: {{ {keys} }}\n")).unwrap();
        self.builder(&["build", &spec, "--quiet", "--out", name]);
        self.path(name).join("hello_1.0.0.raw")
    }

    fn guest(&self, image: PathBuf) -> Guest {
        Guest::of(image).args(["--secure-boot", self.path("enroll").to_str().unwrap()])
    }
}

#[test]
fn a_signed_image_boots_with_secure_boot_on() {
    let fleet = Fleet::new();
    fleet.build("signed", "certificate: keys/db.crt, key: keys/db.key");
    fleet.builder(&["convert", "signed/hello_1.0.0.raw", "--quiet", "--format", "qcow2"]);
    let guest = fleet.guest(fleet.path("signed/hello_1.0.0.qcow2"));
    let script = "echo state=$(systemctl is-system-running --wait); \
                  echo secure=$(tail -c1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c | od -An -tu1); \
                  echo setup=$(tail -c1 /sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c | od -An -tu1); \
                  echo lockdown=$(cat /sys/kernel/security/lockdown); \
                  systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; \
                  echo entry=$(ls /efi/EFI/Linux)";
    let got = values(&guest.exec(script).ok().stdout);
    assert_eq!(got["state"], "running", "{got:?}\n{}", guest.serial());
    assert_eq!((got["secure"].as_str(), got["setup"].as_str()), ("1", "0"), "{got:?}");
    assert_eq!(got["entry"], "hello_1.0.0.efi", "marked as good");
    // The kernel knows as well, and still takes the modules of the initrd.
    assert!(got["lockdown"].contains("[integrity]"), "{got:?}");
}

/// Boots `guest` until its console says one of `words`; the end of the console.
fn until(guest: &Guest, words: &[&str]) -> String {
    let mut child = guest.command().stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
        if words.iter().chain(&STARTED).any(|word| guest.serial().contains(word)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // By its number: it is ours, and takes QEMU with it.
    run(std::process::Command::new("kill").arg(child.id().to_string()));
    child.wait().unwrap();
    guest.serial()
}

#[test]
fn what_is_not_signed_is_refused() {
    let fleet = Fleet::new();
    // The boot loader is not signed: the firmware says so itself.
    let plain = fleet.build("plain", "certificate: keys/db.crt");
    let said = until(&fleet.guest(plain.clone()), &["Access Denied"]);
    assert!(said.contains("failed to load Boot") && said.contains("Access Denied"), "{said}");
    assert!(!STARTED.iter().any(|word| said.contains(word)), "{said}");

    // The boot loader is signed, the UKI isn't: the firmware refuses it when systemd-boot asks.
    let image = fleet.build("signed", "certificate: keys/db.crt, key: keys/db.key");
    put_uki(&plain, &image, fleet.dir.path());
    let said = until(&fleet.guest(image), &["Error loading", "Access denied"]);
    assert!(said.contains("Access denied") || said.contains("Security violation"), "{said}");
    assert!(!STARTED.iter().any(|word| said.contains(word)), "{said}");
}

/// Replaces the UKI on the ESP of `to` by that of `from`.
fn put_uki(from: &Path, to: &Path, dir: &Path) {
    let (offset, _) = twinhull_tests::partition("esp");
    let uki = dir.join("uki.efi");
    let at = |image: &Path| format!("{}@@{offset}", image.display());
    let name = "::EFI/Linux/hello_1.0.0+3.efi";
    twinhull_tests::tool("mcopy", ["-i", &at(from), name, uki.to_str().unwrap()]).ok();
    twinhull_tests::tool("mcopy", ["-o", "-i", &at(to), uki.to_str().unwrap(), name]).ok();
}
