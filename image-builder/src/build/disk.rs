//! Writes the disk image: usr and its hash tree, then the UKI that names their root hash, then the ESP, and
//! the partition table last.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use twinhull_disk::types::Arch;
use twinhull_disk::{Layout, derive_uuid, slot, table};
use twinhull_fsimg::{Format, erofs, ext4, fat, verity};
use twinhull_spec::Spec;
use twinhull_sysutil::atomic::Replacement;
use twinhull_sysutil::{digest, size};
use twinhull_tree::Tree;
use uuid::Uuid;

use super::bios::Bios;
use super::esp::{Loader, Uki};
use super::signing::Signing;
use super::sizes;
use crate::kept::Kept;
use crate::progress::Progress;

/// Everything that is decided before writing.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a Spec,
    pub(super) arch: Arch,
    /// Origin of every identifier that isn't a hash.
    pub(super) seed: Uuid,
    pub(super) epoch: i64,
    /// Size of the ESP in bytes, behind which usr begins.
    pub(super) esp: u64,
    pub(super) usr: &'a Tree,
    pub(super) format: Format,
    pub(super) compression: Option<erofs::Compression>,
    pub(super) kept: &'a Kept,
    pub(super) uki: Uki<'a>,
    pub(super) loader: &'a Loader,
    /// What a machine with a BIOS starts, if it is to start.
    pub(super) bios: Option<&'a Bios>,
    pub(super) signing: Option<&'a Signing>,
}

/// A written image that is not yet in its place.
#[derive(Debug)]
pub(super) struct Written {
    file: Replacement,
    pub(super) layout: Layout,
    /// Length of the usr image in bytes.
    pub(super) usr_len: u64,
    pub(super) root_hash: [u8; 32],
    pub(super) cmdline: String,
    pub(super) uki_name: String,
    pub(super) uki_len: u64,
    pub(super) uki_sha256: String,
    pub(super) partitions: Vec<table::Partition>,
}

impl Written {
    /// Puts the image in its place.
    pub(super) fn commit(self) -> Result<()> {
        Ok(self.file.commit_without_sync(0o644)?)
    }
}

/// Writes /usr, and returns its length in bytes.
fn write_usr<W: Write + Seek>(
    plan: &Plan<'_>,
    out: &mut W,
    progress: &mut dyn FnMut(u64),
) -> twinhull_fsimg::Result<u64> {
    let uuid = derive_uuid(plan.seed, plan.format.name()).into_bytes();
    let build_time = u64::try_from(plan.epoch).unwrap_or(0);
    match plan.format {
        Format::Erofs => {
            let options = erofs::Options {
                compression: plan.compression,
                store: plan.kept.store(),
                ..erofs::Options::new(uuid, build_time)
            };
            erofs::write(plan.usr, &options, out, progress)
        }
        Format::Ext4 => ext4::write(plan.usr, &ext4::Options { uuid, build_time }, out, progress),
    }
}

/// Writes the image beside `path`; dropped without [`Written::commit`] it vanishes.
pub(super) fn write(plan: &Plan<'_>, path: &Path, progress: &Progress) -> Result<Written> {
    let (id, version) = (&plan.spec.image.id, &plan.spec.image.version);
    // Label lengths are checked here, before anything is written; sizes don't matter for that.
    let bios = plan.bios.map_or(0, Bios::partition);
    let start = sizes::layout(plan.spec, bios, plan.esp, 0)?;
    start.partitions(plan.arch, id, version, &[0; 32], plan.seed)?;
    let mut output = Replacement::new(path)?;
    let file = output.as_file_mut()?;

    let name = match plan.format {
        Format::Erofs => "EROFS",
        Format::Ext4 => "ext4",
    };
    let step = progress.bytes(&format!("Writing /usr as {name}"), twinhull_fsimg::content_len(plan.usr));
    let before = plan.kept.stats();
    let mut out = BufWriter::with_capacity(1 << 20, &mut *file);
    out.seek(SeekFrom::Start(start.usr(0)))?;
    let len = write_usr(plan, &mut out, &mut |done| step.position(done))
        .with_context(|| format!("/usr can't become an {name} image"))?;
    out.flush()?;
    drop(out);
    let layout = sizes::layout(plan.spec, bios, plan.esp, len)?;
    // What was written behind the image and taken back again goes; the rest of the disk is zeros.
    file.set_len(layout.usr(0) + len)?;
    file.set_len(layout.disk)?;
    let after = plan.kept.stats();
    let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
    let packed = match hits + misses {
        0 => String::new(),
        all => format!(", {misses} of {all} parts packed anew"),
    };
    step.done(&format!("{}{packed}", size::human(len)));

    let step = progress.step("Hashing it for dm-verity");
    let options = verity::Options {
        uuid: derive_uuid(plan.seed, "verity").into_bytes(),
        salt: derive_uuid(plan.seed, "salt").as_bytes().repeat(2),
    };
    let root_hash = verity::write(file, layout.usr(0), len, layout.verity(0), &options)?;
    let hash_text = digest::hex(&root_hash);
    step.done(&hash_text[..16]);

    let step = progress.step("Writing UKI and ESP");
    let mut uki = plan.uki.build(&hash_text)?;
    if let Some(signing) = plan.signing {
        uki = signing.sign("UKI", uki)?;
    }
    let (uki_len, uki_sha256) = (uki.len() as u64, digest::sha256_hex(&uki));
    let uki_name = format!("{}+3.efi", slot::label(id, version));
    let serial = u32::from_le_bytes(std::array::from_fn(|n| derive_uuid(plan.seed, "fat").into_bytes()[n]));
    let fat_options = fat::Options {
        size: layout.sizes.esp,
        serial,
        label: "ESP".into(),
        time: u64::try_from(plan.epoch).unwrap_or(0),
    };
    file.seek(SeekFrom::Start(layout.esp()))?;
    let mut files = plan.loader.files();
    files.extend(plan.bios.map(Bios::files).unwrap_or_default());
    files.push((format!("EFI/Linux/{uki_name}"), uki.into()));
    fat::write(&files, &fat_options, file)?;
    let partitions = layout.partitions(plan.arch, id, version, &root_hash, plan.seed)?;
    let table = table::Table { uuid: derive_uuid(plan.seed, "disk"), partitions };
    table::write(file, &table)?;
    if let (Some(bios), Some(offset)) = (plan.bios, layout.bios()) {
        let (core, code) = bios.install(offset);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&core)?;
        table::write_boot_code(file, &code)?;
    }
    step.done(&format!("{uki_name}, {}", size::human(uki_len)));
    let cmdline = plan.uki.cmdline(&hash_text);
    Ok(Written {
        file: output,
        layout,
        usr_len: len,
        root_hash,
        cmdline,
        uki_name,
        uki_len,
        uki_sha256,
        partitions: table.partitions,
    })
}
