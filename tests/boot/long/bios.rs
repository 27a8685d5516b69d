//! Machines with a BIOS: the same disk, the same counting, the same way back.

use std::process::Command;

use twinhull_tests::{program, run};

use super::updates::SOON;
use crate::publisher::{Publisher, cmdline};
use crate::support::{Guest, values};

/// A module more in the initrds of version 2, and so another bridge.
const OTHER_BRIDGE: &str = "boot: {modules: [btrfs]}\n";

/// In version 1: waits for version 2. In version 2: waits until its bridge is offered, which version 3 takes down with it.
/// After version 3 was given up, the bridge is offered again, and works. Then it breaks the bridge that isn't good any more,
/// offers that to GRUB, and comes up all the same.
const SCRIPT: &str = r#"
say() { echo "$@"; }
word() { sed "s/.*$1=\([^ ]*\).*/\1/" /proc/cmdline; }
say state=$(systemctl is-system-running --wait)
. /usr/lib/os-release
if [ $IMAGE_VERSION = 1 ]; then
    say v1=$(word twinhull.entry) $(ls -d /sys/firmware/efi 2>&1 | grep -c cannot)
    sleep 1000
fi
[ $IMAGE_VERSION = 2 ] || sleep 1000
systemctl start boot-complete.target twinhull-bless-boot.service twinhull-bridge.service
state() { sed -n 's/^\(good\|next\|offers\)=//p' /efi/twinhull/bridge.env | tr '\n' ' '; }
again() { sync; systemctl reboot; sleep 1000; }
case $(ls /efi/EFI/Linux | tr '\n' ' ') in
"web_1.efi web_2.efi ")
    say v2=$(word twinhull.bridge) $(word twinhull.entry) $(state)
    echo "version 2 is blessed." >/dev/ttyS0
    sleep 1000 ;;
esac
starts=$(cat /var/lib/starts 2>/dev/null)
echo ${starts}x >/var/lib/starts
say "back$starts=$(word twinhull.bridge)" $(ls /efi/EFI/Linux) $(state)
[ "$starts" ] || again
if [ $starts = x ]; then
    update-agent status | sed -n 's/^  slot \(.\) */\1=/p' | tr -s ' '
    echo no initrd >/efi/twinhull/a/initrd
    sed -i 's/^next=b/next=a/' /efi/twinhull/bridge.env
    [ $(stat -c %s /efi/twinhull/bridge.env) = 1024 ] && again
fi
"#;

#[test]
fn versions_and_bridges_move_on_and_come_back() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", OTHER_BRIDGE);
    publisher.release("3", &cmdline(&["rdinit=/nowhere", "panic=1"]));
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let user_data = guest.file("user-data", SOON);
    let guest = guest.args([
        "--firmware",
        "bios",
        "--cloud",
        "nocloud",
        "--disk-size",
        "4G",
        "--user-data",
        &user_data,
    ]);
    let moved = || guest.serial().contains("version 2 is blessed.");
    let ran = guest.exec_while(SCRIPT, &[(&moved, &|| publisher.promote("3"))]);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    let value = |name: &str| got.get(name).map(String::as_str);
    assert_eq!(value("state"), Some("running"), "{said}");
    assert_eq!(value("v1"), Some("web_1+2-1.efi 1"), "{said}");
    assert_eq!(value("v2"), Some("a web_2+2-1.efi a b 1"), "{said}");
    // Version 3 had its tries, and the first of them was the bridge's.
    assert_eq!(value("back"), Some("a web_2.efi web_3+0-3.efi a b 2"), "{said}");
    assert_eq!(value("backx"), Some("b web_2.efi web_3+0-3.efi b b 0"), "{said}");
    assert_eq!(
        (value("A"), value("B")),
        (Some("3 failed (it did not come up)"), Some("2 blessed running")),
        "{said}"
    );
    // The other bridge came up no further than its kernel.
    assert_eq!(value("backxx"), Some("b web_2.efi web_3+0-3.efi b b 0"), "{said}");
    assert_eq!(guest.serial().matches("Initramfs unpacking failed").count(), 1, "{said}");
    let console = guest.serial();
    for line in [
        "counting a try: web_1+3.efi becomes web_1+2-1.efi",
        "counting a try: web_3+3.efi becomes web_3+2-1.efi",
        "counting a try: web_3+1-2.efi becomes web_3+0-3.efi",
    ] {
        assert_eq!(console.matches(line).count(), 1, "{line}: {said}");
    }
}

/// Installs version 2 in version 1. Where version 2 runs, the machine has come through.
const CUT: &str = r#"
. /usr/lib/os-release
systemctl stop twinhull-update.service
echo state=$(systemctl is-system-running --wait)
systemctl start boot-complete.target twinhull-bless-boot.service twinhull-bridge.service
echo ran=$IMAGE_VERSION $(ls /efi/EFI/Linux)
[ $IMAGE_VERSION = 2 ] && exit
update-agent update
"#;

#[test]
fn a_power_cut_while_a_try_is_counted_loses_nothing() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", "");
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let overlay = guest.dir.path().join("disk.qcow2").display().to_string();
    let guest = guest.args(["--firmware", "bios", "--disk-size", "4G", "--persist", &overlay]);
    let ran = guest.exec(CUT);
    assert_eq!(values(&ran.stdout)["ran"], "1 web_1.efi", "{}", ran.text());
    // The line comes before the name is changed, which takes a few milliseconds; then the kernel is read.
    for (left, delay) in [(3, None), (2, Some("0.030s"))] {
        let line = format!("counting a try: web_2+{left}");
        let mut command = guest.command();
        command.args(["--kill-after", &line]);
        if let Some(delay) = delay {
            command.args(["--kill-delay", delay]);
        }
        let ran = run(command.arg("--exec").arg(CUT));
        // What was cut before the change comes again.
        assert!(ran.code == 125 || guest.serial().contains("web_2+"), "{}\n{}", ran.text(), guest.serial());
        for version in ["1", "2"] {
            assert!(uki_is_whole(&guest, &publisher, version), "version {version}: {}", guest.serial());
        }
        if ran.code != 125 {
            break;
        }
    }
    let ran = guest.exec(CUT);
    let said = format!("{}\n{}", ran.text(), guest.serial());
    let got = values(&ran.stdout);
    assert_eq!((got["state"].as_str(), got["ran"].as_str()), ("running", "2 web_1.efi web_2.efi"), "{said}");
}

/// Whether the ESP of a guest that is off has the UKI of a version, whole, under at least one name.
fn uki_is_whole(guest: &Guest, publisher: &Publisher, version: &str) -> bool {
    let disk = guest.dir.path().join("disk.raw");
    let convert = ["convert", "-O", "raw"];
    run(Command::new("qemu-img").args(convert).arg(guest.dir.path().join("disk.qcow2")).arg(&disk)).ok();
    let seen = run(program("image-builder").args(["inspect", "--json"]).arg(&disk));
    let report: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let manifest =
        fs_err::read_to_string(publisher.dir().join(format!("out/web_{version}.manifest.json"))).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let entries = report["boot_entries"].as_array().unwrap();
    entries.iter().any(|entry| {
        entry["root_hash"] == manifest["root_hash"] && entry["length"] == manifest["uki"]["length"]
    })
}
