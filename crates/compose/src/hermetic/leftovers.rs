//! What one machine, or the installation itself, left in the tree and no other machine may inherit.

use twinhull_tree::{Kind, Tree};

/// Directories that are emptied.
const EMPTIED: &[&str] = &[
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/run",
    "/tmp",
    "/media",
    "/mnt",
    "/var/tmp",
    "/var/backups",
    "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-user-helper-enabled",
    "/var/lib/systemd/deb-systemd-helper-masked",
];

/// Directories whose files go, but whose folders stay: services expect theirs (/var/log/nginx) to be there.
const WITHOUT_FILES: &[&str] = &["/var/log", "/var/spool/cron"];

/// Files and directories that go as they are.
const REMOVED: &[&str] = &[
    "/etc/.pwd.lock",
    "/etc/.updated",
    "/etc/.resolv.conf.systemd-resolved.bak",
    "/etc/adjtime",
    "/etc/fstab",
    "/etc/hostname",
    "/etc/initramfs",
    "/etc/initramfs-tools",
    "/etc/kernel",
    "/etc/ld.so.cache",
    "/etc/machine-id",
    "/etc/iscsi/initiatorname.iscsi",
    "/etc/machine-info",
    "/etc/nvme/hostid",
    "/etc/nvme/hostnqn",
    "/etc/ssl/certs/ssl-cert-snakeoil.pem",
    "/etc/ssl/private/ssl-cert-snakeoil.key",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/etc/udev/hwdb.bin",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/subgid-",
    "/etc/subuid-",
    "/root/.bash_history",
    "/root/.cache",
    "/var/.updated",
    "/var/lib/dbus/machine-id",
    "/var/lib/initramfs-tools",
    "/var/lib/systemd/catalog",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
    "/vmlinuz",
    "/vmlinuz.old",
    "/initrd.img",
    "/initrd.img.old",
    "/.dockerenv",
    "/lost+found",
];

/// File name endings of backups and locks below /etc and /var/lib/dpkg.
const SUFFIXES: &[&str] = &[
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-bak",
    ".ucf-old",
    ".ucf-dist",
    "-old",
    "/lock",
    "/lock-frontend",
];

/// Removes leftovers from `tree` and returns their paths, sorted.
pub(super) fn remove(tree: &mut Tree) -> Vec<String> {
    let mut doomed: Vec<Vec<u8>> = REMOVED.iter().map(|p| p.as_bytes().to_vec()).collect();
    for dir in EMPTIED {
        let Some(entries) = tree.get(dir).and_then(|n| n.entries()) else { continue };
        doomed.extend(entries.keys().map(|name| [dir.as_bytes(), b"/", name].concat()));
    }
    for dir in WITHOUT_FILES {
        doomed.extend(tree.walk_from(dir).filter(|(_, n)| n.entries().is_none()).map(|(path, _)| path));
    }
    for name in tree.list("/etc/ssh") {
        if name.starts_with(b"ssh_host_") {
            doomed.push([b"/etc/ssh/".as_slice(), &name].concat());
        }
    }
    for top in ["/etc", "/var/lib/dpkg", "/var/lib/ucf"] {
        let backups = tree.walk_from(top).filter(|(_, n)| matches!(n.kind, Kind::File(_)));
        let stale = |path: &[u8]| SUFFIXES.iter().any(|s| path.ends_with(s.as_bytes()));
        doomed.extend(backups.map(|(p, _)| p).filter(|p| stale(p)));
    }
    let mut removed: Vec<String> = doomed
        .into_iter()
        .filter(|path| tree.remove(path).is_some())
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect();
    removed.sort();
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn identities_and_logs_go_and_are_listed() {
        let mut tree = Tree::new();
        for path in [
            "/etc/machine-id",
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/sshd_config",
            "/var/log/apt/history.log",
            "/etc/passwd",
            "/etc/passwd-",
            "/etc/x.dpkg-old",
            "/var/lib/dpkg/status",
            "/var/lib/dpkg/lock",
        ] {
            tree.insert(path, Node::file("x")).unwrap();
        }
        let removed = remove(&mut tree);
        assert_eq!(
            removed,
            [
                "/etc/machine-id",
                "/etc/passwd-",
                "/etc/ssh/ssh_host_rsa_key",
                "/etc/x.dpkg-old",
                "/var/lib/dpkg/lock",
                "/var/log/apt/history.log"
            ]
        );
        for kept in ["/etc/ssh/sshd_config", "/etc/passwd", "/var/lib/dpkg/status", "/var/log/apt"] {
            assert!(tree.get(kept).is_some(), "{kept}");
        }
    }
}
