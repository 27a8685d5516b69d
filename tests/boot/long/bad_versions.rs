//! A bad version is refused, or else the machine comes back to the one before by itself, and says why.

use std::os::unix::fs::FileExt as _;

use twinhull_fsimg::Part;
use twinhull_fsimg::erofs::reader::Reader;
use twinhull_tests::run;

use super::updates::SOON;
use crate::publisher::{Publisher, cmdline, unit};
use crate::support::{Guest, values};

/// In the initrd, and never over.
const HANGING: &str = "[Unit]\nDefaultDependencies=no\nBefore=initrd-cleanup.service\n\
                       [Service]\nType=oneshot\nExecStart=sleep infinity\n";

/// On the real root.
const FAILING: &str = "[Service]\nType=oneshot\nExecStart=false\n";

/// Says in version 1 what has failed, and moves on to the next version once that is there; in every other version it
/// waits for what happens to it.
const SCRIPT: &str = r#"
. /usr/lib/os-release
[ $IMAGE_VERSION = 1 ] || sleep 1000
until [ -e /efi/EFI/Linux/web_1.efi ]; do sleep 1; done
failed=$(update-agent status | sed -n 's/^  slot . *\([^ ]*\) *failed *(\(.*\))$/\1: \2/p')
[ "$failed" ] || sleep 1000
echo "$failed;" $(systemctl is-system-running --wait) $(ls /efi/EFI/Linux)
for i in 1 2 3 4 5 6 7 8 9; do again=$(update-agent update) && break; sleep 2; done
echo "$again"
version=${failed%%:*}
[ $version = 4 ] && exit
echo "given up: $version." >/dev/ttyS0
next=$((version + 1))
until update-agent check | grep -q "^$next is newer"; do sleep 2; done
sleep 1000
"#;

#[test]
fn bad_versions_are_given_up_one_after_the_other() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    let hanging = unit("hanging.service", HANGING);
    let failing = unit("failing.service", FAILING);
    publisher.release("2", &cmdline(&["rdinit=/nowhere", "panic=1"]));
    let words = [hanging.as_str(), "rd.systemd.wants=hanging.service", "twinhull.initrd-timeout=30"];
    publisher.release("3", &cmdline(&words));
    publisher.release("4", &cmdline(&[failing.as_str(), "systemd.wants=failing.service"]));
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let user_data = guest.file("user-data", SOON);
    let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
    let given_up = |version: &str| guest.serial().contains(&format!("given up: {version}."));
    let ran = guest.exec_while(
        SCRIPT,
        &[(&|| given_up("2"), &|| publisher.promote("3")), (&|| given_up("3"), &|| publisher.promote("4"))],
    );
    let said = format!("{}\n{}", ran.text(), guest.serial());
    let expected: String =
        [("2", "it did not come up"), ("3", "it did not come up"), ("4", "failed units: failing.service")]
            .map(|(version, reason)| {
                format!(
                    "{version}: {reason}; running web_1.efi web_{version}+0-3.efi\n\
             {version} was tried and did not come up; it is not tried again\n"
                )
            })
            .concat();
    assert_eq!(ran.stdout, expected, "{said}");
    let hung = guest.serial().matches("twinhull: the initrd hangs; rebooting").count();
    assert_eq!(hung, 3, "the three tries of version 3: {said}");
}

/// In version 1: tries what can't work, then installs version 2, alters a byte of it, and reboots.
const ALTERING: &str = r#"
. /usr/lib/os-release
systemctl stop twinhull-update.service
[ $IMAGE_VERSION = 1 ] || sleep 1000
until [ -e /efi/EFI/Linux/web_1.efi ]; do sleep 1; done
says() { echo "$1=$(systemctl is-system-running --wait), $(echo $(ls /efi/EFI/Linux)), $2"; }
refused() { update-agent "$@" update 2>&1 | sed -n 's/^error: //p'; }
case $(ls /efi/EFI/Linux) in *web_2*)
    update-agent status | sed -n 's/^  slot \(.\) */\1=/p' | tr -s ' '
    says back "$(update-agent update)"
    exit
esac
cat /dev/zero 2>/dev/null >/var/fill
echo "free=$(stat -f -c %a /var)"
says full "$(refused)"
rm /var/fill
cp -r /usr/lib/twinhull/update /run/altered
sed -i s,@URL@,@URL@/altered, /run/altered/config.json
says altered "$(refused --config /run/altered/config.json)"
update-agent update
printf '@BYTE@' | dd of=/dev/vda4 bs=1 seek=@AT@ conv=notrunc,fsync status=none
systemctl reboot
sleep 1000
"#;

#[test]
fn a_version_that_was_altered_is_refused_or_given_up() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", &cmdline(&["panic=1"]));
    publisher.promote("2");
    let image = fs_err::read_dir(publisher.folder().join("web")).unwrap().map(|entry| entry.unwrap().path());
    let mut image = image.filter(|path| path.extension().is_some_and(|end| end == "usr"));
    let image = image.next().expect("the release has a usr image");
    // The same release from a server that alters data. Without the index, all of it is fetched.
    let altered = publisher.folder().join("altered");
    fs_err::create_dir(&altered).unwrap();
    run(std::process::Command::new("cp").arg("-r").arg(publisher.folder().join("web")).arg(&altered)).ok();
    let name = image.file_name().unwrap().to_str().unwrap();
    fs_err::remove_file(altered.join(format!("web/{name}.index"))).unwrap();
    let (at, byte) = place(&image, b"/lib/systemd/systemd");
    let file = fs_err::OpenOptions::new().write(true).open(altered.join("web").join(name)).unwrap();
    file.file().write_all_at(&[byte ^ 1], at).unwrap();

    let script = ALTERING
        .replace("@URL@", &publisher.url)
        .replace("@BYTE@", &format!("\\{:03o}", byte ^ 1))
        .replace("@AT@", &at.to_string());
    let guest = Guest::of(first).patient().args(["--disk-size", "4G"]);
    let ran = guest.exec(&script);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    let has = |key: &str, words: &[&str]| {
        let found = got.get(key).map_or("", String::as_str);
        assert!(words.iter().all(|word| found.contains(word)), "{key}: {found}\n{said}");
    };
    assert_eq!(got.get("free").map(String::as_str), Some("0"), "/var is not full: {said}");
    has("full", &["running, web_1.efi, ", "No space left on device"]);
    has("altered", &["running, web_1.efi, 2 was not installed"]);
    has("back", &["running, web_1.efi web_2+0-3.efi, "]);
    has("A", &["1 blessed running"]);
    has("B", &["2 failed (it did not come up)"]);
    let panics = guest.serial().matches("Kernel panic - not syncing: dm-verity device corrupted").count();
    assert_eq!(panics, 3, "{said}");
}

/// Where the data of a file begins in an EROFS image, and the byte there.
fn place(image: &std::path::Path, wanted: &[u8]) -> (u64, u8) {
    let file = fs_err::File::open(image).unwrap().into_file();
    let len = file.metadata().unwrap().len();
    let mut byte = [0];
    let reader = Reader::new(Part::new(file.try_clone().unwrap(), 0, len).unwrap()).unwrap();
    let mut at = None;
    let walked = reader.walk(|path, inode| -> twinhull_fsimg::Result<()> {
        if path == wanted {
            at = reader.places(inode)?.first().map(|place| place.0);
        }
        Ok(())
    });
    walked.unwrap();
    let at = at.expect("the image has the file");
    file.read_exact_at(&mut byte, at).unwrap();
    (at, byte[0])
}
