//! First boot on (emulated) clouds: what the metadata says is what the machine becomes.

use crate::support::{Guest, values};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJ6ZQmcQY4xJ6Dlw2vU9dSn0CUIVfZsQ0B2xXyT1Abc test@twinhull";

#[test]
fn hetzner() {
    let guest = Guest::in_format("raw.zst");
    let key = guest.file("key.pub", KEY);
    let guest =
        guest.args(["--disk-size", "6G", "--cloud", "hetzner", "--hostname", "boxy", "--ssh-key", &key]);
    let ran = guest.exec(
        "echo state=$(systemctl is-system-running --wait); echo failed=$(systemctl --failed --no-legend | wc -l); \
         echo name=$(hostname || cat /proc/sys/kernel/hostname); \
         echo usr=$(findmnt -no FSTYPE,SOURCE,OPTIONS /usr); echo root=$(findmnt -no FSTYPE /); \
         echo var=$(findmnt -no FSTYPE /var) $(findmnt -bno SIZE /var); \
         echo verity=$(cat /sys/block/dm-0/dm/uuid); \
         echo key=$(cat /etc/ssh/authorized_keys.d/root); echo accepted=$(sshd -T | grep -i authorizedkeysfile); \
         systemctl start boot-complete.target; systemctl start systemd-bless-boot.service; echo entry=$(ls /efi/EFI/Linux); \
         echo journal=$(ls -d /var/log/journal/$(cat /etc/machine-id)); \
         for i in 1 2 3 4 5 6 7 8 9 10; do ip -6 addr show scope global | grep -q 2a01 && break; sleep 1; done; \
         echo six=$(ip -6 -o addr show scope global); echo route=$(ip -6 route show default); \
         echo su=$(stat -c %a /usr/bin/su) $(stat -c %h /usr/bin/perl); \
         echo keyshost=$(readlink /etc/ssh/ssh_host_ed25519_key); echo ssh=$(systemctl is-active ssh.service)",
    );
    let ran = ran.ok();
    let got = values(&ran.stdout);
    let get = |key: &str| {
        got.get(key)
            .map(String::as_str)
            .unwrap_or_else(|| panic!("no {key} in\n{}\n{}", ran.text(), guest.serial()))
    };
    assert_eq!(get("state"), "running", "{}", ran.text());
    assert_eq!(get("failed"), "0");
    assert_eq!(get("name"), "boxy");
    let usr = get("usr");
    assert!(usr.starts_with("erofs /dev/mapper/usr") && usr.contains("ro,"), "{usr}");
    assert!(get("verity").starts_with("CRYPT-VERITY-"), "{}", get("verity"));
    assert!(get("su").starts_with("4755 "), "setuid is lost: {}", get("su"));
    assert_eq!(get("root"), "tmpfs");
    let (kind, size) = get("var").split_once(' ').unwrap();
    assert_eq!(kind, "ext4");
    assert!(size.parse::<u64>().unwrap() > 4 << 30, "{size}");
    assert!(get("key").contains(KEY), "{}", get("key"));
    assert!(get("accepted").contains("/etc/ssh/authorized_keys.d/%u"), "{}", get("accepted"));
    assert_eq!(get("entry"), "hello_1.0.0.efi");
    assert!(get("journal").starts_with("/var/log/journal/"));
    assert!(get("six").contains("2a01:4f8:beef:beef::1/64"), "{}", get("six"));
    assert!(get("route").contains("fe80::1"), "{}", get("route"));
    assert_eq!(get("keyshost"), "/var/lib/twinhull/ssh/ssh_host_ed25519_key");
    assert_eq!(get("ssh"), "active");
}

#[test]
fn nocloud_with_user_data() {
    let guest = Guest::in_format("gcp");
    let user_data = guest.file(
        "user-data",
        "#twinhull\nusers:\n  - name: ninji\n    ssh-keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJ6ZQmcQY4xJ6Dlw2vU9dSn0CUIVfZsQ0B2xXyT1Abc n\"]\n\
         files:\n  - path: /etc/motd\n    content: \"from user data\\n\"\n  - path: /var/lib/app/secret\n    content: s3cret-value\n    mode: \"0600\"\n\
         units:\n  - name: hello.service\n    enable: true\n    content: |\n      [Service]\n      Type=oneshot\n      RemainAfterExit=yes\n      ExecStart=touch /run/hello-ran\n",
    );
    let guest = guest.args(["--cloud", "nocloud", "--hostname", "seeded", "--user-data", &user_data]);
    let ran = guest.exec(
        "echo state=$(systemctl is-system-running --wait); echo name=$(cat /proc/sys/kernel/hostname); echo motd=$(cat /etc/motd); \
         echo var=$(findmnt -no FSTYPE /var); echo secret=$(cat /var/lib/app/secret) $(stat -c %a /var/lib/app/secret); echo user=$(getent passwd ninji); \
         echo home=$(stat -c '%U %a' /home/ninji); echo key=$(cat /etc/ssh/authorized_keys.d/ninji); echo ran=$(ls /run/hello-ran); \
         echo leak=$(journalctl -b --no-pager | grep -v runvm | grep -c s3cret-value); echo stored=$(stat -c %a /var/lib/twinhull/provision)",
    );
    let ran = ran.ok();
    let got = values(&ran.stdout);
    let get = |key: &str| {
        got.get(key)
            .map(String::as_str)
            .unwrap_or_else(|| panic!("no {key} in\n{}\n{}", ran.text(), guest.serial()))
    };
    assert_eq!(get("state"), "running", "{}\n{}", ran.text(), guest.serial());
    assert_eq!(get("var"), "ext4", "{}\n{}", ran.text(), guest.serial());
    assert_eq!(get("name"), "seeded");
    assert_eq!(get("motd"), "from user data");
    assert_eq!(get("secret"), "s3cret-value 600", "{}\n{}", ran.text(), guest.serial());
    assert!(get("user").starts_with("ninji:x:1000:"), "{}", get("user"));
    assert_eq!(get("home"), "ninji 700");
    assert!(get("key").contains("ssh-ed25519"));
    assert_eq!(get("ran"), "/run/hello-ran");
    assert_eq!(get("leak"), "0");
    assert_eq!(get("stored"), "700");
}
