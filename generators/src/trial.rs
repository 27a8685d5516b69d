//! What makes a bad version fail its try, so that boot counting goes on: time limits for the initrd and for the whole
//! boot, and a kernel that panics when a version on trial reads altered data of /usr.
//!
//! dm-verity answers a read of altered data with an error. Whether a machine notices depends on who reads: without the
//! program that would bless the version or go back from it, a machine would stay up for good, neither good nor bad.
//! A version that has proved to be good keeps running, as a server with one bad block is better than none.

use crate::{Context, Result, disk};

/// Seconds that may be given. With less, a slow machine would never come up.
const LIMITS: std::ops::RangeInclusive<u32> = 30..=86_400;

/// Emits drop-ins of the initrd's units, for a /usr with the root hash `hash`.
pub fn generate(context: &Context, hash: &str) -> Result<()> {
    if let Some(limit) = time_limit(context, "twinhull.initrd-timeout") {
        let text = format!("[Timer]\nOnActiveSec=\nOnActiveSec={limit}s\n");
        context.write_drop_in("twinhull-deadline.timer", &text)?;
    }
    if twinhull_slots::is_counted(&context.root) {
        let [data, tree] = disk::partition_uuids(hash)?;
        // As systemd-veritysetup-generator has it, whose options come from the command line of the UKI only.
        let text = format!(
            "[Service]\n\
             ExecStart=\n\
             ExecStart=/usr/lib/systemd/systemd-veritysetup attach usr /dev/disk/by-partuuid/{data} \
             /dev/disk/by-partuuid/{tree} {hash} panic-on-corruption\n"
        );
        context.write_drop_in("systemd-veritysetup@usr.service", &text)?;
    }
    Ok(())
}

/// Emits the drop-in of the real root.
pub fn generate_on_the_real_root(context: &Context) -> Result<()> {
    let Some(limit) = time_limit(context, "twinhull.trial-timeout") else { return Ok(()) };
    context.write_drop_in("boot-complete.target", &format!("[Unit]\nJobTimeoutSec={limit}s\n"))
}

/// A time limit in seconds; anything else than a good number counts as not set.
fn time_limit(context: &Context, option: &str) -> Option<u32> {
    context.option(option)?.parse().ok().filter(|limit| LIMITS.contains(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    /// The drop-ins for the time limit and for dm-verity.
    fn drop_ins(cmdline: &str, counted: bool) -> [Option<String>; 2] {
        let dir = tempfile::tempdir().unwrap();
        let context = Context { root: dir.path().to_owned(), units: dir.path().join("units"), initrd: true };
        for path in ["proc", "units", "sys/firmware/efi/efivars"] {
            fs_err::create_dir_all(context.path(path)).unwrap();
        }
        fs_err::write(context.path("proc/cmdline"), cmdline).unwrap();
        if counted {
            let name = "sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
            fs_err::write(context.path(name), "").unwrap();
        }
        generate(&context, HASH).unwrap();
        ["twinhull-deadline.timer", "systemd-veritysetup@usr.service"]
            .map(|unit| fs_err::read_to_string(context.units.join(format!("{unit}.d/50-twinhull.conf"))).ok())
    }

    #[test]
    fn the_time_limit_is_what_the_command_line_says() {
        for (cmdline, limit) in [
            ("quiet", None),
            ("twinhull.initrd-timeout=45", Some("45s")),
            ("twinhull.initrd-timeout=29", None),
            ("twinhull.initrd-timeout=5min", None),
            ("twinhull.initrd-timeout=90000 twinhull.initrd-timeout=90", Some("90s")),
        ] {
            let [drop_in, _] = drop_ins(cmdline, false);
            let want = limit.map(|limit| format!("[Timer]\nOnActiveSec=\nOnActiveSec={limit}\n"));
            let found = drop_in.map(|text| text.split_once('\n').unwrap().1.to_owned());
            assert_eq!(found, want, "{cmdline}");
        }
    }

    #[test]
    fn the_whole_boot_has_a_limit_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context { root: dir.path().to_owned(), units: dir.path().join("units"), initrd: false };
        for path in ["proc", "units"] {
            fs_err::create_dir_all(context.path(path)).unwrap();
        }
        let drop_in = context.units.join("boot-complete.target.d/50-twinhull.conf");
        for (cmdline, limit) in [("quiet", None), ("twinhull.trial-timeout=60", Some("JobTimeoutSec=60s\n"))]
        {
            fs_err::write(context.path("proc/cmdline"), cmdline).unwrap();
            generate_on_the_real_root(&context).unwrap();
            let text = fs_err::read_to_string(&drop_in).ok();
            assert_eq!(text.is_some(), limit.is_some());
            assert!(text.is_none_or(|text| text.ends_with(limit.unwrap())));
        }
    }

    #[test]
    fn only_a_version_on_trial_panics() {
        assert_eq!(drop_ins("", false)[1], None);
        let text = drop_ins("", true)[1].take().unwrap();
        let words = "systemd-veritysetup attach usr /dev/disk/by-partuuid/00010203-0405-0607-0809-0a0b0c0d0e0f \
                     /dev/disk/by-partuuid/10111213-1415-1617-1819-1a1b1c1d1e1f 000102";
        assert!(text.contains(words) && text.ends_with(" panic-on-corruption\n"), "{text}");
    }
}
