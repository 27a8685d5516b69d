//! From an OS tree to a disk image, its manifest and its bill of materials, in the order in which each step needs the one before.

mod bios;
mod disk;
mod esp;
pub(crate) mod initrd;
mod manifest;
mod partitions;
mod services;
mod signing;
mod sizes;
mod updates;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use twinhull_compose::{Numbers, hermetic};
use twinhull_disk::types::Arch;
use twinhull_fsimg::{Format, erofs};
use twinhull_secureboot::Pin;
use twinhull_spec::{Emergency, Filesystem, Profile, Provisioning, Spec};
use twinhull_sysutil::{digest, size};
use twinhull_tree::Tree;
use uuid::Uuid;

use crate::kept::Kept;
use crate::progress::Progress;
use crate::source::{Hashing, Opened};
use crate::{guest, packages, sbom};

pub use manifest::Manifest;

/// Compression where the spec doesn't say.
const DEFAULT_COMPRESSION: &str = "lz4hc:9";

/// Largest cluster of compressed data in bytes, where the spec doesn't say.
const DEFAULT_CLUSTER: u64 = 64 << 10;

/// What a build needs besides spec and tree.
#[derive(Debug)]
pub struct Options<'a> {
    /// Output folder.
    pub out: &'a Path,
    /// Folder with the guest's programs.
    pub guest_dir: Option<&'a Path>,
    /// `SOURCE_DATE_EPOCH`, which wins over the spec.
    pub epoch: Option<i64>,
    /// The spec as written, for the manifest's digest.
    pub spec_text: &'a str,
    /// Results of earlier builds.
    pub kept: &'a Kept,
    /// Folder that the spec's paths start from.
    pub base: &'a Path,
    /// Passphrase or PIN of the signing key.
    pub pin: Option<Pin>,
    /// Numbers that users and groups had in earlier versions.
    pub numbers: &'a Numbers,
}

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// The disk image.
    pub image: PathBuf,
    /// Its description, which also lies beside it.
    pub manifest: Manifest,
    /// Numbers that users and groups were given, and those they had.
    pub numbers: Numbers,
}

/// The architecture a spec asks for.
pub fn arch(spec: &Spec) -> Result<Arch> {
    match spec.image.arch.as_str() {
        "x86-64" => Ok(Arch::X86_64),
        "arm64" => Ok(Arch::Arm64),
        other => bail!("image.arch is {other:?}; x86-64 and arm64 are known"),
    }
}

/// Builds the image of `spec` from `opened`. On failure nothing is left in the output folder.
///
/// Returns [`source::Damaged`](crate::source::Damaged) when the tree's archive turns out not to be what it
/// should be.
pub fn build(spec: &Spec, opened: Opened, options: &Options<'_>, progress: &Progress) -> Result<Built> {
    let Opened { tree, mut origin, digest } = opened;
    let written = write(spec, tree, options, progress);
    // What went wrong with a damaged tree doesn't matter.
    origin.sha256 = digest.map(Hashing::finish).transpose()?;
    let Unfinished { written, mut manifest, bill, numbers } = written?;
    manifest.set_origin(origin);
    let name = format!("{}_{}", spec.image.id, spec.image.version);
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    written.commit()?;
    for (ending, text) in [("spdx.json", bill), ("manifest.json", text)] {
        let path = options.out.join(format!("{name}.{ending}"));
        twinhull_sysutil::atomic::replace_without_sync(&path, text.as_bytes(), 0o644)?;
    }
    Ok(Built { image: options.out.join(format!("{name}.raw")), manifest, numbers })
}

/// An image that is written but not in its place.
struct Unfinished {
    written: disk::Written,
    manifest: Manifest,
    /// The bill of materials.
    bill: String,
    numbers: Numbers,
}

