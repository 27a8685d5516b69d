//! The minimisation pass: takes out of a tree what a server that nobody installs packages on has no use for.
//!
//! Every item can be kept. What must stay for other reasons is never an item: licences (`copyright` files, which the
//! licences themselves ask for), the package database (what is installed is a question for audits), Python's compiled
//! files (nobody could write them again).

use std::collections::BTreeSet;

use twinhull_osdb::{IndexOptions, ModuleDb};
use twinhull_tree::{Node, Tree};

use crate::Result;

/// What can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Package documentation, except licences; info pages; files for bug reports.
    Docs,
    /// Manual pages.
    Man,
    /// Translations of messages, and the sources that locales are generated from. Generated locales stay.
    Locales,
    /// Caches and package lists.
    Caches,
    /// Sources of databases that the image has in compiled form: hardware database, journal catalogue.
    Sources,
    /// Drivers for hardware that virtual machines don't have, unless another module needs them.
    Modules,
    /// Firmware that no module of the image asks for.
    Firmware,
}

/// What an item took out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The item.
    pub item: Item,
    /// Files and links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is taken out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The items, in any order.
    pub items: BTreeSet<Item>,
    /// Modules that stay with all they need, whatever they are for.
    pub modules: Vec<String>,
}

impl Item {
    /// All items, in the order in which they are taken out: firmware is judged by the modules that are left.
    pub const ALL: [Item; 7] =
        [Item::Docs, Item::Man, Item::Locales, Item::Caches, Item::Sources, Item::Modules, Item::Firmware];

    /// Its name in specs and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Item::Docs => "docs",
            Item::Man => "man",
            Item::Locales => "locales",
            Item::Caches => "caches",
            Item::Sources => "sources",
            Item::Modules => "modules",
            Item::Firmware => "firmware",
        }
    }

    /// Whether it is about hardware: real machines keep it.
    pub fn is_hardware(self) -> bool {
        matches!(self, Item::Modules | Item::Firmware)
    }

    /// Folders whose files go; empty ones go with them unless they are in /var, where services expect theirs.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Item::Docs => &[
                "/usr/share/doc",
                "/usr/share/doc-base",
                "/usr/share/info",
                "/usr/share/gtk-doc",
                "/usr/share/bug",
                "/usr/share/reportbug",
                "/usr/share/lintian",
                "/usr/share/linda",
            ],
            Item::Man => &["/usr/share/man"],
            Item::Locales => &["/usr/share/locale", "/usr/share/i18n"],
            Item::Caches => &["/var/cache", "/var/lib/apt/lists"],
            Item::Sources => &["/usr/lib/udev/hwdb.d", "/usr/lib/systemd/catalog"],
            Item::Modules | Item::Firmware => &[],
        }
    }

    /// Whether a file of these folders stays all the same.
    fn stays(self, path: &[u8]) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        match self {
            // A second name for another package's folder leads to that one's licence.
            Item::Docs => {
                let depth = path.iter().filter(|b| **b == b'/').count();
                path.starts_with(b"/usr/share/doc/") && (depth == 4 || name.starts_with(b"copyright"))
            }
            // gettext finds a language by its other names there.
            Item::Locales => path == b"/usr/share/locale/locale.alias",
            _ => false,
        }
    }
}

/// Folders of a kernel's modules, below `kernel/`, for hardware that no virtual machine has.
const HARDWARE: &[&str] = &[
    "drivers/auxdisplay",
    "drivers/bcma",
    "drivers/bluetooth",
    "drivers/comedi",
    "drivers/counter",
    "drivers/extcon",
    "drivers/firewire",
    "drivers/gnss",
    "drivers/gpu/drm/gma500",
    "drivers/gpu/drm/i915",
    "drivers/gpu/drm/nouveau",
    "drivers/gpu/drm/radeon",
    "drivers/gpu/drm/xe",
    "drivers/greybus",
    "drivers/hsi",
    "drivers/hwmon",
    "drivers/iio",
    "drivers/input/gameport",
    "drivers/input/joystick",
    "drivers/input/tablet",
    "drivers/input/touchscreen",
    "drivers/ipack",
    "drivers/isdn",
    "drivers/leds",
    "drivers/mcb",
    "drivers/media",
    "drivers/memstick",
    "drivers/mmc",
    "drivers/most",
    "drivers/mtd",
    "drivers/net/appletalk",
    "drivers/net/arcnet",
    "drivers/net/can",
    "drivers/net/fddi",
    "drivers/net/hamradio",
    "drivers/net/ieee802154",
    "drivers/net/wireless",
    "drivers/net/wwan",
    "drivers/nfc",
    "drivers/parport",
    "drivers/pcmcia",
    "drivers/platform",
    "drivers/power",
    "drivers/rapidio",
    "drivers/siox",
    "drivers/slimbus",
    "drivers/soundwire",
    "drivers/ssb",
    "drivers/staging",
    "drivers/thunderbolt",
    "drivers/w1",
    "net/6lowpan",
    "net/appletalk",
    "net/ax25",
    "net/bluetooth",
    "net/can",
    "net/ieee802154",
    "net/lapb",
    "net/mac80211",
    "net/mac802154",
    "net/netrom",
    "net/nfc",
    "net/rose",
    "net/wireless",
    "net/x25",
    "sound",
];

