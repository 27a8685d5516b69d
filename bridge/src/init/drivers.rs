//! Loads the kernel modules that the machine's devices ask for, by the lists that depmod writes (modules.dep(5)).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::Result;

/// Modules that no device asks for.
const ALWAYS: &[&str] = &["vfat", "nls_cp437", "nls_ascii", "sd_mod"];

/// The modules of the initrd, and which of them are loaded.
#[derive(Debug, Default)]
pub(super) struct Drivers {
    root: PathBuf,
    /// By name: the file, and the names of all it needs, the ones to load last first.
    modules: HashMap<String, (PathBuf, Vec<String>)>,
    /// Pattern and name.
    aliases: Vec<(String, String)>,
    loaded: HashSet<String>,
    /// Devices that have been looked at.
    seen: HashSet<String>,
}

impl Drivers {
    /// Reads the lists of the only kernel below `root`.
    ///
    /// # Errors
    /// When a list is there and can't be read.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut drivers = Drivers { root: root.to_owned(), ..Drivers::default() };
        for kernel in fs_err::read_dir(root.join("usr/lib/modules"))? {
            let dir = kernel?.path();
            for line in fs_err::read_to_string(dir.join("modules.dep"))?.lines() {
                let Some((path, needs)) = line.split_once(':') else { continue };
                let needs = needs.split_ascii_whitespace().map(name).collect();
                drivers.modules.insert(name(path), (dir.join(path), needs));
            }
            for line in fs_err::read_to_string(dir.join("modules.alias"))?.lines() {
                if let Some((pattern, module)) =
                    line.strip_prefix("alias ").and_then(|rest| rest.rsplit_once(' '))
                {
                    drivers.aliases.push((pattern.to_owned(), name(module)));
                }
            }
        }
        Ok(drivers)
    }

    /// Loads what devices ask for that are new, and what is needed whatever there is.
    pub(super) fn load(&mut self) {
        for module in self.wanted() {
            let needs = self.modules.get(&module).map(|(_, needs)| needs.clone()).unwrap_or_default();
            for each in needs.iter().rev().chain([&module]) {
                if self.loaded.insert(each.clone())
                    && let Some((path, _)) = self.modules.get(each)
                {
                    // Built in, or for a device that another driver has: the disk shows up or it doesn't.
                    let _ = insert(path);
                }
            }
        }
    }

    /// Names of modules that should be loaded and aren't.
    fn wanted(&mut self) -> Vec<String> {
        let mut wanted: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
        for alias in self.device_aliases() {
            if self.seen.insert(alias.clone()) {
                let fits = self
                    .aliases
                    .iter()
                    .filter(|(pattern, _)| twinhull_osdb::matches(pattern.as_bytes(), alias.as_bytes()));
                wanted.extend(fits.map(|(_, module)| module.clone()));
            }
        }
        wanted.retain(|module| !self.loaded.contains(module));
        wanted
    }

    /// What devices say of themselves.
    fn device_aliases(&self) -> Vec<String> {
        let list = |path: PathBuf| {
            let entries = fs_err::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let mut aliases: Vec<String> = list(self.root.join("sys/bus"))
            .into_iter()
            .flat_map(|bus| list(bus.join("devices")))
            .filter_map(|device| fs_err::read_to_string(device.join("modalias")).ok())
            .map(|alias| alias.trim_end().to_owned())
            .filter(|alias| !alias.is_empty())
            .collect();
        aliases.sort();
        aliases.dedup();
        aliases
    }
}

/// The name of the module in a file, as the kernel writes it.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

fn insert(path: &Path) -> std::io::Result<()> {
    let file = fs_err::File::open(path)?;
    Ok(rustix::system::finit_module(file.file(), c"", 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_choose_modules() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write(
            "usr/lib/modules/6.1/modules.dep",
            "kernel/virtio_blk.ko: kernel/virtio.ko\nkernel/virtio.ko:\nkernel/nvme-core.ko:\nkernel/vfat.ko: kernel/fat.ko\n",
        );
        write(
            "usr/lib/modules/6.1/modules.alias",
            "# comment\nalias virtio:d00000002v* virtio_blk\nalias pci:v*d*sv*sd*bc01sc08i02* nvme_core\n",
        );
        write("sys/bus/virtio/devices/virtio0/modalias", "virtio:d00000002v00001AF4\n");
        write("sys/bus/pci/devices/0000:00:01.0/modalias", "pci:v00008086d00007000sv0sd0bc06sc01i00\n");
        let mut drivers = Drivers::read(root.path()).unwrap();
        let wanted = |drivers: &mut Drivers| {
            drivers.wanted().into_iter().filter(|name| !ALWAYS.contains(&name.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(wanted(&mut drivers), ["virtio_blk"]);
        assert_eq!(drivers.modules["virtio_blk"].1, ["virtio"]);
        assert!(wanted(&mut drivers).is_empty(), "each device is looked at once");
        write("sys/bus/pci/devices/0000:00:02.0/modalias", "pci:v00001b36d00000010sv0sd0bc01sc08i02\n");
        assert_eq!(wanted(&mut drivers), ["nvme_core"], "{drivers:?}");
        assert!(drivers.modules.contains_key("nvme_core"));
    }
}