/// Writes the image beside its place.
fn write(spec: &Spec, tree: Tree, options: &Options<'_>, progress: &Progress) -> Result<Unfinished> {
    let arch = arch(spec)?;
    // A key that doesn't work is better known before the work than after it.
    let signing = signing::Signing::load(spec, options)?;
    let installed = packages::installed(&tree);
    // From the whole tree: an image that was made small has no copyright files any more.
    let components = sbom::read_components(&tree)?.unwrap_or_default();
    let mut guest = guest::load(options.guest_dir, spec.updates.is_some())?;
    updates::add(spec, options.base, &tree, &mut guest.overlay)?;
    partitions::add(spec, &mut guest.overlay)?;
    let files = services::files(&spec.services, options.base, &tree, &guest.overlay)?;
    let programs = guest.digests;

    let step = progress.step("Making /usr hermetic");
    let mut hermetic = hermetic::make(
        tree,
        &hermetic::Options {
            id: spec.image.id.clone(),
            version: spec.image.version.clone(),
            kernel: spec.image.kernel.clone(),
            hostname: Some(spec.system.hostname.clone().unwrap_or_else(|| spec.image.id.clone())),
            enable: spec.system.enable.clone(),
            overlay: guest.overlay,
            files,
            epoch: options.epoch.or(spec.image.timestamp),
            minimize: minimize(spec),
            numbers: options.numbers.clone(),
        },
        options.kept.store(),
    )?;
    hermetic.enabled.extend(services::wanted(&spec.services));
    hermetic.enabled.sort();
    let kernel = hermetic.kernel.image.read()?;
    let mut loader = esp::Loader::find(&hermetic.tree, arch, &kernel)?;
    let mut signature = 0;
    if let Some(signing) = &signing {
        loader.secure(signing)?;
        signature = signing.signed_len("EFI stub", &loader.stub)? - loader.stub.len() as u64;
    }
    let unused: u64 = hermetic.minimized.iter().map(|r| r.bytes).sum();
    step.done(&format!(
        "kernel {}, {} leftovers and {} of unused files removed",
        hermetic.kernel.version,
        hermetic.removed.len(),
        size::human(unused)
    ));

    let step = progress.step("Composing the initrd");
    let initrd = initrd::compose(spec, &hermetic, options.kept)?;
    step.done(&size::human(initrd.len() as u64));

    let seed = Uuid::new_v8(digest_prefix(&format!("{}_{}", spec.image.id, spec.image.version)));
    let bios = bios::Bios::make(spec, &mut hermetic, &kernel, &cmdline(spec), seed, options.kept)?;
    hermetic::drop_initrd_parts(&mut hermetic.tree);
    let usr = hermetic::usr(&hermetic.tree)?;
    let uki = esp::Uki {
        stub: &loader.stub,
        kernel: &kernel,
        initrd: &initrd,
        uname: &hermetic.kernel.version,
        os_release: &hermetic.os_release,
        cmdline: cmdline(spec),
    };
    let esp = sizes::esp(spec, uki.estimate() + signature, &loader, bios.as_ref())?;
    let plan = disk::Plan {
        spec,
        arch,
        seed,
        epoch: hermetic.epoch,
        esp,
        usr: &usr,
        format: format(spec),
        compression: compression(spec, &hermetic.kernel.version)?,
        kept: options.kept,
        uki,
        loader: &loader,
        bios: bios.as_ref(),
        signing: signing.as_ref(),
    };

    fs_err::create_dir_all(options.out)?;
    let name = format!("{}_{}", spec.image.id, spec.image.version);
    let path = options.out.join(format!("{name}.raw"));
    let written =
        disk::write(&plan, &path, progress).with_context(|| format!("{} was not written", path.display()))?;

    let manifest = manifest::Manifest::new(&manifest::Facts {
        spec,
        spec_text: options.spec_text,
        plan: &plan,
        written: &written,
        installed,
        hermetic: &hermetic,
        initrd: &initrd,
        programs: programs.clone(),
    });
    let bill = sbom::text(&sbom::Facts {
        id: spec.image.id.clone(),
        version: spec.image.version.clone(),
        epoch: hermetic.epoch,
        file: Some(format!("{name}.raw")),
        root_hash: Some(digest::hex(&written.root_hash)),
        uki_sha256: Some(written.uki_sha256.clone()),
        os_release: hermetic.os_release.clone(),
        programs: programs.into_iter().map(|(name, sha256)| (name.to_owned(), sha256)).collect(),
        programs_version: Some(env!("CARGO_PKG_VERSION").into()),
        components,
    })?;
    Ok(Unfinished { written, manifest, bill, numbers: hermetic.numbers })
}

/// What is taken out of the tree: everything that can be, unless the spec keeps it. Real machines may need any driver.
fn minimize(spec: &Spec) -> hermetic::minimize::Options {
    let real = spec.boot.profile == Profile::BareMetal;
    let unused = hermetic::minimize::Item::ALL.into_iter().filter(|item| !(real && item.is_hardware()));
    hermetic::minimize::Options {
        items: unused.filter(|item| !spec.system.keep.iter().any(|kept| kept == item.name())).collect(),
        modules: spec.boot.modules.clone(),
    }
}

/// The file system of /usr.
fn format(spec: &Spec) -> Format {
    match spec.disk.filesystem {
        Filesystem::Erofs => Format::Erofs,
        Filesystem::Ext4 => Format::Ext4,
    }
}