const FIRMWARE: &str = "/usr/lib/firmware";

/// Takes the items of `options` out of `tree` and returns what each one took.
///
/// Comes after the databases, whose sources go, and whose indexes of the modules of `kernel` are made anew. Errors
/// are those of the module database.
pub(super) fn apply(tree: &mut Tree, kernel: &str, options: &Options) -> Result<Vec<Removed>> {
    let mut all = Vec::new();
    for item in Item::ALL.into_iter().filter(|item| options.items.contains(item)) {
        let doomed = match item {
            Item::Modules => modules(tree, kernel, &options.modules)?,
            Item::Firmware => firmware(tree, kernel)?,
            _ => files(tree, item),
        };
        let mut removed = Removed { item, files: 0, bytes: 0 };
        for path in doomed {
            if let Some(node) = tree.remove(&path) {
                removed.files += 1;
                removed.bytes += node.data().map_or(0, |data| data.content.len());
                remove_empty_parents(tree, &path);
            }
        }
        all.push(removed);
    }
    Ok(all)
}

/// Files and links of an item's folders.
fn files(tree: &Tree, item: Item) -> Vec<Vec<u8>> {
    let folders = item.folders().iter().flat_map(|folder| tree.walk_from(folder));
    let files = folders.filter(|(_, node)| node.entries().is_none()).map(|(path, _)| path);
    files.filter(|path| !item.stays(path)).collect()
}

/// Modules of [`HARDWARE`] that no other module and nobody in `wanted` needs. The indexes are made anew without them.
fn modules(tree: &mut Tree, kernel: &str, wanted: &[String]) -> Result<Vec<Vec<u8>>> {
    // A kernel without modules is an error of the initrd's, which says what to do about it.
    let Ok(db) = ModuleDb::from_index(tree, kernel) else { return Ok(Vec::new()) };
    let is_hardware = |path: &str| {
        let folder = path.strip_prefix("kernel/").unwrap_or(path);
        HARDWARE.iter().any(|h| folder.strip_prefix(h).is_some_and(|rest| rest.starts_with('/')))
    };
    let mut names: Vec<String> = wanted.iter().filter(|n| db.closure(&[n]).is_ok()).cloned().collect();
    names.extend(db.paths().filter(|path| !is_hardware(path)).map(module_name));
    let kept: BTreeSet<String> = db.closure(&names)?.into_iter().collect();
    let (kept, gone): (Vec<&str>, Vec<&str>) = db.paths().partition(|path| kept.contains(*path));
    let dir = db.directory();
    if !gone.is_empty() {
        for (name, bytes) in db.subset(&kept)?.index_files(&IndexOptions::default())? {
            tree.insert(format!("{dir}/{name}"), Node::file(bytes))?;
        }
    }
    Ok(gone.into_iter().map(|path| format!("{dir}/{path}").into_bytes()).collect())
}

/// `dm_verity` for `kernel/drivers/md/dm-verity.ko.xz`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// Firmware that none of the modules names, compressed or not. Links that led to it go too.
fn firmware(tree: &Tree, kernel: &str) -> Result<Vec<Vec<u8>>> {
    if tree.get(FIRMWARE).is_none() {
        return Ok(Vec::new());
    }
    let db = ModuleDb::from_index(tree, kernel)?;
    let paths: Vec<&str> = db.paths().collect();
    let mut used: BTreeSet<Vec<u8>> = BTreeSet::new();
    for name in db.firmware(tree, &paths)? {
        for suffix in ["", ".xz", ".zst"] {
            let path = format!("{FIRMWARE}/{name}{suffix}");
            if let Some((real, _)) = tree.resolve(&path)? {
                used.insert(real.into_bytes());
                used.insert(path.into_bytes());
            }
        }
    }
    let files = tree.walk_from(FIRMWARE).filter(|(_, node)| node.entries().is_none());
    Ok(files.map(|(path, _)| path).filter(|path| !used.contains(path)).collect())
}

