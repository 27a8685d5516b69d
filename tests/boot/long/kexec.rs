//! Without the firmware, from kernel to kernel or with the same kernel: a good version is blessed, a bad one loses its
//! other tries to the firmware and is given up.

use crate::publisher::{Publisher, cmdline, unit};
use crate::support::{Guest, values};

/// As [`super::updates::SOON`], and through something else than the firmware.
fn soon(through: &str) -> String {
    super::updates::SOON.replace('{', &format!("{{\"reboot-through\": \"{through}\", "))
}

/// In version 1: waits for what happens to it. In version 2: says how it was started, and the second time what became of
/// version 3.
const SCRIPT: &str = r#"
state=$(systemctl is-system-running --wait)
. /usr/lib/os-release
[ $IMAGE_VERSION = 2 ] || sleep 1000
systemctl start boot-complete.target
case $(cat /proc/cmdline) in *twinhull.entry=*)
    systemctl start twinhull-bless-boot.service
    echo first=$state $(sed 's/.*twinhull/twinhull/' /proc/cmdline) $(ls /efi/EFI/Linux)
    echo firmware=$(systemctl show -P ConditionResult systemd-bless-boot.service)
    systemctl is-active twinhull-update.service
    echo "kexec is done." >/dev/ttyS0
    sleep 1000
esac
echo second=$state $(ls /efi/EFI/Linux)
update-agent status | sed -n 's/^  slot \(.\) */\1=/p' | tr -s ' '
journalctl -q -o cat MESSAGE_ID=62b8e9f3e574411da727d8d270aa76e1 -o json --output-fields=TWINHULL_VERSION,TWINHULL_THROUGH |
    sed -n 's/.*"TWINHULL_VERSION":"\(.\)".*/\1/p' | sed 's/^/rebooted-for=/' | tail -n 1
"#;

#[test]
fn a_kernel_is_started_by_the_one_before() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", "");
    publisher.release("3", &cmdline(&["rdinit=/nowhere", "panic=1"]));
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let user_data = guest.file("user-data", &soon("kexec"));
    let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
    let moved = || guest.serial().contains("kexec is done.");
    let ran = guest.exec_while(SCRIPT, &[(&moved, &|| publisher.promote("3"))]);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    let value = |name: &str| got.get(name).map(String::as_str);
    assert_eq!(value("first"), Some("running twinhull.entry=web_2+2-1.efi web_1.efi web_2.efi"), "{said}");
    assert_eq!(value("firmware"), Some("no"), "{said}");
    assert_eq!(value("second"), Some("running web_2.efi web_3+0-3.efi"), "{said}");
    assert_eq!(value("A"), Some("3 failed (it did not come up)"), "{said}");
    assert_eq!(value("rebooted-for"), Some("3"), "{said}");
    // Version 1, version 3 the second and the third time, and version 2 again.
    assert_eq!(guest.serial().matches("BdsDxe: starting").count(), 4, "{said}");
}

/// On the real root, and never over.
const HANGING: &str = "[Service]\nType=oneshot\nExecStart=sleep infinity\n";

/// As [`SCRIPT`]. A soft-reboot keeps the kernel, and so its boot id. systemd says once for each kernel that it is up, so
/// `is-system-running --wait` would wait for ever.
const SOFTLY: &str = r#"
until state=$(systemctl is-system-running); [ $state != starting -a $state != initializing ]; do sleep 1; done
. /usr/lib/os-release
boot=$(cat /proc/sys/kernel/random/boot_id)
[ $IMAGE_VERSION = 1 ] && echo $boot >/var/lib/boot_id
[ $IMAGE_VERSION = 2 ] || sleep 1000
systemctl start boot-complete.target
if [ -e /etc/twinhull/cmdline ]; then
    systemctl start twinhull-bless-boot.service
    [ $boot = $(cat /var/lib/boot_id) ] && echo kernel=same
    echo first=$state $(ls /efi/EFI/Linux) $(hostname) $(stat -c %a /var/tmp)
    echo mounts=$(findmnt -nro TARGET,FSTYPE,OPTIONS /usr | cut -d, -f 1) $(findmnt -nro OPTIONS /var | cut -d, -f 1-3)
    update-agent status | sed -n 's/^  slot \(.\) */soft\1=/p' | tr -s ' '
    echo "The soft-reboot is done." >/dev/ttyS0
    sleep 1000
fi
echo second=$state $(ls /efi/EFI/Linux)
update-agent status | sed -n 's/^  slot \(.\) */\1=/p' | tr -s ' '
journalctl -q -b all -o cat MESSAGE_ID=80befc5381264778b1fce887481d2fb9
journalctl -q -b all -o cat -u 'twinhull-next-root@*'
"#;

#[test]
fn userspace_is_replaced_under_a_kernel_that_stays() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", "");
    let hanging = unit("hanging.service", HANGING);
    publisher
        .release("3", &cmdline(&[&hanging, "systemd.wants=hanging.service", "twinhull.trial-timeout=60"]));
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let user_data = guest.file("user-data", &soon("soft-reboot"));
    let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
    let moved = || guest.serial().contains("The soft-reboot is done.");
    let ran = guest.exec_while(SOFTLY, &[(&moved, &|| publisher.promote("3"))]);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    let value = |name: &str| got.get(name).map(String::as_str);
    assert_eq!(value("kernel"), Some("same"), "{said}");
    assert!(value("first").is_some_and(|v| v.starts_with("running web_1.efi web_2.efi ")), "{said}");
    assert_eq!(value("mounts"), Some("/usr erofs ro rw,nosuid,nodev"), "{said}");
    assert_eq!((value("softA"), value("softB")), (Some("1 blessed"), Some("2 blessed running")), "{said}");
    assert_eq!(value("second"), Some("running web_2.efi web_3+0-3.efi"), "{said}");
    let reason = "3 failed (not up in time; still under way: hanging.service)";
    assert_eq!(value("A"), Some(reason), "{said}");
    // Version 1, version 3 the second and the third time, and version 2 again: it has other words on its command line, so
    // the first time it was kexec.
    assert_eq!(guest.serial().matches("BdsDxe: starting").count(), 4, "{said}");
}
