//! `release`: what a disk image's slot and ESP hold, as the files that machines fetch.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_delta::write_index;
use twinhull_disk::types::{self, Arch};
use twinhull_disk::{slot, table};
use twinhull_fsimg::{FileSystem, Part as Range, ReadAt, fat, verity};
use twinhull_release::{Artefact, FORMAT, Kind, Patches, Release, names};
use twinhull_sysutil::atomic::Replacement;
use twinhull_sysutil::{digest, size};

use super::folder::{Folder, signed};
use super::{Outcome, ReleaseArgs, delta, keys, verify};
use crate::progress::{Progress, Step};

/// Largest ESP that is read, in bytes.
const MAX_ESP: u64 = 4 << 30;
/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// What a disk image has that a machine needs to move to it.
struct Source {
    file: File,
    image: String,
    version: String,
    arch: Arch,
    created: u64,
    root_hash: String,
    /// Offset and length in bytes.
    usr: (u64, u64),
    /// Offset and length in bytes.
    verity: (u64, u64),
    uki: Vec<u8>,
}

/// Writes the files of the image's version and its document.
pub(super) fn publish(args: &ReleaseArgs, progress: &Progress) -> Result<Outcome> {
    let keys = keys::read(&args.keys)?;
    let step = progress.step("Checking the image");
    let source = Source::read(&args.image)?;
    step.done(&format!("{} {}", source.image, source.version));
    let dir = args.to.join(&source.image);
    if let Some(path) = &args.root {
        fs_err::create_dir_all(&dir)?;
        keys::import(&Folder::open(&dir)?, path)?;
    }
    ensure!(
        dir.join(names::root(1)).exists(),
        "{} has no {} yet; the first release of an image needs it: --root KEYS/{}",
        dir.display(),
        names::root(1),
        names::root(1)
    );
    let folder = Folder::open(&dir)?;
    let root = folder.root()?;
    ensure!(root.image == source.image, "the root is for {}, the image is {}", root.image, source.image);
    keys::check(&args.keys, &keys, &root.release, &format!("the role release of root {}", root.version))?;

    let (id, version, hash) = (&source.image, &source.version, &source.root_hash);
    let name = names::release(id, version);
    let there = folder.read_or_draft(Kind::Release, &name)?;
    let known = there.as_ref().map(twinhull_release::Envelope::contents::<Release>).transpose()?;
    let earlier = delta::earlier(args, &folder, &root, version, known.as_ref())?;

    let length = source.usr.1 + source.verity.1 + source.uki.len() as u64;
    let step = progress.bytes("Writing the files", length);
    let (mut files, mut done) = (Vec::new(), 0);
    let mut artefact = |name: String, fill: &mut dyn FnMut(&mut File) -> Result<()>| -> Result<Artefact> {
        let mut file = Replacement::new(&folder.path(&name))?;
        let out = file.as_file_mut()?;
        fill(out)?;
        let length = out.stream_position()?;
        out.rewind()?;
        let sha256 = digest::sha256_reader(&*out)?;
        files.push((name, file));
        Ok(Artefact { length, sha256 })
    };
    let names = (names::usr(id, version, hash), names::verity(id, version, hash), names::uki(id, version));
    let mut range = |range, out: &mut File| source.copy(range, out, &step, &mut done);
    let usr = artefact(names.0.clone(), &mut |out| range(source.usr, out))?;
    let verity = artefact(names.1, &mut |out| range(source.verity, out))?;
    let uki = artefact(names.2.clone(), &mut |out| Ok(out.write_all(&source.uki)?))?;
    step.done(&size::human(length));
    let step = progress.step("Writing the indexes");
    let image = Range::new(source.file.try_clone()?, source.usr.0, source.usr.1)?;
    let mut index = |of: &str, image: &dyn ReadAt| {
        artefact(names::index(of), &mut |out| Ok(write_index(image, out).map(drop)?))
    };
    let usr_index = index(&names.0, &image)?;
    let uki_index = index(&names.2, &source.uki.as_slice())?;
    step.done(&size::human(usr_index.length + uki_index.length));
    let (mut patches, mut notes) = (Vec::new(), Vec::new());
    for old in &earlier {
        let step = progress.step(&format!("Making patches from {}", old.version));
        let packing = match delta::packing(&args.image) {
            Ok(packing) => packing,
            Err(reason) => {
                notes
                    .push(format!("there are no patches, as nothing says how the image is packed: {reason}"));
                break;
            }
        };
        let name = names::patches(id, version, &old.version);
        let file = artefact(name, &mut |out| delta::patches(&folder, old, &image, packing, out))?;
        step.done(&size::human(file.length));
        patches.push(Patches { from: old.version.clone(), file });
    }
    let release = Release {
        format: FORMAT,
        image: id.clone(),
        version: version.clone(),
        arch: source.arch.name().into(),
        created: source.created,
        root_hash: hash.clone(),
        usr,
        usr_index,
        verity,
        uki,
        uki_index,
        patches,
    };
    let mut envelope = signed(&release, &[])?;
    if let Some(there) = there {
        ensure!(
            there.digest() == envelope.digest(),
            "{} {} is released already, with other contents; machines may have it, so give image.version of the spec \
             a new value and build again",
            release.image,
            release.version
        );
        envelope = there;
    }
    keys.iter().for_each(|key| envelope.sign(key));
    let mut outcome = Outcome { notes, ..Outcome::default() };
    for (name, file) in files {
        let path = folder.path(&name);
        file.commit(0o644)?;
        outcome.written.push(path);
    }
    folder.place(&name, &envelope, &mut outcome)?;
    Ok(outcome)
}

