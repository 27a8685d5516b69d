//! Output formats boot: what a hypervisor reads through its own driver is the same machine.

use twinhull_tests::{hello, program, run};

use crate::support::{Guest, alone, values};

fn boots(format: &str) {
    let _guard = alone();
    let dir = tempfile::Builder::new().prefix("twinhull-format-").tempdir_in("/var/tmp").unwrap();
    let path = dir.path().join(format!("hello.{format}"));
    let mut command = program("image-builder");
    command.arg("convert").arg(&hello().path).args(["--quiet", "--format", format, "--out"]).arg(&path);
    run(&mut command).ok();
    let guest = Guest::of(path);
    let script = "echo state=$(systemctl is-system-running --wait); . /etc/os-release; \
                  echo image=${IMAGE_ID}_$IMAGE_VERSION; echo var=$(findmnt -no FSTYPE /var); \
                  cat /usr/lib/systemd/systemd | wc -c | sed s/^/read=/";
    let got = values(&guest.exec(script).ok().stdout);
    assert_eq!(got["state"], "running", "{got:?}\n{}", guest.serial());
    assert_eq!((got["image"].as_str(), got["var"].as_str()), ("hello_1.0.0", "ext4"), "{got:?}");
    assert_ne!(got["read"], "0");
}

#[test]
fn qcow2_boots() {
    boots("qcow2");
}

#[test]
fn vmdk_boots() {
    boots("vmdk");
}