/// How /usr is compressed, if it is.
///
/// Returns an error when the tree's `kernel` release can't read it.
fn compression(spec: &Spec, kernel: &str) -> Result<Option<erofs::Compression>> {
    let wanted = spec.disk.compression.as_deref().unwrap_or(DEFAULT_COMPRESSION);
    if wanted == "none" || format(spec) == Format::Ext4 {
        return Ok(None);
    }
    let algorithm: erofs::Algorithm =
        wanted.parse().map_err(anyhow::Error::msg).context("disk.compression")?;
    let (major, minor) = algorithm.first_kernel();
    let mut numbers = kernel.split(['.', '-', '+']).map_while(|n| n.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < (major, minor) {
        bail!(
            "disk.compression is {algorithm}, which kernels from {major}.{minor} on read, but the tree's kernel is {kernel}; \
             choose lz4hc, or a tree with a newer kernel"
        );
    }
    let cluster = spec.disk.cluster.as_deref().map(|text| size::parse(text).map_err(anyhow::Error::msg));
    let cluster = cluster.transpose().context("disk.cluster")?.unwrap_or(DEFAULT_CLUSTER);
    Ok(Some(erofs::Compression { algorithm, cluster: u32::try_from(cluster)? }))
}

/// The kernel command line without the root hash.
fn cmdline(spec: &Spec) -> Vec<String> {
    // Named, the file system isn't probed.
    let filesystem = format!("mount.usrfstype={}", format(spec).name());
    let mut words: Vec<String> = [
        "root=tmpfs",
        "rootflags=mode=0755",
        // Loop devices are made when somebody asks for one; the kernel would begin with eight for udev to look at.
        "loop.max_loop=0",
        &filesystem,
        "console=tty0",
        "console=ttyS0,115200",
        "quiet",
        "systemd.show_status=auto",
        "systemd.gpt_auto=no",
        "rd.systemd.gpt_auto=no",
        "panic=30",
        "systemd.crash_action=reboot",
        // Without tomoyo, IMA and BPF, whose hooks run on every open and exec and whose programs PID 1 would
        // compile on every boot. What comes later on the line wins.
        "lsm=landlock,lockdown,yama,apparmor",
    ]
    .map(str::to_owned)
    .to_vec();
    if spec.boot.emergency == Emergency::Shell {
        words.push("twinhull.emergency=shell".into());
    }
    match spec.boot.provisioning {
        Provisioning::Optional => {}
        Provisioning::Required => words.push("twinhull.provision=required".into()),
        Provisioning::Strict => words.push("twinhull.provision=strict".into()),
    }
    words.extend(spec.boot.cmdline.iter().cloned());
    words
}

fn digest_prefix(text: &str) -> [u8; 16] {
    let hex = digest::sha256_hex(text.as_bytes());
    std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_what_becomes_of_a_boot_that_isnt_provisioned() {
        for (boot, want) in [
            ("{}", None),
            ("{provisioning: optional}", None),
            ("{provisioning: required}", Some("twinhull.provision=required")),
            ("{provisioning: strict, cmdline: [x]}", Some("twinhull.provision=strict")),
        ] {
            let text = format!("image: {{id: x, version: 1}}\ntree: {{dir: .}}\nboot: {boot}\n");
            let words = cmdline(&twinhull_spec::from_str(&text).unwrap());
            let found = words.iter().find(|word| word.starts_with("twinhull.provision"));
            assert_eq!(found.map(String::as_str), want, "{boot}");
        }
    }

    #[test]
    fn every_item_can_be_kept() {
        let items = |keep: &str, profile: &str| {
            let text = format!(
                "image: {{id: x, version: 1}}\ntree: {{dir: .}}\nboot: {{profile: {profile}}}\nsystem: {{keep: [{keep}]}}\n"
            );
            minimize(&twinhull_spec::from_str(&text).unwrap()).items
        };
        let all = hermetic::minimize::Item::ALL;
        assert_eq!(items("", "cloud").len(), all.len());
        assert!(items("", "bare-metal").iter().all(|item| !item.is_hardware()));
        for item in all {
            let taken = items(item.name(), "virtio");
            assert!(taken.len() == all.len() - 1 && !taken.contains(&item), "{item:?}");
        }
    }

    #[test]
    fn a_kernel_that_is_too_old_is_named() {
        let spec = |compression: &str| -> Spec {
            let value = serde_json::json!({
                "image": { "id": "x", "version": "1" },
                "tree": { "tar": "x.tar" },
                "disk": { "compression": compression },
            });
            serde_json::from_value(value).unwrap()
        };
        for (wanted, kernel, works) in [
            ("none", "4.19.0", true),
            ("lz4", "5.15.0-1-amd64", true),
            ("lz4hc:9", "5.10.0-30-cloud-amd64", false),
            ("zstd:3", "6.10-rc1", true),
            ("zstd:3", "6.9.12+deb13-amd64", false),
            ("zstd:3", "6.12.118+deb13-cloud-amd64", true),
            ("zstd:3", "7.0.1", true),
        ] {
            let result = compression(&spec(wanted), kernel);
            assert_eq!(result.is_ok(), works, "{wanted} {kernel}");
            if let Err(error) = result {
                assert!(error.to_string().contains(kernel), "{error}");
            }
        }
    }
}
