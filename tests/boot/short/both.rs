//! One disk starts with a BIOS and with UEFI, and moves between the two.

use crate::support::{Guest, values};

/// Blesses the boot; then the entry is as on a new disk again, for whatever starts the disk next.
const SCRIPT: &str = r#"
echo state=$(systemctl is-system-running --wait)
systemctl start boot-complete.target
for service in systemd twinhull; do
    [ -e /run/systemd/generator*/basic.target.wants/$service-bless-boot.service ] && systemctl start $service-bless-boot.service
done
echo efi=$(ls -d /sys/firmware/efi 2>/dev/null) entry=$(ls /efi/EFI/Linux) target=$(systemctl is-active multi-user.target)
echo machine=$(cat /etc/machine-id)
mv /efi/EFI/Linux/hello_1.0.0.efi /efi/EFI/Linux/hello_1.0.0+3.efi
"#;

#[test]
fn one_disk_starts_with_both() {
    let guest = Guest::new();
    let overlay = guest.dir.path().join("disk.qcow2").display().to_string();
    let guest = guest.args(["--persist", &overlay]);
    let mut machines = Vec::new();
    for (firmware, efi) in [("bios", ""), ("uefi", "/sys/firmware/efi ")] {
        let ran = twinhull_tests::run(guest.command().args(["--firmware", firmware, "--exec", SCRIPT]));
        let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
        assert_eq!(got.get("state").map(String::as_str), Some("running"), "{firmware}: {said}");
        let efi = format!("{efi}entry=hello_1.0.0.efi target=active");
        assert_eq!(got["efi"].trim_start(), efi, "{firmware}: {said}");
        machines.push(got["machine"].clone());
    }
    assert_eq!(machines[0], machines[1], "the same machine, whatever starts it");
}