/// Removes the folders above `path` that have become empty, but none of /var's.
fn remove_empty_parents(tree: &mut Tree, path: &[u8]) {
    let mut path = path;
    while let Some(at) = path.iter().rposition(|b| *b == b'/').filter(|at| *at > 0) {
        path = &path[..at];
        let is_empty = tree.get(path).and_then(Node::entries).is_some_and(|entries| entries.is_empty());
        if !is_empty || path.starts_with(b"/var") {
            return;
        }
        tree.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in files {
            tree.insert(path, Node::file("12345")).unwrap();
        }
        tree
    }

    fn left(tree: &Tree) -> Vec<String> {
        let files = tree.walk().filter(|(_, n)| n.entries().is_none());
        files.map(|(path, _)| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn drivers_that_others_need_or_somebody_wants_stay() {
        let dir = "/usr/lib/modules/1";
        let modules = [
            "kernel/drivers/hwmon/sensor.ko",
            "kernel/drivers/net/virtio_net.ko",
            "kernel/drivers/ssb/ssb.ko",
            "kernel/sound/snd.ko",
            "kernel/sound/snd-pcm.ko",
            "kernel/sound/speaker.ko",
        ];
        let mut tree = tree(&modules.map(|path| format!("{dir}/{path}")).each_ref().map(String::as_str));
        let dep = "kernel/drivers/hwmon/sensor.ko:\n\
                   kernel/drivers/net/virtio_net.ko: kernel/drivers/ssb/ssb.ko\n\
                   kernel/drivers/ssb/ssb.ko:\n\
                   kernel/sound/snd.ko:\n\
                   kernel/sound/snd-pcm.ko: kernel/sound/snd.ko\n\
                   kernel/sound/speaker.ko: kernel/sound/snd.ko\n";
        for (name, text) in [("modules.dep", dep), ("modules.alias", ""), ("modules.softdep", "")] {
            tree.insert(format!("{dir}/{name}"), Node::file(text)).unwrap();
        }
        let options = Options {
            items: BTreeSet::from([Item::Modules]),
            modules: vec!["snd_pcm".into(), "none".into()],
        };
        let removed = apply(&mut tree, "1", &options).unwrap();
        assert_eq!(removed, [Removed { item: Item::Modules, files: 2, bytes: 10 }]);
        let left: Vec<String> = left(&tree).into_iter().filter(|path| path.ends_with(".ko")).collect();
        let want = [modules[1], modules[2], modules[4], modules[3]].map(|path| format!("{dir}/{path}"));
        assert_eq!(left, want);
        let dep = tree.read_text(format!("{dir}/modules.dep")).unwrap();
        assert!(!dep.contains("sensor") && dep.contains("snd-pcm.ko: kernel/sound/snd.ko"), "{dep}");
    }

    #[test]
    fn each_item_takes_its_own_and_leaves_the_rest() {
        let files = [
            "/usr/lib/locale/C.utf8/LC_CTYPE",
            "/usr/lib/systemd/catalog/systemd.catalog",
            "/usr/lib/udev/hwdb.d/20-usb.hwdb",
            "/usr/share/doc/a/README",
            "/usr/share/doc/a/copyright",
            "/usr/share/i18n/locales/de_DE",
            "/usr/share/info/a.info",
            "/usr/share/locale/de/LC_MESSAGES/a.mo",
            "/usr/share/locale/locale.alias",
            "/usr/share/man/man1/a.1.gz",
            "/var/cache/a/b",
        ];
        let mut whole = tree(&files);
        whole.insert("/usr/share/doc/b", Node::symlink("a")).unwrap();
        let taken = |item: Item| -> Vec<String> {
            let mut tree = whole.clone();
            let options = Options { items: BTreeSet::from([item]), modules: Vec::new() };
            let removed = apply(&mut tree, "1", &options).unwrap();
            let left = left(&tree);
            let gone: Vec<String> =
                self::left(&whole).into_iter().filter(|path| !left.contains(path)).collect();
            let counted = Removed { item, files: gone.len() as u64, bytes: 5 * gone.len() as u64 };
            assert_eq!(removed, [counted]);
            gone
        };
        for (item, want) in [
            (Item::Docs, vec!["/usr/share/doc/a/README", "/usr/share/info/a.info"]),
            (Item::Man, vec!["/usr/share/man/man1/a.1.gz"]),
            (Item::Locales, vec!["/usr/share/i18n/locales/de_DE", "/usr/share/locale/de/LC_MESSAGES/a.mo"]),
            (Item::Caches, vec!["/var/cache/a/b"]),
            (
                Item::Sources,
                vec!["/usr/lib/systemd/catalog/systemd.catalog", "/usr/lib/udev/hwdb.d/20-usb.hwdb"],
            ),
            (Item::Firmware, vec![]),
        ] {
            assert_eq!(taken(item), want, "{item:?}");
        }
        let mut tree = whole.clone();
        let items = BTreeSet::from([Item::Man, Item::Caches]);
        apply(&mut tree, "1", &Options { items, modules: Vec::new() }).unwrap();
        assert!(tree.get("/usr/share/man").is_none() && tree.get("/var/cache/a").is_some());
    }
}
