//! From one version to the next, without a hand.

use crate::publisher::Publisher;
use crate::support::{Guest, values};

/// Checks soon after the boot and often, instead of within ten minutes and every hour.
pub(super) const SOON: &str = "#twinhull\nfiles:\n  - path: /etc/twinhull/update.json\n    content: |\n      \
                               {\"first-check\": \"5s\", \"check-every\": \"30s\"}\n";

/// In every version: waits for what happens to it, until the last one is there.
const SCRIPT: &str = r#"
echo state=$(systemctl is-system-running --wait)
. /usr/lib/os-release
echo version=$IMAGE_VERSION
[ $IMAGE_VERSION = 3 ] || sleep 1000
systemctl start boot-complete.target
systemctl start systemd-bless-boot.service
echo entries=$(ls /efi/EFI/Linux)
update-agent status | sed -n 's/^  slot \(.\) */\1=/p' | tr -s ' '
for i in 1 2 3 4 5 6 7 8 9; do again=$(update-agent update) && break; sleep 2; done
echo again=$again
"#;

#[test]
fn a_machine_left_alone_moves_from_version_to_version() {
    let publisher = Publisher::new();
    let first = publisher.build("1", "");
    publisher.release("2", "");
    publisher.release("3", "");
    publisher.promote("2");
    let guest = Guest::of(first).patient();
    let user_data = guest.file("user-data", SOON);
    let guest = guest.args(["--cloud", "nocloud", "--disk-size", "4G", "--user-data", &user_data]);
    let fetched = || publisher.web.requests().iter().any(|line| line.contains("web_2.efi"));
    let ran = guest.exec_while(SCRIPT, &[(&fetched, &|| publisher.promote("3"))]);
    let (got, said) = (values(&ran.stdout), format!("{}\n{}", ran.text(), guest.serial()));
    assert_eq!(got.get("version").map(String::as_str), Some("3"), "{said}");
    let (state, entries) = (got["state"].as_str(), got["entries"].as_str());
    // The version before is still there, the one before that has made room.
    assert_eq!((state, entries), ("running", "web_2.efi web_3.efi"), "{said}");
    assert_eq!((got["A"].as_str(), got["B"].as_str()), ("3 blessed running", "2 blessed"), "{said}");
    assert_eq!(got["again"], "3 runs, nothing is newer");
}
