//! A slot with ext4 boots, from a VMDK: checked by dm-verity, mounted read-only, never offered to fsck.

use twinhull_tests::{hello_tree, program, run};

use crate::support::{Guest, values};

#[test]
fn a_slot_with_ext4_boots() {
    let dir = tempfile::Builder::new().prefix("twinhull-ext4-").tempdir_in("/var/tmp").unwrap();
    let spec = dir.path().join("ext4.yaml");
    let text = format!(
        "image: {{id: ext4, version: 1.0.0}}\ntree: {{tar: {}}}\ndisk: {{filesystem: ext4}}\n",
        hello_tree().display()
    );
    fs_err::write(&spec, text).unwrap();
    let mut command = program("image-builder");
    run(command.arg("build").arg(&spec).args(["--quiet", "--format", "vmdk", "--out"]).arg(dir.path())).ok();
    let guest = Guest::of(dir.path().join("ext4_1.0.0.vmdk"));
    let script = "echo state=$(systemctl is-system-running --wait); findmnt -no SOURCE,FSTYPE,OPTIONS /usr | \
                  { read source type options; echo source=$source; echo type=$type; echo options=$options; }; \
                  echo verity=$(cat /sys/block/dm-0/dm/uuid | cut -d- -f1,2); \
                  touch /usr/x 2>/dev/null && echo written=yes || echo written=no; \
                  getcap $(command -v ping) | sed s/^/ping=/; stat -c suid=%a $(command -v su); \
                  echo fsck=$(journalctl -b -o cat -u systemd-fsck-usr.service | grep -c 'e2fsck\\|failed'); \
                  echo complaints=$(dmesg --level=err,warn | grep -c EXT4); \
                  find /usr -xdev -type f -exec cat {} + | wc -c | sed s/^/read=/";
    let got = values(&guest.exec(script).ok().stdout);
    assert_eq!(got["state"], "running", "{got:?}\n{}", guest.serial());
    let mount = (got["source"].as_str(), got["type"].as_str(), got["verity"].as_str());
    assert_eq!(mount, ("/dev/mapper/usr", "ext4", "CRYPT-VERITY"), "{got:?}");
    assert!(got["options"].starts_with("ro,") && got["written"] == "no", "{got:?}");
    assert_eq!((got["suid"].as_str(), got["fsck"].as_str()), ("4755", "0"), "{got:?}");
    assert_eq!(got["complaints"], "0", "{got:?}");
    assert!(got["read"].parse::<u64>().unwrap() > 100 << 20, "{got:?}");
}
