//! Which units start by themselves, decided once, at build time.
//!
//! Nothing is active that was not asked for: the tree's own enablement is thrown away, a short list of the
//! base system's units and what the spec names is enabled, and the links are written below /usr. They are
//! made from [Install] sections of the distribution's units; Twinhull's own units have none.

use std::collections::BTreeSet;

use twinhull_tree::{Kind, Node, Tree};

use crate::{Error, Result};

const UNITS: &str = "/usr/lib/systemd/system";

/// The base system. Each exists only if its package is in the tree.
const BASE: &[&str] = &[
    "dbus-broker.service",
    "fstrim.timer",
    "getty@tty1.service",
    "remote-fs.target",
    "systemd-networkd.service",
    "systemd-pstore.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "ssh.service",
];

/// Units that the distribution wants statically and an immutable image must not run: their work was done
/// at build time, or is of no use on a read-only /usr.
const UNWANTED: &[&str] = &[
    "systemd-boot-random-seed.service",
    "systemd-network-generator.service",
    "systemd-repart.service",
    "systemd-tpm2-setup-early.service",
    "systemd-tpm2-setup.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-binfmt.service",
    "systemd-initctl.socket",
    "systemd-bootctl.socket",
    "systemd-creds.socket",
    "systemd-pcrextend.socket",
    "systemd-pcrmachine.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-sysext.socket",
    "systemd-pcrlock.socket",
    "sshd-unix-local.socket",
    "cryptsetup.target",
    "integritysetup.target",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
];

/// Units that can never have work on an image: the builder has done it, or there is nothing it could be about.
/// Others are ordered against them, and PID 1 reads every unit that is named anywhere, on every boot.
const REMOVED: &[&str] = &[
    "ldconfig.service",
    "systemd-battery-check.service",
    "systemd-boot-update.service",
    "systemd-bsod.service",
    "systemd-firstboot.service",
    "systemd-hibernate-clear.service",
    "systemd-hibernate-resume.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-machine-id-commit.service",
    "systemd-quotacheck-root.service",
    "systemd-sysusers.service",
    "systemd-update-done.service",
];

/// udev rules for what no server has: sound, cameras, pointing devices, sensors. udevd reads all rules at every boot.
const UDEV_RULES: &[&str] = &[
    "60-persistent-alsa.rules",
    "60-persistent-v4l.rules",
    "60-sensor.rules",
    "70-camera.rules",
    "70-joystick.rules",
    "70-mouse.rules",
    "70-touchpad.rules",
    "78-sound-card.rules",
];

/// Generators that have nothing to do here: System V scripts, rc.local, crypttab, hibernation, updates at boot,
/// and partition discovery, which Twinhull's own generator does for the boot disk alone. Each one left out is
/// a program less in every boot.
const GENERATORS: &[&str] = &[
    "systemd-cryptsetup-generator",
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-integritysetup-generator",
    "systemd-rc-local-generator",
    "systemd-run-generator",
    "systemd-ssh-generator",
    "systemd-system-update-generator",
    "systemd-sysv-generator",
    "systemd-tpm2-generator",
];

/// Units that others of the distribution want and that make no sense on a server: they become masked.
const MASKED: &[&str] = &[
    // The nodes are in a fragment of their own, made at build time.
    "kmod-static-nodes.service",
    "modprobe@drm.service",
    // systemd-modules-load loads it with the others.
    "modprobe@efi_pstore.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    // Leases of a DHCP server, rules from credentials: nothing here has either.
    "systemd-networkd-persistent-storage.service",
    "systemd-udev-load-credentials.service",
    // systemd-tmpfiles-setup-dev does the same; there are no users that it would have to come before.
    "systemd-tmpfiles-setup-dev-early.service",
    // There is no fstab, and the root is a tmpfs.
    "systemd-remount-fs.service",
];

/// Replaces the tree's enablement and returns what is enabled, as (target, unit), sorted.
///
/// Returns [`Error::Lacks`] when a unit in `extra` is not in the tree.
pub(super) fn apply(tree: &mut Tree, extra: &[String]) -> Result<Vec<(String, String)>> {
    drop_enablement(tree)?;
    for target in tree.list(UNITS) {
        if target.ends_with(b".wants") {
            for unit in UNWANTED.iter().chain(REMOVED) {
                tree.remove([UNITS.as_bytes(), b"/", &target, b"/", unit.as_bytes()].concat());
            }
        }
    }
    for unit in REMOVED {
        tree.remove(format!("{UNITS}/{unit}"));
    }
    for rules in UDEV_RULES {
        tree.remove(format!("/usr/lib/udev/rules.d/{rules}"));
    }
    for generator in GENERATORS {
        tree.remove(format!("/usr/lib/systemd/system-generators/{generator}"));
    }
    for unit in MASKED {
        tree.insert(format!("{UNITS}/{unit}"), Node::symlink("/dev/null"))?;
    }
    let mut enabled = BTreeSet::new();
    for unit in BASE {
        if unit_file(tree, unit).is_some() {
            enable(tree, unit, &mut enabled)?;
        }
    }
    for unit in extra {
        if unit_file(tree, unit).is_none() {
            return Err(Error::Lacks {
                what: "unit to enable",
                path: format!("{UNITS}/{unit}"),
                advice: "check the name under `enable`, or add the package that has it".into(),
            });
        }
        enable(tree, unit, &mut enabled)?;
    }
    Ok(enabled.into_iter().collect())
}

