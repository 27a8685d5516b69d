//! A stock Debian becomes a Twinhull machine while it runs, and whoever had a key to it has one afterwards.

use twinhull_tests::{Web, bin_dir, debian, hello, program, run};

use crate::support::{Guest, values};
use crate::visitor::{VISIT, Visitor};

/// In the old system: what it says, and what it refuses; then the takeover. In the new one: what has become of the machine.
const SCRIPT: &str = r#"
. /usr/lib/os-release
if [ "${IMAGE_ID-}" != hello ]; then
    echo old=$ID $(hostname)
    cd /root
    for n in $(seq 120); do curl -fsSO @URL@/twinhull-install && break; sleep 1; done
    for file in release.pub channel.pub; do curl -fsSO @URL@/$file; done
    chmod +x twinhull-install
    echo wrong=$(./twinhull-install takeover @URL@/hello.raw.zst --key channel.pub --dry-run 2>&1)
    echo nobody=$(./twinhull-install takeover @URL@/hello.raw.zst --key release.pub 2>&1)
    mv .ssh/authorized_keys .ssh/kept
    echo keyless=$(./twinhull-install takeover @URL@/hello.raw.zst --key release.pub --yes 2>&1)
    mv .ssh/kept .ssh/authorized_keys
    echo plan=$(./twinhull-install takeover @URL@/hello.raw.zst --key release.pub --dry-run 2>&1)
    echo loaded=$(cat /sys/kernel/kexec_loaded)
    ./twinhull-install takeover @URL@/hello.raw.zst --key release.pub --yes 2>&1
    echo went=$? $(cat /sys/kernel/kexec_loaded)
    sleep 1000
fi
echo state=$(systemctl is-system-running --wait); systemctl --failed --no-legend
echo image=$IMAGE_ID
echo name=$(cat /proc/sys/kernel/hostname)
echo key=$(cat /etc/ssh/authorized_keys.d/root)
echo var=$(findmnt -bno SIZE /var)
echo source=$(cat /run/twinhull/source)
echo network=$(cat /etc/systemd/network/*.network | grep -i -e mac -e dhcp)
echo "the new system is up" >/dev/ttyS0
"#;

#[test]
fn a_stock_debian_becomes_a_twinhull_machine() {
    let dir = tempfile::Builder::new().prefix("twinhull-takeover-").tempdir_in("/var/tmp").unwrap();
    let visitor = Visitor::new(dir.path());
    let at = |name: &str| dir.path().join(name);
    let web_dir = at("web");
    fs_err::create_dir(&web_dir).unwrap();
    let mut keygen = program("image-builder");
    run(keygen.args(["keygen", "keys", "--image", "hello"]).current_dir(dir.path())).ok();
    let image = web_dir.join("hello.raw.zst");
    let mut convert = program("image-builder");
    convert.arg("convert").arg(&hello().path).args(["--quiet", "--format", "raw.zst", "--out"]).arg(&image);
    run(&mut convert).ok();
    let mut sign = program("image-builder");
    sign.arg("sign-image").arg(&image).arg("--key").arg(at("keys/release.key"));
    run(sign.args(["--id", "hello", "--image-version", "1.0.0", "--arch", "x86-64"])).ok();
    fs_err::copy(bin_dir().join("static/twinhull-install"), web_dir.join("twinhull-install")).unwrap();
    for key in ["release.pub", "channel.pub"] {
        fs_err::copy(at("keys").join(key), web_dir.join(key)).unwrap();
    }
    let web = Web::serve(&web_dir, "");
    let url = web.url.replace("127.0.0.1", "10.0.2.2");
    let disk = debian(dir.path(), "stock", &visitor.public());

    let overlay = at("disk.qcow2").display().to_string();
    let guest = Guest::of(disk).patient().args([
        "--persist",
        &overlay,
        "--disk-size",
        "6G",
        "--ssh-port",
        &visitor.port,
    ]);
    let up = || guest.serial().contains("the new system is up");
    let script = format!("{}{VISIT}", SCRIPT.replace("@URL@", &url));
    let ran = guest.exec_while(&script, &[(&up, &|| ()), (&|| visitor.logs_in("root"), &|| ())]);
    eprintln!("{}", ran.stdout);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    let value = |name: &str| got.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(value("old"), "debian stock", "{said}");
    for (name, words) in [
        ("wrong", &["arbitrary software"][..]),
        ("nobody", &["nobody can be asked", "--yes"]),
        ("keyless", &["no SSH key is found", "--without-keys"]),
        (
            "plan",
            &[
                "hello 1.0.0 takes over this machine",
                "Erased, with everything on it: /dev/vda: 6.0 GiB",
                "vda2 is mounted on /",
                "1 SSH key of root, for root: me",
                "host name stock",
                ": DHCP",
                "Nothing was changed",
            ],
        ),
    ] {
        for word in words {
            assert!(value(name).contains(word), "{name} lacks {word:?}: {said}");
        }
    }
    assert_eq!(value("loaded"), "0", "{said}");
    for line in ["step 1 of 3", "50 % is written", "step 3 of 3", "hello 1.0.0 is on the disk, all of it"] {
        assert!(guest.serial().contains(line), "{line}: {said}");
    }
    for (name, want) in
        [("state", "running"), ("image", "hello"), ("name", "stock"), ("source", "local"), ("login", "root")]
    {
        assert_eq!(value(name), want, "{name}: {said}");
    }
    assert_eq!(value("key"), visitor.public(), "{said}");
    assert!(value("network").to_lowercase().contains("52:54:00:12:34:56"), "{said}");
    // The rest of the disk but for the slots.
    assert!(value("var").parse::<u64>().unwrap() > 4 << 30, "{said}");
}
