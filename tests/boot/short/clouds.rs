//! First boot on (emulated) clouds: what the metadata says is what the machine becomes.

use std::collections::BTreeMap;

use crate::support::{Guest, values};
use crate::visitor::Visitor;
use twinhull_tests::run;

#[test]
fn hetzner() {
    let guest = Guest::in_format("raw.zst");
    let visitor = Visitor::new(guest.dir.path());
    let guest = guest.args(["--disk-size", "6G", "--cloud", "hetzner", "--hostname", "boxy"]);
    let guest = guest.args(["--ssh-key", &visitor.public_file(), "--ssh-port", &visitor.port]);
    let ran = visitor.visits(
        &guest,
        "root",
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
    assert!(get("key").contains(&visitor.public()), "{}", get("key"));
    assert_eq!(get("login"), "root");
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
    let visitor = Visitor::new(guest.dir.path());
    let user_data = guest.file(
        "user-data",
        &"#twinhull\nusers:\n  - name: ninji\n    ssh-keys: [\"PUBLIC\"]\n\
         files:\n  - path: /etc/motd\n    content: \"from user data\\n\"\n  - path: /var/lib/app/secret\n    content: s3cret-value\n    mode: \"0600\"\n\
         units:\n  - name: hello.service\n    enable: true\n    content: |\n      [Service]\n      Type=oneshot\n      RemainAfterExit=yes\n      ExecStart=touch /run/hello-ran\n"
            .replace("PUBLIC", &visitor.public()),
    );
    let guest = guest.args(["--cloud", "nocloud", "--hostname", "seeded", "--user-data", &user_data]);
    let guest = guest.args(["--ssh-port", &visitor.port]);
    let ran = visitor.visits(
        &guest,
        "ninji",
        "echo state=$(systemctl is-system-running --wait); echo name=$(cat /proc/sys/kernel/hostname); echo motd=$(cat /etc/motd); \
         echo var=$(findmnt -no FSTYPE /var); echo secret=$(cat /var/lib/app/secret) $(stat -c %a /var/lib/app/secret); echo user=$(getent passwd ninji); \
         echo home=$(stat -c '%U %a' /home/ninji); echo key=$(cat /etc/ssh/authorized_keys.d/ninji); echo ran=$(ls /run/hello-ran); \
         echo leak=$(journalctl -b --no-pager | grep -v runvm | grep -c s3cret-value); echo stored=$(stat -c %a /var/lib/twinhull/provision); \
         for i in $(seq 20); do ip -4 route show default | grep -q via && break; sleep 1; done; echo four=$(ip -4 -o addr show)",
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
    assert!(get("four").contains("10.0.2.15/24"), "{}", get("four"));
    assert_eq!(get("login"), "ninji", "{}\n{}", ran.text(), guest.serial());
}

/// User data that all say the same about /etc/motd, in another format for each cloud, as its users' tools make them.
fn user_data(cloud: &str) -> Vec<u8> {
    let config = "#cloud-config\nssh_pwauth: false\nntp: {servers: [192.0.2.123]}\nwrite_files:\n\
        - {path: /etc/motd, content: from user data}\n";
    let ignition = r#"{"ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": "/etc/motd", "mode": 420, "contents": {"source": "data:,from%20user%20data"}}]},
        "systemd": {"units": [{"name": "ign.service", "enabled": true,
            "contents": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=touch /run/ign-ran\n[Install]\nWantedBy=multi-user.target\n"}]}}"#;
    match cloud {
        "aws" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut gzip, config.as_bytes()).unwrap();
            gzip.finish().unwrap()
        }
        "azure" => ignition.into(),
        "config-drive" => format!(
            "Content-Type: multipart/mixed; boundary=\"b\"\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\
             Content-Type: text/cloud-config\r\n\r\n{config}\r\n--b\r\n\r\n#systemd-userdata\n\
             {{\"systemd.credentials\": [{{\"name\": \"told\", \"text\": \"s3cret-value\"}}]}}\r\n--b--\r\n"
        )
        .into(),
        _ => "#twinhull\nfiles: [{path: /etc/motd, content: from user data}]\n".into(),
    }
}

/// A guest of a cloud with a name, a key and user data, and what a script in it prints as `key=value` lines, after
/// somebody has logged in with the key.
fn on_cloud<const N: usize>(cloud: &str, more: [&str; N], script: &str) -> (Guest, BTreeMap<String, String>) {
    let guest = Guest::new();
    let visitor = Visitor::new(guest.dir.path());
    let data = guest.file("user-data", &user_data(cloud));
    let guest =
        guest.args(["--hostname", "cloudy", "--ssh-key", &visitor.public_file(), "--user-data", &data]);
    let guest = guest.args(["--cloud", cloud, "--ssh-port", &visitor.port]).args(more);
    let script = format!(
        "echo state=$(systemctl is-system-running --wait); echo name=$(cat /proc/sys/kernel/hostname); \
         echo motd=$(cat /etc/motd); \
         echo source=$(grep -o '\"source\": \"[^\"]*' /var/lib/twinhull/provision/machine.json); \
         for i in $(seq 20); do ip -4 route show default | grep -q via && break; sleep 1; done; \
         echo four=$(ip -4 -o addr show); echo route=$(ip -4 route show default); {script}"
    );
    let ran = visitor.visits(&guest, "root", &script);
    let got = values(&ran.ok().stdout);
    let text = format!("{got:#?}\n{}", guest.serial());
    for (key, want) in
        [("state", "running"), ("name", "cloudy"), ("motd", "from user data"), ("login", "root")]
    {
        assert_eq!(got.get(key).map(String::as_str), Some(want), "{key}: {text}");
    }
    let name = got.get("source").and_then(|s| s.rsplit('"').next());
    // The firmware says OpenStack, the disk is found all the same.
    let source = if cloud == "config-drive" { "openstack" } else { cloud };
    assert_eq!(name, Some(source), "{text}");
    (guest, got)
}

/// A service without more ado, and no DHCP: all addresses are in the metadata.
#[test]
fn digitalocean() {
    let (guest, got) = on_cloud("digitalocean", [], "echo dhcp=$(ls /run/systemd/netif/leases)");
    let serial = guest.serial();
    assert!(
        got["four"].contains("169.254.169.15/24") && got["four"].contains("10.17.0.9/16"),
        "{got:?}\n{serial}"
    );
    assert!(
        got["route"].contains("via 169.254.169.2") && got["route"].contains("proto static"),
        "{got:?}\n{serial}"
    );
    assert_eq!(got["dhcp"], "", "{serial}");
}

/// A service with tokens that is down for a minute: the machine waits for it.
#[test]
fn aws_after_a_minute() {
    let (guest, got) = on_cloud(
        "aws",
        ["--fault", "refuse:60s"],
        "echo ntp=$(cat /etc/systemd/timesyncd.conf.d/90-twinhull.conf); \
         echo size=$(stat -c %s /usr/lib/twinhull/firstboot-agent); \
         echo boot=$(/usr/lib/twinhull/firstboot-agent status); \
         echo peak=$(/usr/lib/twinhull/firstboot-agent status --json | sed -n 's/.*peak_memory.: \\([0-9]*\\).*/\\1/p')",
    );
    // All sources and formats in, with a whole cloud's metadata read.
    let mib = |key: &str| got[key].parse::<f64>().unwrap() / f64::from(1 << 20);
    assert!(mib("size") <= 6.0 && mib("peak") <= 20.0, "{got:?}");
    assert_eq!(got["ntp"], "[Time] NTP=192.0.2.123", "{got:?}");
    assert!(got["boot"].starts_with("this boot: aws, at http://169.254.169.254"), "{got:?}");
    assert!(
        got["route"].contains("via 169.254.169.2") && got["route"].contains("proto dhcp"),
        "{got:?}\n{}",
        guest.serial()
    );
}

/// A service that wants a header, and wants to be told.
#[test]
fn azure() {
    let script = "echo units=$(ls /etc/systemd/network); echo ran=$(ls /run/ign-ran); \
        for i in $(seq 30); do told=$(journalctl -qo cat MESSAGE_ID=e3be6bb9d45749668b2a96d79637191e); [ \"$told\" ] && break; sleep 1; done; \
        echo told=$told; echo complete=$(systemctl is-active boot-complete.target); \
        echo found=$(journalctl -qo cat MESSAGE_ID=591a43a269eb4ba2a8c559b074124f24 TWINHULL_SOURCE=azure)";
    let (guest, got) = on_cloud("azure", [], script);
    assert_eq!(got["told"], "Azure has been told that this machine is up", "{got:?}\n{}", guest.serial());
    assert_eq!(got["complete"], "active");
    assert!(got["found"].starts_with("azure: instance "), "{got:?}");
    assert_eq!(got["ran"], "/run/ign-ran", "{got:?}");
    let serial = guest.serial();
    assert!(got["units"].contains("10-twinhull-0-inner.network"), "{got:?}\n{serial}");
}

/// A disk with a network of one's own on it: a VLAN that no name in the document counts for.
#[test]
fn config_drive() {
    let network = "{\"links\": [{\"id\": \"eth9\", \"type\": \"phy\", \"ethernet_mac_address\": \"@MAC@\"}, \
         {\"id\": \"tagged\", \"type\": \"vlan\", \"vlan_id\": 101, \"vlan_link\": \"eth9\"}], \
         \"networks\": [{\"link\": \"eth9\", \"type\": \"ipv4_dhcp\"}, \
         {\"link\": \"tagged\", \"type\": \"ipv4\", \"ip_address\": \"192.0.2.5\", \"netmask\": \"255.255.255.0\"}]}";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network_data.json");
    fs_err::write(&path, network).unwrap();
    let (guest, got) = on_cloud(
        "config-drive",
        ["--network-config", path.to_str().unwrap()],
        "for i in $(seq 20); do ip -4 -o addr show | grep -q 192.0.2.5 && break; sleep 1; done; \
         echo vlan=$(ip -d link show vlan101) $(ip -4 -o addr show vlan101); \
         echo told=$(systemd-run -q --wait --pipe -p ImportCredential=told sh -c 'cat $CREDENTIALS_DIRECTORY/told'); \
         echo credentials=$(stat -c %a /etc/credstore /etc/credstore/told); \
         echo open=$(setpriv --reuid=nobody --regid=nogroup --clear-groups grep -rIls s3cret-valu[e] /etc /run /tmp /var); \
         echo shut=$(grep -rIls s3cret-valu[e] /etc /run/twinhull /var/lib/twinhull); \
         echo leak=$(journalctl --no-pager | grep -c s3cret-valu[e])",
    );
    assert_eq!((got["open"].as_str(), got["leak"].as_str()), ("", "0"), "{got:?}");
    // So the search finds what is there.
    assert!(got["shut"].contains("/etc/credstore/told"), "{got:?}");
    let serial = guest.serial();
    assert_eq!((got["told"].as_str(), got["credentials"].as_str()), ("s3cret-value", "700 600"), "{got:?}");
    assert!(!serial.contains("s3cret-value"), "{serial}");
    assert!(got["vlan"].contains("id 101") && got["vlan"].contains("192.0.2.5/24"), "{got:?}\n{serial}");
    assert!(got["four"].contains("10.0.2.15/24"), "{got:?}\n{serial}");
}

/// A service that never comes: the machine is up, says so, and isn't taken for good. The next boot finds the service.
#[test]
fn a_service_that_is_down_for_good() {
    let guest = Guest::in_format("vhd");
    let state = guest.dir.path().join("state").display().to_string();
    let guest = guest.args(["--cloud", "hetzner", "--hostname", "late", "--persist", &state]);
    let guest = guest.args(["--cmdline-extra", "twinhull.provision=required twinhull.provision-timeout=12"]);
    let script = "echo state=$(systemctl is-system-running --wait); systemctl start boot-complete.target; \
        echo complete=$(systemctl is-active boot-complete.target); echo entry=$(ls /efi/EFI/Linux); \
        echo basis=$(/usr/lib/twinhull/firstboot-agent status --json | grep -o '\"basis\": \"[^\"]*'); \
        echo said=$(journalctl -qo cat MESSAGE_ID=ee0e9ef32e4f42ba95965e6f74f7ad39 | head -n 1); \
        echo name=$(cat /proc/sys/kernel/hostname)";
    let down = run(guest.command().args(["--fault", "refuse", "--exec", script]));
    let (got, serial) = (values(&down.ok().stdout), guest.serial());
    let url = "http://169.254.169.254/hetzner/v1/metadata";
    assert_eq!(
        (got["state"].as_str(), got["complete"].as_str()),
        ("degraded", "inactive"),
        "{got:?}\n{serial}"
    );
    assert_eq!(
        (got["entry"].as_str(), got["name"].as_str()),
        ("hello_1.0.0+2-1.efi", "hello"),
        "{got:?}\n{serial}"
    );
    assert!(got["basis"].ends_with("\"image") && got["said"].contains(url), "{got:?}\n{serial}");
    assert!(serial.contains(&format!("firstboot-agent: GET {url}: ")), "{serial}");
    assert!(serial.contains("this boot doesn't count as good"), "{serial}");
    let up = guest.exec(script);
    let (got, serial) = (values(&up.ok().stdout), guest.serial());
    assert_eq!((got["state"].as_str(), got["complete"].as_str()), ("running", "active"), "{got:?}\n{serial}");
    assert_eq!(
        (got["entry"].as_str(), got["name"].as_str()),
        ("hello_1.0.0.efi", "late"),
        "{got:?}\n{serial}"
    );
}

/// No cloud at all: the firmware's strings have user data as credentials.
#[test]
fn credentials() {
    let guest = Guest::new();
    let visitor = Visitor::new(guest.dir.path());
    let metadata = format!(
        "twinhull.meta-data={{instance-id: c-1, local-hostname: firm, public-keys: [\"{}\"]}}",
        visitor.public()
    );
    let user_data = "twinhull.user-data=#twinhull\nfiles: [{path: /etc/motd, content: from SMBIOS}]\n";
    let network = "twinhull.network-config={version: 2, ethernets: {any: {match: {macaddress: '52:54:00:12:34:56'}, \
                   dhcp4: true, addresses: [192.0.2.7/24]}}}";
    let guest = guest.args(["--credential", &metadata, "--credential", user_data, "--credential", network]);
    let guest = guest.args(["--ssh-port", &visitor.port]);
    let script = "echo state=$(systemctl is-system-running --wait); echo name=$(cat /proc/sys/kernel/hostname); \
                  echo motd=$(cat /etc/motd); \
                  for i in $(seq 20); do ip -4 route show default | grep -q via && break; sleep 1; done; \
                  echo four=$(ip -4 -o addr show)";
    let ran = visitor.visits(&guest, "root", script);
    let got = values(&ran.ok().stdout);
    let serial = guest.serial();
    assert_eq!((got["name"].as_str(), got["motd"].as_str()), ("firm", "from SMBIOS"), "{serial}");
    assert!(
        got["four"].contains("10.0.2.15/24") && got["four"].contains("192.0.2.7/24"),
        "{got:?}\n{serial}"
    );
    assert_eq!(got["login"], "root", "{got:?}\n{serial}");
}
