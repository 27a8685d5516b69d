//! The manifest: what went into an image and what came out, as JSON beside it.

use std::collections::BTreeMap;

use serde::Serialize;
use twinhull_compose::hermetic::Hermetic;
use twinhull_disk::{Sizes, table};
use twinhull_spec::Spec;
use twinhull_sysutil::digest;

use super::disk::{Plan, Written};
use crate::packages::Package;
use crate::source::Origin;

/// Version of this format; it grows when a reader would misunderstand.
const FORMAT: u32 = 1;

/// A manifest. docs/reference/manifest.md describes every field.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    format: u32,
    id: String,
    version: String,
    arch: &'static str,
    image: String,
    builder: &'static str,
    /// SHA-256 of Twinhull's own programs in the image.
    programs: BTreeMap<&'static str, String>,
    spec_sha256: String,
    /// Upper bound of all time stamps, seconds since 1970.
    timestamp: i64,
    tree: Option<Origin>,
    kernel: String,
    root_hash: String,
    cmdline: String,
    usr_length: u64,
    /// What the kernel calls the file system of /usr.
    usr_filesystem: &'static str,
    /// Algorithm, level and largest cluster in bytes of the usr image; `null` when it isn't compressed.
    usr_compression: Option<Packing>,
    uki: Artefact,
    /// Who signs what the firmware starts; `null` when nobody does.
    secure_boot: Option<SecureBoot>,
    initrd: Artefact,
    /// What starts the image on machines with a BIOS; `null` when nothing does.
    bios: Option<Bios>,
    sizes: Sizes,
    disk_length: u64,
    partitions: Vec<table::Partition>,
    enabled_units: Vec<Enabled>,
    removed: Vec<String>,
    /// What was taken out to make the image small, by item of `system.keep`.
    minimized: BTreeMap<&'static str, Taken>,
    packages: Vec<Package>,
}

#[derive(Debug, Clone, Serialize)]
struct Packing {
    algorithm: String,
    cluster: u32,
}

/// Files and links, and their bytes.
#[derive(Debug, Clone, Serialize)]
struct Taken {
    files: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
struct SecureBoot {
    certificate: String,
    certificate_sha256: String,
    signed: bool,
    enroll: Option<&'static str>,
}

/// Bytes of GRUB's code, and of the bridge's kernel and initrd.
#[derive(Debug, Clone, Serialize)]
struct Bios {
    core: u64,
    kernel: u64,
    initrd: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Artefact {
    name: String,
    length: u64,
    sha256: String,
}

#[derive(Debug, Clone, Serialize)]
struct Enabled {
    target: String,
    unit: String,
}

/// What a manifest is made from.
pub(super) struct Facts<'a> {
    pub(super) spec: &'a Spec,
    pub(super) spec_text: &'a str,
    pub(super) plan: &'a Plan<'a>,
    pub(super) written: &'a Written,
    pub(super) installed: Vec<Package>,
    pub(super) hermetic: &'a Hermetic,
    pub(super) initrd: &'a [u8],
    pub(super) programs: BTreeMap<&'static str, String>,
}

impl Manifest {
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        let (id, version) = (facts.spec.image.id.clone(), facts.spec.image.version.clone());
        let enabled = facts.hermetic.enabled.iter();
        Manifest {
            format: FORMAT,
            arch: facts.plan.arch.name(),
            image: format!("{id}_{version}.raw"),
            id,
            version,
            builder: concat!("image-builder ", env!("CARGO_PKG_VERSION")),
            programs: facts.programs.clone(),
            spec_sha256: digest::sha256_hex(facts.spec_text.as_bytes()),
            timestamp: facts.hermetic.epoch,
            tree: None,
            kernel: facts.hermetic.kernel.version.clone(),
            root_hash: digest::hex(&facts.written.root_hash),
            cmdline: facts.written.cmdline.clone(),
            usr_length: facts.written.usr_len,
            usr_filesystem: facts.plan.format.name(),
            usr_compression: facts
                .plan
                .compression
                .map(|c| Packing { algorithm: c.algorithm.to_string(), cluster: c.cluster }),
            uki: Artefact {
                name: facts.written.uki_name.clone(),
                length: facts.written.uki_len,
                sha256: facts.written.uki_sha256.clone(),
            },
            secure_boot: facts.plan.signing.map(|signing| SecureBoot {
                certificate: signing.certificate.subject(),
                certificate_sha256: signing.certificate.sha256(),
                signed: signing.signs(),
                enroll: signing.enroll.as_ref().map(|enroll| enroll.mode.name()),
            }),
            initrd: Artefact {
                name: "initrd.cpio.zst".into(),
                length: facts.initrd.len() as u64,
                sha256: digest::sha256_hex(facts.initrd),
            },
            bios: facts.plan.bios.map(|bios| {
                let [core, kernel, initrd] = bios.sizes();
                Bios { core, kernel, initrd }
            }),
            sizes: facts.written.layout.sizes,
            disk_length: facts.written.layout.disk,
            partitions: facts.written.partitions.clone(),
            enabled_units: enabled
                .map(|(target, unit)| Enabled { target: target.clone(), unit: unit.clone() })
                .collect(),
            removed: facts.hermetic.removed.clone(),
            minimized: facts
                .hermetic
                .minimized
                .iter()
                .map(|r| (r.item.name(), Taken { files: r.files, bytes: r.bytes }))
                .collect(),
            packages: facts.installed.clone(),
        }
    }

    /// Says where the tree came from, which is known last.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.tree = Some(origin);
    }
}
