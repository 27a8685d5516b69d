//! The second peer of `bench build`: mkosi's whole run with everything it keeps, on the same packages.
//!
//! It runs as root in a tree of its own. The first run fetches packages and fills its caches; the runs that are
//! measured may not use the network and find the installed tree and the initrd ready made.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use twinhull_sysutil::command::Cmd;

use super::peer;

/// What mkosi runs and what it puts together disks with.
const TOOLS: &[&str] = &[
    "mkosi",
    "apt",
    "bubblewrap",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "libcryptsetup12",
    "libfdisk1",
    "mtools",
    "systemd-boot-efi",
    "systemd-container",
    "systemd-repart",
    "systemd-ukify",
    "uidmap",
    "xz-utils",
    "zstd",
];

/// What is in our default image, as far as mkosi has to be told.
const PACKAGES: &[&str] = &[
    "dbus",
    "linux-image-cloud-amd64",
    "openssh-server",
    "systemd",
    "systemd-boot",
    "systemd-boot-efi",
    "systemd-cryptsetup",
    "systemd-repart",
    "systemd-sysv",
    "udev",
];

/// mkosi in its tree, ready to build.
pub(super) struct Mkosi {
    tree: PathBuf,
}

impl Mkosi {
    /// Makes the tree, once, and lets mkosi fill its caches. `definitions` is a folder of systemd-repart's.
    pub(super) fn prepare(definitions: &Path) -> Result<Self> {
        let tree = peer::tree("mkosi", TOOLS, "true")?;
        let work = tree.join("bench");
        fs_err::create_dir_all(work.join("mkosi.repart"))?;
        for entry in fs_err::read_dir(definitions)? {
            let entry = entry?;
            let text = fs_err::read_to_string(entry.path())?;
            // Where mkosi has what belongs on the ESP.
            let text = text.replace("CopyFiles=/esp:/", "CopyFiles=/boot:/\nCopyFiles=/efi:/");
            fs_err::write(work.join("mkosi.repart").join(entry.file_name()), text)?;
        }
        for dir in ["mkosi-image", "mkosi-packages"] {
            fs_err::create_dir_all(tree.join("var/cache").join(dir))?;
        }
        fs_err::copy("/etc/resolv.conf", tree.join("etc/resolv.conf"))?;
        // Without it mkosi also asks for archives that not every mirror has.
        let sources = fs_err::read_to_string(tree.join("etc/apt/sources.list"))?;
        let mirror = sources.split_whitespace().find(|word| word.contains(":/"));
        let mirror = mirror.context("the tree of mkosi has no mirror")?;
        fs_err::write(
            work.join("mkosi.conf"),
            format!(
                "[Distribution]\nDistribution=debian\nRelease=trixie\nLocalMirror={mirror}\n\
                 [Output]\nFormat=disk\nImageId=hello\nImageVersion=1.0.0\nOutputDirectory=/bench/out\n\
                 [Content]\nBootable=yes\nBootloader=systemd-boot\nUnifiedKernelImages=yes\nPackages={}\n\
                 [Build]\nBuildSources=\nIncremental=yes\nCacheDirectory=/var/cache/mkosi-image\n\
                 PackageCacheDirectory=/var/cache/mkosi-packages\nWorkspaceDirectory=/var/tmp\n",
                PACKAGES.join(",")
            ),
        )?;
        let mkosi = Mkosi { tree };
        eprintln!("==> mkosi fills its caches");
        let argv = mkosi.argv("auto");
        Cmd::new(&argv[0]).args(&argv[1..]).output()?;
        Ok(mkosi)
    }

    /// The command for a whole run; `cache_only` is what mkosi calls where it may use the network.
    pub(super) fn argv(&self, cache_only: &str) -> Vec<String> {
        // mkosi changes its root, which has to be a mount.
        let script = "mount --bind \"$0\" \"$0\" && cd \"$0\" && mount -t proc proc proc && mount -t sysfs sys sys && \
                      mount -t devtmpfs dev dev && mount -t tmpfs run run && \
                      exec chroot . mkosi --directory=/bench --force --cache-only=\"$1\" build";
        let mut argv =
            ["unshare", "--mount", "--propagation=private", "sh", "-c", script].map(str::to_owned).to_vec();
        argv.extend([self.tree.display().to_string(), cache_only.to_owned()]);
        argv
    }
}
