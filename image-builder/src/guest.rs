//! What Twinhull itself adds to an image: its units, and its programs for the guest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use include_dir::{Dir, include_dir};
use twinhull_sysutil::digest;
use twinhull_tree::{Node, Tree};

use crate::image::Image;
use crate::image::snapshot::Snapshot;

/// units/ of the source tree, which mirrors /usr/lib of the image.
static UNITS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../units");

/// What only some images have: below units/optional, a folder each.
const OPTIONAL: &str = "optional";

/// Programs and where they go below /usr.
const PROGRAMS: &[(&str, &str)] = &[
    ("firstboot-agent", "lib/twinhull"),
    ("twinhull-disk", "lib/twinhull"),
    ("twinhull-boot-generator", "lib/systemd/system-generators"),
    ("twinhull-bridge", "lib/twinhull"),
    ("twinhull-provision-generator", "lib/twinhull/initrd/systemd/system-generators"),
];

/// What an image that follows updates has besides.
const UPDATES: &[(&str, &str)] = &[("update-agent", "bin")];

/// Its services, and what wants them.
const WANTED: &[(&str, &str)] =
    &[("multi-user.target", "twinhull-update.service"), ("sysinit.target", "twinhull-soft-rebooted.service")];

/// What the system bus has to know of the update agent, below /usr/share/dbus-1.
const BUS: &[(&str, &str)] = &[
    ("system.d/org.twinhull.Update1.conf", include_str!("../../update-agent/dbus/org.twinhull.Update1.conf")),
    (
        "system-services/org.twinhull.Update1.service",
        include_str!("../../update-agent/dbus/org.twinhull.Update1.service"),
    ),
];

/// Twinhull's own part of an image.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Everything to be laid over a tree's /usr.
    pub(crate) overlay: Tree,
    /// SHA-256 of each program, for the manifest.
    pub(crate) digests: BTreeMap<&'static str, String>,
}

/// Units and programs; these from `guest_dir`, or from beside image-builder.
pub(crate) fn load(guest_dir: Option<&Path>, updates: bool) -> Result<Guest> {
    let mut tree = Tree::new();
    let mut digests = BTreeMap::new();
    add_units(&UNITS, Path::new(""), &mut tree)?;
    let mut programs = PROGRAMS.to_vec();
    if updates {
        programs.extend(UPDATES);
        let folder = Path::new(OPTIONAL).join("updates");
        let units = UNITS.get_dir(&folder).context("units/optional/updates is missing")?;
        add_units(units, &folder, &mut tree)?;
        for (target, service) in WANTED {
            tree.insert(
                format!("lib/systemd/system/{target}.wants/{service}"),
                Node::symlink(format!("../{service}")),
            )?;
        }
        for (path, text) in BUS {
            tree.insert(format!("share/dbus-1/{path}"), Node::file(*text))?;
        }
    }
    let dir = guest_dir.map_or_else(beside_us, |dir| Ok(dir.to_owned()))?;
    for (name, place) in &programs {
        let path = dir.join(name);
        if !path.is_file() {
            bail!(
                "{} is missing: it is one of Twinhull's own programs in the image; build them with \
                 `cargo build --release --workspace`, or say --guest-dir DIR",
                path.display()
            );
        }
        let bytes = fs_err::read(&path)?;
        digests.insert(*name, digest::sha256_hex(&bytes));
        tree.insert(format!("{place}/{name}"), Node::program(bytes))?;
    }
    Ok(Guest { overlay: tree, digests })
}

/// SHA-256 of those programs that are in an image, by name.
pub(crate) fn programs_in(image: &Image, snapshot: &Snapshot) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, place) in PROGRAMS.iter().chain(UPDATES) {
        let path = format!("/usr/{place}/{name}");
        if let Some((_, entry)) = snapshot.resolve(path.as_bytes()) {
            let inode = image.reader.inode(entry.number)?;
            let digest = || -> Result<String> { Ok(digest::sha256_reader(image.reader.open(&inode)?)?) };
            let digest =
                digest().with_context(|| format!("{path} in {} can't be read", image.path.display()))?;
            found.insert((*name).to_owned(), digest);
        }
    }
    Ok(found)
}

/// Adds the files below `dir`, by their path in it without `base`.
fn add_units(dir: &Dir<'_>, base: &Path, tree: &mut Tree) -> Result<()> {
    for file in dir.files() {
        let path = file.path().strip_prefix(base)?;
        tree.insert(format!("lib/{}", path.display()), Node::file(file.contents().to_vec()))?;
    }
    let wanted = |dir: &&Dir<'_>| dir.path() != Path::new(OPTIONAL);
    dir.dirs().filter(wanted).try_for_each(|dir| add_units(dir, base, tree))
}

fn beside_us() -> Result<PathBuf> {
    let exe =
        std::env::current_exe().context("can't find image-builder's own folder; say --guest-dir DIR")?;
    Ok(exe.parent().map(Path::to_owned).unwrap_or_default())
}
