//! Moves /etc, /var, /opt, /srv and /root below /usr/share/factory and writes the tmpfiles fragments that
//! put them back on every boot.
//!
//! /etc is rebuilt on a tmpfs each time, so what belongs to the image is linked, and only what programs
//! must write is copied. /var keeps its state: what is missing there is made once, from the factory.

use twinhull_tree::{Kind, Node, Tree};

use super::Options;
use super::tmpfiles::Fragment;
use crate::Result;

const FACTORY: &str = "/usr/share/factory";

/// Files of /etc that programs write.
const WRITABLE: &[&str] = &["passwd", "group", "shadow", "gshadow", "subuid", "subgid", "shells", "hosts"];

/// Directories of /etc that are linked as a whole: many files that no program adds to.
const WHOLE: &[&str] = &[
    "alternatives",
    "apt",
    "ca-certificates",
    "cron.d",
    "cron.daily",
    "cron.hourly",
    "cron.monthly",
    "cron.weekly",
    "dpkg",
    "gss",
    "init.d",
    "logrotate.d",
    "rc0.d",
    "rc1.d",
    "rc2.d",
    "rc3.d",
    "rc4.d",
    "rc5.d",
    "rc6.d",
    "rcS.d",
    "runit",
    "selinux",
    "skel",
    "ssl/certs",
    "sv",
    "terminfo",
    "ufw",
    "update-motd.d",
];

/// Package manager state: it describes /usr, so it goes where /usr goes.
const PACKAGE_STATE: &[&str] =
    &["/var/lib/apt", "/var/lib/dpkg", "/var/lib/pam", "/var/lib/ucf", "/var/lib/python"];

