//! Turns an OS tree into one read-only /usr that can fill every other directory by itself.
//!
//! Order matters: leftovers go first, then users and databases are settled, then what is of no use goes, then /etc, /var, /opt, /srv
//! and /root become factory content with the tmpfiles fragments that put it back.

mod databases;
mod factory;
mod kernel;
mod leftovers;
pub mod minimize;
mod presets;
mod tmpfiles;

use twinhull_sysutil::store::Store;
use twinhull_tree::{Kind, Node, Timestamp, Tree};

use crate::userdb::{self, Numbers};
use crate::{Error, Result};

pub use kernel::Kernel;

/// What determines a hermetic /usr besides the tree.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Image name, `IMAGE_ID` of os-release.
    pub id: String,
    /// Image version, `IMAGE_VERSION` of os-release.
    pub version: String,
    /// Kernel version to take, when the tree has several.
    pub kernel: Option<String>,
    /// Host name where no cloud gives one.
    pub hostname: Option<String>,
    /// Units to enable besides the base system's.
    pub enable: Vec<String>,
    /// Files that go below /usr as they are: Twinhull's units and programs, and the spec's files.
    pub overlay: Tree,
    /// Files of services, in /usr and /etc.
    pub files: Tree,
    /// Latest modification time; later ones are set to this. Without it the newest under /usr counts.
    pub epoch: Option<i64>,
    /// What is taken out to make the image small.
    pub minimize: minimize::Options,
    /// Numbers that users and groups had in earlier versions.
    pub numbers: Numbers,
}

/// A hermetic /usr and what was learned while making it.
#[derive(Debug)]
pub struct Hermetic {
    /// The tree, with everything in /usr and the top-level links (`/bin`, `/lib`) beside it.
    pub tree: Tree,
    /// The kernel that was in it.
    pub kernel: Kernel,
    /// Machine-specific leftovers that were removed, as paths.
    pub removed: Vec<String>,
    /// What was taken out to make the image small.
    pub minimized: Vec<minimize::Removed>,
    /// Units that the image starts by itself, as (target, unit).
    pub enabled: Vec<(String, String)>,
    /// Numbers that users and groups were given, and those they had.
    pub numbers: Numbers,
    /// os-release with image id and version.
    pub os_release: String,
    /// Time every file is at most as new as, seconds since 1970.
    pub epoch: i64,
}

/// Makes `tree` hermetic; what takes long is kept in `store`.
///
/// Returns [`Error::Layout`] for a tree that isn't merged-/usr or has devices or sockets in /usr, and
/// [`Error::Lacks`] when kernel, systemd or os-release are missing.
pub fn make(mut tree: Tree, options: &Options, store: Option<&dyn Store>) -> Result<Hermetic> {
    check_layout(&tree)?;
    let kernel = kernel::take(&mut tree, options.kernel.as_deref())?;
    let removed = leftovers::remove(&mut tree);
    let epoch = options.epoch.unwrap_or_else(|| newest(&tree));
    let overlay: Vec<_> = options.overlay.walk().filter(|(_, n)| n.entries().is_none()).collect();
    for (path, node) in overlay {
        tree.insert([b"/usr".as_slice(), &path].concat(), node.clone())?;
    }
    for (path, node) in options.files.walk().filter(|(_, n)| n.entries().is_none()) {
        tree.insert(path, node.clone())?;
    }
    let os_release = os_release(&mut tree, options)?;
    let numbers = userdb::complete(&mut tree, &options.numbers)?;
    databases::make(&mut tree, &kernel.version, store)?;
    let minimized = minimize::apply(&mut tree, &kernel.version, &options.minimize)?;
    let enabled = presets::apply(&mut tree, &options.enable)?;
    factory::make(&mut tree, options)?;
    tree.for_each_mut(|_, node| {
        // What the builder made has no time of its own yet.
        if node.meta.mtime.secs >= epoch || node.meta.mtime == Timestamp::default() {
            node.meta.mtime = Timestamp { secs: epoch, nanos: 0 };
        }
    });
    Ok(Hermetic { tree, kernel, removed, minimized, enabled, numbers, os_release, epoch })
}

/// Takes out what only an initrd needs, once the initrd is made: its folder of units, and the distribution's
/// units that PID 1 of the real root would read and never start.
pub fn drop_initrd_parts(tree: &mut Tree) {
    tree.remove("/usr/lib/twinhull/initrd");
    let units = b"/usr/lib/systemd/system".as_slice();
    for name in tree.list(units) {
        // The switch itself is still being stopped when the real root's PID 1 begins.
        if name.starts_with(b"initrd") && !name.starts_with(b"initrd-switch-root.") {
            tree.remove([units, b"/", &name].concat());
        }
    }
}

/// The /usr of a hermetic tree as a tree of its own: the root of the EROFS image.
pub fn usr(tree: &Tree) -> Result<Tree> {
    let mut usr = Tree::new();
    let node = tree.get("/usr").cloned().unwrap_or_else(Node::directory);
    usr.insert("/", node)?;
    Ok(usr)
}

fn check_layout(tree: &Tree) -> Result<()> {
    for name in ["bin", "sbin", "lib"] {
        match tree.get(name).map(|n| &n.kind) {
            None | Some(Kind::Symlink(_)) => {}
            Some(_) => {
                return Err(Error::Layout {
                    path: format!("/{name}"),
                    problem: "is a directory of its own".into(),
                    advice: "a hermetic /usr needs a merged-/usr tree, where it is a link to usr/".to_owned()
                        + name,
                });
            }
        }
    }
    if tree.get("/usr").is_none_or(|usr| usr.entries().is_none()) {
        return Err(Error::Lacks {
            what: "directory /usr",
            path: "/usr".into(),
            advice: "is this a tree of a whole OS, with the tree's root at the archive's root?".into(),
        });
    }
    for (path, node) in tree.walk_from("/usr") {
        if let Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Socket | Kind::Fifo = node.kind {
            return Err(Error::Layout {
                path: String::from_utf8_lossy(&path).into_owned(),
                problem: format!("is {}", node.kind.describe()),
                advice: "/usr is shared by all machines and must hold only files, directories and links; remove it \
                         from the tree"
                    .into(),
            });
        }
    }
    for (what, path) in [("systemd", "/usr/lib/systemd/systemd"), ("os-release file", "/usr/lib/os-release")]
    {
        if !tree.exists(path) {
            return Err(Error::Lacks {
                what,
                path: path.into(),
                advice: "add the package that has it to the tree".into(),
            });
        }
    }
    Ok(())
}

/// The newest modification time below /usr, seconds since 1970.
fn newest(tree: &Tree) -> i64 {
    tree.walk_from("/usr").map(|(_, n)| n.meta.mtime.secs).max().unwrap_or(0).max(0)
}

/// Adds `IMAGE_ID` and `IMAGE_VERSION` and returns the whole text.
fn os_release(tree: &mut Tree, options: &Options) -> Result<String> {
    let old = tree.read_text("/usr/lib/os-release")?;
    let mut text: String = old
        .lines()
        .filter(|l| !l.starts_with("IMAGE_ID=") && !l.starts_with("IMAGE_VERSION="))
        .flat_map(|l| [l, "\n"])
        .collect();
    text.push_str(&format!("IMAGE_ID={}\nIMAGE_VERSION={}\n", options.id, options.version));
    tree.insert("/usr/lib/os-release", Node::file(text.clone()))?;
    Ok(text)
}
