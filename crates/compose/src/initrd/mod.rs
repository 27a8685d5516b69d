//! Composes the initrd from the OS tree itself: the same systemd, the same libraries, no other tool.
//!
//! [`contents`] lists what goes in; [`elf`] adds the libraries that takes, [`modules`] the kernel modules.
//! The result is a tree that PID 1 can run from: systemd in the initrd, systemd on the real root.

mod bridge;
mod contents;
mod elf;
mod modules;

use twinhull_tree::{Kind, Node, Tree};

use crate::{Error, Result};

pub use bridge::make as make_bridge;
pub use contents::Profile;

/// What determines an initrd besides the tree.
#[derive(Debug, Clone)]
pub struct Options {
    /// Kernel release whose modules go in.
    pub kernel: String,
    /// Which machines' drivers go in.
    pub profile: Profile,
    /// Kernel module of the file system that /usr has.
    pub filesystem: &'static str,
    /// Further kernel modules by name.
    pub extra_modules: Vec<String>,
}

/// Composes the initrd of the hermetic tree `os`.
///
/// Returns [`Error::Lacks`] for a missing program or unit, [`Error::Library`] for a missing library, and
/// [`Error::LibcTooOld`] when Twinhull's own programs don't run on the tree's C library.
pub fn make(os: &Tree, options: &Options) -> Result<Tree> {
    let mut initrd = Initrd { os, tree: Tree::new(), elf: elf::Resolver::new(os)? };
    for dir in ["dev", "proc", "run", "sys", "sysroot", "sysusr/usr", "tmp", "var/tmp", "etc", "root"] {
        initrd.tree.insert(dir, Node::directory())?;
    }
    for (name, node) in os.root().entries().into_iter().flatten() {
        if let Kind::Symlink(_) = node.kind {
            initrd.tree.insert(name, node.clone())?;
        }
    }
    for program in contents::PROGRAMS {
        initrd.program(program)?;
    }
    for (_, programs) in contents::PROGRAMS_FOR.iter().filter(|(file, _)| os.exists(file)) {
        programs.iter().try_for_each(|program| initrd.program(program))?;
    }
    for program in contents::OPTIONAL_PROGRAMS {
        if os.exists(program) {
            initrd.program(program)?;
        }
    }
    for library in initrd.elf.dlopen_libraries(contents::DLOPEN_FEATURES)? {
        initrd.copy(&library)?;
    }
    if os.exists(contents::ENCRYPTION) {
        initrd.encryption()?;
    }
    for path in contents::FILES {
        initrd.copy(path)?;
    }
    for path in contents::OPTIONAL_FILES {
        if os.exists(path) {
            initrd.copy(path)?;
        }
    }
    for unit in contents::UNITS {
        initrd.copy(&format!("{}/{unit}", contents::UNIT_DIR))?;
    }
    for (unit, dir) in contents::WANTS {
        let target = format!(
            "../{}",
            unit.split_once('@').map_or((*unit).to_owned(), |(a, b)| {
                format!("{a}@.{}", b.rsplit_once('.').map_or("service", |(_, suffix)| suffix))
            })
        );
        initrd.tree.insert(format!("{}/{dir}/{unit}", contents::UNIT_DIR), Node::symlink(target))?;
    }
    initrd.own_files()?;
    modules::add(os, &mut initrd.tree, options)?;
    initrd.tree.insert("init", Node::symlink("usr/lib/systemd/systemd"))?;
    initrd.tree.insert("etc/machine-id", Node::file(""))?;
    initrd.release()?;
    initrd.tree.insert("etc/initrd-release", Node::symlink("../usr/lib/os-release"))?;
    initrd.tree.insert("etc/hostname", Node::file("initrd\n"))?;
    initrd.tree.insert(
        "etc/nsswitch.conf",
        Node::file("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"),
    )?;
    initrd.users()?;
    // The loader then finds libraries where they were found here.
    for (name, node) in linker(os) {
        initrd.tree.insert(name, node)?;
    }
    let cache = twinhull_osdb::ld_cache(&initrd.tree)?;
    initrd.tree.insert("etc/ld.so.cache", Node::file(cache))?;
    if let Some(conf) = os.get("/usr/share/factory/etc/mke2fs.conf") {
        initrd.tree.insert("etc/mke2fs.conf", conf.clone())?;
    }
    Ok(initrd.tree)
}