/// Removes the links that enabling units left in /etc/systemd/system, but keeps administrators' units.
fn drop_enablement(tree: &mut Tree) -> Result<()> {
    let etc = "/etc/systemd/system";
    for name in tree.list(etc) {
        let path = [etc.as_bytes(), b"/", &name].concat();
        let is_link = tree.get(&path).is_some_and(|n| matches!(n.kind, Kind::Symlink(_)));
        if is_link || name.ends_with(b".wants") || name.ends_with(b".requires") {
            tree.remove(&path);
        }
    }
    Ok(())
}

/// The unit file of `unit`; for an instance, its template's.
fn unit_file(tree: &Tree, unit: &str) -> Option<String> {
    let template =
        unit.split_once('@').and_then(|(base, rest)| Some(format!("{base}@.{}", rest.rsplit_once('.')?.1)));
    [Some(unit.to_owned()), template]
        .into_iter()
        .flatten()
        .map(|name| format!("{UNITS}/{name}"))
        .find(|path| tree.exists(path))
}

fn enable(tree: &mut Tree, unit: &str, enabled: &mut BTreeSet<(String, String)>) -> Result<()> {
    let Some(path) = unit_file(tree, unit) else { return Ok(()) };
    let text = tree.read_text(&path)?;
    let mut install = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            install = line == "[Install]";
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| install) else { continue };
        for word in value.split_whitespace() {
            // `%i` and friends can't occur in what Debian installs by default; they would need the instance.
            let word = word
                .replace("%i", unit.split_once('@').map_or("", |(_, r)| r.split('.').next().unwrap_or("")));
            match key.trim() {
                "WantedBy" | "RequiredBy" | "UpheldBy" => {
                    let suffix = if key.trim() == "RequiredBy" { "requires" } else { "wants" };
                    link(tree, &format!("{UNITS}/{word}.{suffix}/{unit}"), &path)?;
                    enabled.insert((word, unit.to_owned()));
                }
                "Alias" => link(tree, &format!("{UNITS}/{word}"), &path)?,
                "Also"
                    if !enabled.iter().any(|(_, u)| *u == word)
                        && word != *unit
                        && !UNWANTED.contains(&word.as_str()) =>
                {
                    enabled.insert((String::new(), word.clone()));
                    enable(tree, &word, enabled)?;
                    enabled.remove(&(String::new(), word));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn link(tree: &mut Tree, at: &str, to: &str) -> Result<()> {
    if tree.get(at).is_none() {
        let depth = at.trim_start_matches(UNITS).matches('/').count() - 1;
        let target =
            format!("{}{}", "../".repeat(depth), to.trim_start_matches(UNITS).trim_start_matches('/'));
        tree.insert(at, Node::symlink(target))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_enabled() {
        let mut tree = Tree::new();
        let unit = |name: &str, text: &str, tree: &mut Tree| {
            tree.insert(format!("{UNITS}/{name}"), Node::file(text)).unwrap()
        };
        unit(
            "ssh.service",
            "[Unit]\nWantedBy=no\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n",
            &mut tree,
        );
        unit("getty@.service", "[Install]\nWantedBy=getty.target\n", &mut tree);
        unit("apt-daily.timer", "[Install]\nWantedBy=timers.target\n", &mut tree);
        unit("app.service", "[Install]\nWantedBy=multi-user.target\nAlso=app.socket\n", &mut tree);
        unit("app.socket", "[Install]\nWantedBy=sockets.target\nAlso=app.service\n", &mut tree);
        tree.insert("/etc/systemd/system/timers.target.wants/apt-daily.timer", Node::symlink("/x")).unwrap();
        tree.insert(
            format!("{UNITS}/sysinit.target.wants/ldconfig.service"),
            Node::symlink("../ldconfig.service"),
        )
        .unwrap();
        let enabled = apply(&mut tree, &["app.service".into()]).unwrap();
        let pairs: Vec<_> = enabled.iter().map(|(t, u)| (t.as_str(), u.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("getty.target", "getty@tty1.service"),
                ("multi-user.target", "app.service"),
                ("multi-user.target", "ssh.service"),
                ("sockets.target", "app.socket")
            ]
        );
        let target = |path: &str| match &tree.get(path).unwrap().kind {
            Kind::Symlink(t) => String::from_utf8(t.clone()).unwrap(),
            _ => panic!(),
        };
        assert_eq!(
            target("/usr/lib/systemd/system/getty.target.wants/getty@tty1.service"),
            "../getty@.service"
        );
        assert_eq!(target("/usr/lib/systemd/system/sshd.service"), "ssh.service");
        assert!(tree.get("/etc/systemd/system/timers.target.wants").is_none());
        assert!(tree.get(format!("{UNITS}/sysinit.target.wants/ldconfig.service")).is_none());
        assert_eq!(target("/usr/lib/systemd/system/modprobe@drm.service"), "/dev/null");
        assert!(apply(&mut tree, &["nope.service".into()]).is_err());
    }
}
