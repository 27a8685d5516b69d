//! The modules that the installer's kernel needs: those that the running one has loaded, which found the disk with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Error;

/// Larger than any module.
const MODULE_MAX: u64 = 256 << 20;

/// What a machine that only writes its disk can do without. Cards that went on while the kernel changed are better left alone.
const LEFT: &[&str] =
    &["/kernel/fs/", "/kernel/net/", "/kernel/sound/", "/kernel/drivers/net/", "/kernel/drivers/media/"];

/// A module's file below the modules' folder, and the name it has in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) name: String,
}

/// Modules that are loaded, what each needs before it. `loaded` is /proc/modules, `dep` modules.dep. What is loaded and in no
/// file of the list was built elsewhere, and isn't taken along.
pub(super) fn ordered(loaded: &str, dep: &str) -> Vec<Module> {
    let files: BTreeMap<String, (&str, Vec<&str>)> = dep
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needs)| (name(path), (path, needs.split_ascii_whitespace().collect())))
        .collect();
    // The newest is the first line.
    let names = loaded.lines().rev().filter_map(|line| line.split(' ').next());
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for loaded in names {
        let Some((path, needs)) = files.get(loaded) else { continue };
        if LEFT.iter().any(|folder| format!("/{path}").contains(folder)) {
            continue;
        }
        // What is to be loaded first is last in the list.
        for path in needs.iter().rev().chain([path]) {
            let name = name(path);
            if seen.insert(name.clone()) {
                found.push(Module { path: (*path).to_owned(), name });
            }
        }
    }
    found
}

/// The name of the module in a file, as the kernel writes it.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// The modules of the kernel `release` that are loaded, in the order in which they can be loaded, as names and contents.
pub(super) fn read(root: &Path, release: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Modules(error.to_string());
    let dir = root.join("lib/modules").join(release);
    // A kernel without modules has no such file.
    let Ok(loaded) = fs_err::read_to_string(root.join("proc/modules")) else { return Ok(Vec::new()) };
    if loaded.is_empty() {
        return Ok(Vec::new());
    }
    let dep = fs_err::read_to_string(dir.join("modules.dep")).map_err(|e| failed(&e))?;
    let mut found = Vec::new();
    for module in ordered(&loaded, &dep) {
        let bytes = fs_err::read(dir.join(&module.path)).map_err(|e| failed(&e))?;
        let (_, plain) =
            twinhull_osdb::decompress_module(&module.path, &bytes, MODULE_MAX).map_err(|e| failed(&e))?;
        found.push((format!("{:04}-{}.ko", found.len(), module.name), plain));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz\n\
        kernel/drivers/virtio/virtio.ko.xz:\n\
        kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
        kernel/drivers/net/virtio_net.ko.xz: kernel/net/core/failover.ko.xz\n\
        kernel/net/core/failover.ko.xz:\n\
        kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz\n\
        kernel/lib/crc16.ko.xz:\n\
        kernel/drivers/nvme/host/nvme-core.ko.zst:\n";

    #[test]
    fn what_is_needed_comes_before_what_needs_it() {
        let names = |loaded: &str| ordered(loaded, DEP).into_iter().map(|m| m.name).collect::<Vec<_>>();
        let loaded = "ext4 1 1 - Live 0x0\nvirtio_net 1 0 - Live 0x0\nnvidia 1 0 - Live 0x0 (POE)\nvirtio_blk 1 2 - Live 0x0\n";
        assert_eq!(names(loaded), ["virtio", "virtio_ring", "virtio_blk"]);
        assert_eq!(names("virtio 1 1 virtio_blk, Live\nnvme_core 1 0 - Live 0x0\n"), ["nvme_core", "virtio"]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(ordered("nvme_core 1", DEP)[0].path, "kernel/drivers/nvme/host/nvme-core.ko.zst");
    }

    #[test]
    fn they_are_unpacked() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        };
        assert!(read(root.path(), "6.1").unwrap().is_empty());
        put("proc/modules", b"b_c 1 0 - Live 0x0\n");
        assert!(read(root.path(), "6.1").unwrap_err().to_string().contains("modules.dep"));
        put("lib/modules/6.1/modules.dep", b"kernel/b-c.ko.zst: kernel/a.ko\nkernel/a.ko:\n");
        put("lib/modules/6.1/kernel/b-c.ko.zst", &zstd::encode_all(&b"module"[..], 1).unwrap());
        put("lib/modules/6.1/kernel/a.ko", b"needed");
        let found = read(root.path(), "6.1").unwrap();
        assert_eq!(
            found,
            [("0000-a.ko".into(), b"needed".to_vec()), ("0001-b_c.ko".into(), b"module".to_vec())]
        );
    }
}