impl Source {
    /// Reads the image at `path` and checks that its parts belong together.
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file = fs_err::File::open(path)?.into_file();
        let length = file.metadata()?.len();
        let table = table::read(path, &file)
            .with_context(|| format!("{shown} is no disk image; give the .raw file that `build` wrote"))?;
        for p in &table.partitions {
            let whole = p.offset.checked_add(p.size).is_some_and(|end| end <= length);
            ensure!(
                whole,
                "{shown}: partition {} ends behind the end of the image; it is truncated",
                p.number
            );
        }
        let filled = |p: &&table::Partition| types::name(p.kind) == Some("usr") && p.label != slot::EMPTY;
        let usr = table.partitions.iter().find(filled);
        let usr =
            usr.with_context(|| format!("{shown} has no filled usr slot; was it built by image-builder?"))?;
        let arch = [Arch::X86_64, Arch::Arm64].into_iter().find(|arch| types::usr(*arch) == usr.kind);
        let (Some(arch), Some((image, version))) = (arch, slot::parse_label(&usr.label)) else {
            bail!("{shown}: the label {:?} of partition {} is no NAME_VERSION", usr.label, usr.number);
        };
        for (what, text, fits) in [
            ("image.id", image, names::is_image(image)),
            ("image.version", version, names::is_version(version)),
        ] {
            ensure!(
                fits,
                "{what} is {text:?}, which can't be released; docs/reference/release.md says what can"
            );
        }
        let wanted = slot::verity_label(image, version);
        let tree = table.partitions.iter().find(|p| p.label == wanted && p.kind == types::usr_verity(arch));
        let tree = tree.with_context(|| format!("{shown} has no partition {wanted} with the hash tree"))?;
        let hash = slot::root_hash(usr.uuid, tree.uuid);
        let usr_length = verity::verify(&file, usr.offset, usr.size, tree.offset, &hash)
            .with_context(|| format!("the usr image in {shown} is damaged; build it again"))?;
        let root_hash = digest::hex(&hash);
        let esp = table.partitions.iter().find(|p| p.kind == types::ESP);
        let esp = esp.with_context(|| format!("{shown} has no ESP"))?;
        let wanted = |path: &str| {
            let path = path.to_ascii_lowercase();
            path.starts_with("efi/linux/") && path.ends_with(".efi")
        };
        let found = fat::read(&file, esp.offset, esp.size.min(MAX_ESP), wanted)
            .with_context(|| format!("the ESP of {shown} can't be read"))?;
        let mut ukis =
            found.into_iter().filter(|uki| verify::uki(&uki.data, &root_hash, arch.name()).is_ok());
        let (Some(uki), None) = (ukis.next(), ukis.next()) else {
            bail!(
                "{shown} has not exactly one UKI that starts its usr image, which has the root hash {root_hash}"
            );
        };
        let reader = FileSystem::new(Range::new(file.try_clone()?, usr.offset, usr_length)?)?;
        let created = u64::try_from(reader.root()?.mtime.secs).unwrap_or(0);
        Ok(Source {
            image: image.into(),
            version: version.into(),
            arch,
            created,
            root_hash,
            usr: (usr.offset, usr_length),
            verity: (tree.offset, verity::tree_len(usr_length)),
            uki: uki.data,
            file,
        })
    }

    /// Copies a range of the disk.
    fn copy(&self, (offset, length): (u64, u64), to: &mut File, step: &Step, done: &mut u64) -> Result<()> {
        let (mut buffer, mut at) = (vec![0; CHUNK], 0);
        while at < length {
            let size = usize::try_from(length - at).map_or(CHUNK, |left| left.min(CHUNK));
            self.file.read_exact_at(&mut buffer[..size], offset + at)?;
            to.write_all(&buffer[..size])?;
            at += size as u64;
            *done += size as u64;
            step.position(*done);
        }
        Ok(())
    }
}
