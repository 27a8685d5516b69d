//! The initrd of the bridge, which starts a disk on machines with a BIOS: one program, and drivers of disks.

use twinhull_tree::{Kind, Node, Tree};

use super::{Initrd, Options, contents, elf, modules};
use crate::Result;

/// The program, which is `/init`.
const PROGRAM: &str = "/usr/lib/twinhull/twinhull-bridge";

/// Composes the bridge's initrd from the hermetic tree `os`. Of the options, the file system of /usr doesn't matter.
///
/// Returns [`crate::Error::Lacks`] without the program, [`crate::Error::Library`] for a missing library, and
/// [`crate::Error::LibcTooOld`] when the program doesn't run on the tree's C library.
pub fn make(os: &Tree, options: &Options) -> Result<Tree> {
    let mut initrd = Initrd { os, tree: Tree::new(), elf: elf::Resolver::new(os)? };
    for dir in ["dev", "proc", "sys", "esp"] {
        initrd.tree.insert(dir, Node::directory())?;
    }
    for (name, node) in os.root().entries().into_iter().flatten() {
        if let Kind::Symlink(_) = node.kind {
            initrd.tree.insert(name, node.clone())?;
        }
    }
    initrd.program(PROGRAM)?;
    initrd.elf.check_libc(PROGRAM)?;
    initrd.tree.insert("init", Node::symlink(&PROGRAM[1..]))?;
    let mut names: Vec<String> = contents::BRIDGE_MODULES.iter().map(|name| (*name).to_owned()).collect();
    names.extend(options.extra_modules.iter().cloned());
    modules::copy(os, &mut initrd.tree, &options.kernel, names, options.profile.disk_drivers())?;
    for (name, node) in super::linker(os) {
        initrd.tree.insert(name, node)?;
    }
    let cache = twinhull_osdb::ld_cache(&initrd.tree)?;
    initrd.tree.insert("etc/ld.so.cache", Node::file(cache))?;
    Ok(initrd.tree)
}
