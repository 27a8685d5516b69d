//! A boot that can't succeed ends in a reboot, with the reason on the console.

use crate::support::Guest;

#[test]
fn a_failed_initrd_says_why_and_reboots() {
    // Strict provisioning on a cloud whose metadata service does not answer.
    let guest = Guest::new().args([
        "--no-reboot",
        "--no-network",
        "--cmdline-extra",
        "twinhull.source=hetzner twinhull.provision=strict twinhull.provision-timeout=3",
    ]);
    let ran = guest.boot_and_serial();
    assert!(ran.contains("twinhull: the initrd failed"), "{ran}");
    assert!(ran.contains("twinhull-firstboot.service"), "{ran}");
    assert!(ran.contains("rebooting in 10 seconds"), "{ran}");
    assert!(ran.contains("reboot: Restarting system"), "{ran}");
}

#[test]
fn an_altered_hash_never_boots() {
    // The same command line, but for a root hash that no slot has: nothing may be mounted in its place.
    let hash = "00".repeat(32);
    let words = format!("usrhash={hash} systemd.default_device_timeout_sec=20");
    let guest = Guest::new().args(["--no-reboot", "--cmdline-extra", &words]);
    let serial = guest.boot_and_serial();
    assert!(serial.contains("reboot: Restarting system"), "{serial}");
    assert!(!serial.contains("login:"), "{serial}");
}

impl Guest {
    fn boot_and_serial(self) -> String {
        let ran = self.boot();
        assert_ne!(ran.code, 124, "it did not reboot in time: {}", self.serial());
        self.serial()
    }
}
