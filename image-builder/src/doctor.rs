//! `doctor`: whether this host can build and boot images, and what to do about what is missing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use twinhull_sysutil::command::{Cmd, which};
use twinhull_sysutil::finding::{Finding, Verdict, render};
use twinhull_sysutil::size;

use crate::check::print;
use crate::{guest, source};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Nothing is changed. KVM is tried out, as it may be there and fail.\n\n\
                        Exit codes: 0 everything that is needed is there, 1 something is missing.\n\n\
                        Examples:\n  \
                        image-builder doctor\n  \
                        image-builder doctor --json | jq -r '.[].fix // empty'")]
pub(crate) struct DoctorArgs {
    /// Print all findings as JSON
    #[arg(long)]
    json: bool,
}

/// Room that a tree, its archive and an image take together.
const ROOM: u64 = 6 << 30;
/// Memory that a guest and a build take together.
const MEMORY: u64 = 3 << 30;

/// Looks at the host and says what it found.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let mut found = building();
    found.extend(runvm::findings());
    let text = if args.json { serde_json::to_string_pretty(&found)? + "\n" } else { render(&found) };
    print(std::io::stdout(), &text)?;
    let bad = found.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What builds need.
fn building() -> Vec<Finding> {
    let mut found = vec![
        match guest::load(None, true) {
            Ok(guest) => Finding::good("own programs", format!("all {} of them", guest.digests.len())),
            Err(error) => Finding::bad(
                "own programs",
                format!("{error:#}"),
                "Build all of them, with `cargo build --release --workspace`, or say --guest-dir when building.",
            ),
        },
        match which("mmdebstrap") {
            Some(path) => Finding::good("mmdebstrap", path.to_string_lossy()),
            None => Finding::limited(
                "mmdebstrap",
                "not found",
                "Install mmdebstrap for specs with `tree: {debian: ...}`; trees that are there already need none.",
            ),
        },
        keyring(),
        namespaces(),
    ];
    let cache = source::default_cache_dir();
    let places = [
        ("cache", cache.unwrap_or_else(|_| ".".into())),
        ("temporary files", std::env::temp_dir()),
        ("this folder", PathBuf::from(".")),
    ];
    found.extend(places.map(|(what, path)| room(what, &path)));
    found.push(memory());
    found
}

fn keyring() -> Finding {
    let path = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    if path.exists() {
        return Finding::good("Debian's keys", path.display().to_string());
    }
    Finding::limited(
        "Debian's keys",
        "not found",
        "Install debian-archive-keyring; mmdebstrap checks packages with it.",
    )
}

/// Whether mmdebstrap can make a tree: as root, or with a range of users of one's own.
fn namespaces() -> Finding {
    const WHAT: &str = "namespaces";
    if rustix::process::geteuid().is_root() {
        return Finding::good(WHAT, "not needed: this is root");
    }
    if Cmd::new("unshare").args(["--user", "--map-root-user", "true"]).output().is_err() {
        return Finding::limited(
            WHAT,
            "the kernel refuses user namespaces",
            "Trees are made as root then; or allow namespaces: \
             `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0`.",
        );
    }
    if which("newuidmap").is_none() {
        return Finding::limited(WHAT, "newuidmap was not found", "Install uidmap; mmdebstrap needs it.");
    }
    let uid = rustix::process::getuid().as_raw().to_string();
    let name = std::env::var("USER").unwrap_or_default();
    let has_range = |file: &str| {
        let text = fs_err::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.split(':').next()).any(|owner| owner == uid || owner == name)
    };
    for file in ["/etc/subuid", "/etc/subgid"] {
        if !has_range(file) {
            return Finding::limited(
                WHAT,
                format!("{file} has no range for this user"),
                "Give it one: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`, as root.",
            );
        }
    }
    Finding::good(WHAT, "this user has a range of its own")
}

/// The room at `path`, or in the folder that it will be made in.
fn room(what: &str, path: &Path) -> Finding {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let (subject, shown) = (format!("room, {what}"), path.display());
    let Ok(stat) = rustix::fs::statvfs(there) else {
        return Finding::limited(&subject, format!("{shown} can't be looked at"), "Look at its permissions.");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{} free in {shown}", size::human(free));
    if free >= ROOM {
        return Finding::good(&subject, found);
    }
    Finding::limited(
        &subject,
        found,
        format!(
            "A Debian tree and its image take up to {}; free some, or choose another place.",
            size::human(ROOM)
        ),
    )
}

fn memory() -> Finding {
    let text = fs_err::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let bytes = kib.and_then(|kib| kib.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10;
    let found = format!("{} available", size::human(bytes));
    if bytes >= MEMORY {
        return Finding::good("memory", found);
    }
    Finding::limited(
        "memory",
        found,
        "Builds and guests want more: close something, or say `runvm --memory 1G`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_good_has_a_way_out() {
        for finding in building() {
            assert_eq!(finding.fix.is_none(), finding.verdict == Verdict::Good, "{finding:?}");
        }
    }

    #[test]
    fn room_is_that_of_the_folder_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let found = room("x", &dir.path().join("a/b/c"));
        assert!(found.found.contains(" free in ") && found.found.ends_with("a/b/c"), "{found:?}");
    }
}
