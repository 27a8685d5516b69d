//! Finds the one kernel of a tree and takes it out: it goes into the UKI, not into /usr.

use twinhull_tree::{Content, Tree};

use crate::{Error, Result};

/// A kernel and the directory of its modules.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Release, as `uname -r` prints it.
    pub version: String,
    /// The bootable image.
    pub image: Content,
    /// When that was made, seconds since 1970.
    pub time: i64,
}

/// Takes the kernel `wanted`, or the only one, out of `tree`.
///
/// Returns [`Error::Lacks`] without a kernel or its modules, [`Error::SeveralKernels`] when there is a choice.
pub(super) fn take(tree: &mut Tree, wanted: Option<&str>) -> Result<Kernel> {
    let mut found: Vec<(String, String)> = Vec::new();
    for name in tree.list("/boot") {
        let Ok(name) = String::from_utf8(name) else { continue };
        if let Some(version) = name.strip_prefix("vmlinuz-").or_else(|| name.strip_prefix("vmlinux-")) {
            found.push((version.to_owned(), format!("/boot/{name}")));
        }
    }
    for name in tree.list("/usr/lib/modules") {
        let Ok(version) = String::from_utf8(name) else { continue };
        let path = format!("/usr/lib/modules/{version}/vmlinuz");
        if tree.exists(&path) && !found.iter().any(|(v, _)| *v == version) {
            found.push((version, path));
        }
    }
    if let Some(wanted) = wanted {
        found.retain(|(version, _)| version == wanted);
    }
    let (version, path) = match found.as_slice() {
        [one] => one.clone(),
        [] => {
            return Err(Error::Lacks {
                what: "kernel",
                path: match wanted {
                    Some(version) => format!("/boot/vmlinuz-{version} or /usr/lib/modules/{version}/vmlinuz"),
                    None => "/boot/vmlinuz-VERSION or /usr/lib/modules/VERSION/vmlinuz".into(),
                },
                advice: "add a kernel package, on Debian linux-image-cloud-amd64".into(),
            });
        }
        several => {
            let versions = several.iter().map(|(version, _)| version.clone()).collect();
            return Err(Error::SeveralKernels { versions });
        }
    };
    let modules = format!("/usr/lib/modules/{version}");
    if !tree.exists(&modules) {
        return Err(Error::Lacks {
            what: "kernel modules",
            path: modules,
            advice: format!("the kernel {path} needs the modules of its own package"),
        });
    }
    let image = tree.read(&path)?.into();
    let time = tree.resolve(&path)?.map_or(0, |(_, node)| node.meta.mtime.secs);
    tree.remove(&path);
    // Links to a source tree that isn't there.
    for link in ["build", "source"] {
        tree.remove(format!("{modules}/{link}"));
    }
    Ok(Kernel { version, image, time })
}