/// Configuration of the dynamic linker.
fn linker(os: &Tree) -> Vec<(&'static str, Node)> {
    let names = ["etc/ld.so.conf", "etc/ld.so.conf.d"];
    let node = |name| Some((name, os.get(format!("/usr/share/factory/{name}"))?.clone()));
    names.into_iter().filter_map(node).collect()
}

struct Initrd<'a> {
    os: &'a Tree,
    tree: Tree,
    elf: elf::Resolver<'a>,
}

impl Initrd<'_> {
    /// Copies a program with every library it needs.
    fn program(&mut self, path: &str) -> Result<()> {
        self.copy(path)?;
        for library in self.elf.closure(path)? {
            self.copy(&library)?;
        }
        Ok(())
    }

    /// What says that /var is encrypted, and what systemd talks to a TPM with.
    fn encryption(&mut self) -> Result<()> {
        self.copy(contents::ENCRYPTION)?;
        for name in contents::TPM_LIBRARIES {
            let path = self.elf.library(name)?.ok_or_else(|| Error::Lacks {
                what: "library for the TPM, which `disk.encryption` needs",
                path: (*name).to_owned(),
                advice: "add the packages that have the libraries tss2-esys, tss2-mu, tss2-rc and tss2-tcti-device".into(),
            })?;
            self.program(&path)?;
        }
        Ok(())
    }

    /// Copies what is at `path`; of a symbolic link, the link and what it leads to.
    fn copy(&mut self, path: &str) -> Result<()> {
        let lacks = || {
            Error::Lacks {
            what: "file for the initrd",
            path: path.to_owned(),
            advice: "add the package that has it; docs/reference/base-packages.md lists the packages of a bootable tree".into(),
        }
        };
        let mut path = path.to_owned();
        // Resolving refuses loops, so this ends.
        self.os.resolve(&path)?.ok_or_else(lacks)?;
        loop {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let dir = self.os.resolve(dir)?.map(|(dir, _)| dir).unwrap_or_default();
            let at = format!("{dir}/{name}");
            let node = self.os.get(&at).ok_or_else(lacks)?;
            self.tree.insert(&at, node.clone())?;
            let Kind::Symlink(target) = &node.kind else { return Ok(()) };
            let target = String::from_utf8_lossy(target);
            path = if target.starts_with('/') { target.into_owned() } else { format!("{dir}/{target}") };
        }
    }

    /// Twinhull's programs and units that are meant for the initrd: /usr/lib/twinhull/initrd mirrors it.
    fn own_files(&mut self) -> Result<()> {
        let base = b"/usr/lib/twinhull/initrd";
        let files: Vec<(Vec<u8>, Node)> = self
            .os
            .walk_from(base)
            .filter(|(_, n)| n.entries().is_none())
            .map(|(p, n)| (p[base.len()..].to_vec(), n.clone()))
            .collect();
        for (path, node) in files {
            self.tree.insert([b"/usr/lib".as_slice(), &path].concat(), node)?;
        }
        for program in contents::OWN_PROGRAMS {
            self.program(program)?;
            self.elf.check_libc(program)?;
        }
        Ok(())
    }

    /// os-release without the image's version: two versions with the same programs in their initrds have the same initrd,
    /// so a machine can go from one to the other with the kernel that runs.
    fn release(&mut self) -> Result<()> {
        let text = self.os.read_text("/usr/lib/os-release")?;
        let kept: String =
            text.lines().filter(|l| !l.starts_with("IMAGE_VERSION=")).map(|l| format!("{l}\n")).collect();
        Ok(self.tree.insert("usr/lib/os-release", Node::file(kept))?)
    }

    /// Only the users and groups that udev rules and units of the initrd name.
    fn users(&mut self) -> Result<()> {
        for file in ["passwd", "group"] {
            let text = self.os.read_text(format!("/usr/share/factory/etc/{file}"))?;
            // Group members are of no use here.
            let kept: String = text
                .lines()
                .map(|l| l.split(':').collect::<Vec<_>>())
                .filter(|f| f.len() > 3 && (file == "group" || contents::USERS.contains(&f[0])))
                .map(|f| if file == "group" { format!("{}:x:{}:\n", f[0], f[2]) } else { f.join(":") + "\n" })
                .collect();
            self.tree.insert(format!("etc/{file}"), Node::file(kept))?;
        }
        Ok(())
    }
}