/// Makes everything outside /usr factory content.
pub(super) fn make(tree: &mut Tree, options: &Options) -> Result<()> {
    // In the initrd the first-boot agent is earlier, and what it makes is as user data say.
    let mut etc = Fragment::new("/etc as the image has it; made by image-builder.").yielding();
    let mut var = Fragment::new("/var and the top level, where nothing is there yet; made by image-builder.");
    if let Some(hostname) = &options.hostname {
        tree.insert("/etc/hostname", Node::file(format!("{hostname}\n")))?;
    }
    if tree.get("/etc/hosts").is_none() {
        tree.insert(
            "/etc/hosts",
            Node::file("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
        )?;
    }
    top_level(tree, &mut etc);
    move_etc(tree, &mut etc)?;
    for (from, to) in
        [("/srv", "/var/srv"), ("/opt", "/var/opt"), ("/root", "/var/roothome"), ("/home", "/var/home")]
    {
        let node = tree.remove(from).filter(|n| n.entries().is_some());
        let mut node = node.unwrap_or_else(Node::directory);
        if from == "/root" {
            node.meta.mode = 0o700;
        }
        tree.insert(to, node)?;
    }
    move_var(tree, &mut var)?;
    for (name, fragment) in [("00-twinhull-etc.conf", etc), ("00-twinhull-var.conf", var)] {
        tree.insert(format!("/usr/lib/tmpfiles.d/{name}"), Node::file(fragment.into_text()))?;
    }
    // Debian's fragment makes /srv and /home as directories; here they are links into /var.
    tree.remove("/usr/lib/tmpfiles.d/home.conf");
    Ok(())
}

/// The top level of the tmpfs root: links into /usr and /var, and mount points.
fn top_level(tree: &Tree, fragment: &mut Fragment) {
    for (name, node) in tree.root().entries().into_iter().flatten() {
        if let Kind::Symlink(target) = &node.kind {
            fragment.link(&[b"/", name.as_slice()].concat(), target);
        }
    }
    for (link, target) in
        [("/home", "var/home"), ("/opt", "var/opt"), ("/root", "var/roothome"), ("/srv", "var/srv")]
    {
        fragment.link(link.as_bytes(), target.as_bytes());
    }
    for dir in ["/efi", "/media", "/mnt"] {
        fragment.directory(dir.as_bytes(), &Node::directory().meta);
    }
}

fn move_etc(tree: &mut Tree, fragment: &mut Fragment) -> Result<()> {
    let etc = tree.remove("/etc").unwrap_or_else(Node::directory);
    tree.remove(format!("{FACTORY}/etc"));
    tree.insert(format!("{FACTORY}/etc"), etc)?;
    let factory = format!("{FACTORY}/etc");
    let mut skip: Option<Vec<u8>> = None;
    for (path, node) in tree.walk_from(&factory) {
        if skip.as_ref().is_some_and(|s| path.starts_with(s)) {
            continue;
        }
        let inner = path[factory.len()..].strip_prefix(b"/").unwrap_or_default();
        let at = [b"/etc/", inner].concat();
        let depth = inner.iter().filter(|b| **b == b'/').count();
        let link_target = [b"../".repeat(depth + 1).as_slice(), &path[1..]].concat();
        let name = String::from_utf8_lossy(inner);
        match &node.kind {
            _ if inner.is_empty() => fragment.directory(b"/etc", &node.meta),
            Kind::Directory(_) if WHOLE.contains(&name.as_ref()) => {
                fragment.link(&at, &link_target);
                skip = Some([path.as_slice(), b"/"].concat());
            }
            Kind::Directory(_) => fragment.directory(&at, &node.meta),
            Kind::Symlink(target) => fragment.link(&at, target),
            _ if WRITABLE.contains(&name.as_ref()) => fragment.copy(&at, &node.meta, &path),
            _ => fragment.link(&at, &link_target),
        }
    }
    fragment.link(b"/etc/resolv.conf", b"../run/systemd/resolve/stub-resolv.conf");
    Ok(())
}

fn move_var(tree: &mut Tree, fragment: &mut Fragment) -> Result<()> {
    let factory = format!("{FACTORY}/var");
    let prepared = tree.remove(&factory);
    let var = tree.remove("/var").unwrap_or_else(Node::directory);
    tree.insert(&factory, var)?;
    for path in PACKAGE_STATE {
        if tree.get(format!("{FACTORY}{path}")).is_some() {
            fragment.force_link(path.as_bytes(), format!("../../usr/share/factory{path}").as_bytes());
        }
    }
    if let Some(prepared) = prepared {
        let catalog = "lib/systemd/catalog/database";
        let mut holder = Tree::new();
        holder.insert("/", prepared)?;
        if let Some(node) = holder.get(catalog) {
            tree.insert(format!("{factory}/{catalog}"), node.clone())?;
            fragment.directory(b"/var/lib/systemd/catalog", &Node::directory().meta);
            fragment.force_link(
                b"/var/lib/systemd/catalog/database",
                format!("../../../..{factory}/{catalog}").as_bytes(),
            );
        }
    }
    let skipped = |path: &[u8]| {
        path.starts_with(b"/var/lib/systemd/catalog")
            || PACKAGE_STATE
                .iter()
                .any(|p| path == p.as_bytes() || path.starts_with(format!("{p}/").as_bytes()))
    };
    for (path, node) in tree.walk_from(&factory) {
        let at = &path[FACTORY.len()..];
        match &node.kind {
            _ if skipped(at) => {}
            Kind::Directory(_) => fragment.directory(at, &node.meta),
            Kind::Symlink(target) => fragment.link(at, target),
            Kind::File(_) => fragment.copy(at, &node.meta, &path),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_outside_usr_can_be_put_back() {
        let mut tree = Tree::new();
        for path in [
            "/etc/passwd",
            "/etc/ssh/sshd_config",
            "/etc/ssl/certs/a.pem",
            "/var/lib/dpkg/status",
            "/var/lib/x/state",
            "/root/.profile",
            "/usr/share/factory/var/lib/systemd/catalog/database",
        ] {
            tree.insert(path, Node::file("x")).unwrap();
        }
        tree.insert("/bin", Node::symlink("usr/bin")).unwrap();
        make(&mut tree, &Options::default()).unwrap();
        let etc = tree.read_text("/usr/lib/tmpfiles.d/00-twinhull-etc.conf").unwrap();
        let var = tree.read_text("/usr/lib/tmpfiles.d/00-twinhull-var.conf").unwrap();
        for line in [
            "L /bin - - - - usr/bin",
            "C /etc/passwd - - - - /usr/share/factory/etc/passwd",
            "L /etc/ssh/sshd_config - - - - ../../usr/share/factory/etc/ssh/sshd_config",
            "L /etc/ssl/certs - - - - ../../usr/share/factory/etc/ssl/certs",
            "L /root - - - - var/roothome",
            "d /etc/ssh :0755 :0 :0 -",
        ] {
            assert!(etc.lines().any(|l| l == line), "{line}\n{etc}");
        }
        for line in [
            "L+ /var/lib/dpkg - - - - ../../usr/share/factory/var/lib/dpkg",
            "C /var/lib/x/state 0644 0 0 - /usr/share/factory/var/lib/x/state",
            "d /var/roothome 0700 0 0 -",
            "L+ /var/lib/systemd/catalog/database - - - - ../../../../usr/share/factory/var/lib/systemd/catalog/database",
        ] {
            assert!(var.lines().any(|l| l == line), "{line}\n{var}");
        }
        assert!(!etc.contains("a.pem"));
        let top: Vec<_> = tree.root().entries().unwrap().keys().cloned().collect();
        assert_eq!(top, [b"bin".to_vec(), b"usr".to_vec()]);
    }
}
