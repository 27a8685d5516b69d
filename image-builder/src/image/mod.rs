//! A finished image, read for `diff`, `sbom` and `inspect --size`: its /usr, what boots it, and the manifest
//! beside it. Disk images and plain EROFS or ext4 images are taken; nothing needs privileges.

pub(crate) mod boot;
pub(crate) mod capability;
pub(crate) mod snapshot;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use twinhull_disk::{slot, table, types};
use twinhull_fsimg::{FileSystem, Format, Part};
use twinhull_sysutil::digest;

use boot::Boot;

/// Largest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 64 << 20;

/// An image that is open for reading.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where it was found.
    pub(crate) path: PathBuf,
    /// Length of the file in bytes.
    pub(crate) length: u64,
    /// The file system that is mounted at `prefix`.
    pub(crate) reader: FileSystem<Part>,
    /// Image name and version by the slot's label, when this is a disk.
    pub(crate) label: Option<(String, String)>,
    /// dm-verity root hash by the slot's UUIDs, when this is a disk.
    pub(crate) root_hash: Option<String>,
    /// What the ESP has, when this is a disk with one.
    pub(crate) boot: Option<Boot>,
    /// The manifest beside the image, when there is one that describes this image.
    pub(crate) manifest: Option<Value>,
    /// What a reader of a report should know.
    pub(crate) notes: Vec<String>,
}

impl Image {
    /// Opens the disk image, or the EROFS or ext4 image, at `path`.
    ///
    /// Of a disk, the first slot that is filled counts: slot A unless a machine has moved on.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        let part = Part::new(file.try_clone()?.into_file(), 0, length)?;
        let mut image = if Format::of(&part).is_some() {
            let reader =
                FileSystem::new(part).with_context(|| format!("{} can't be read", path.display()))?;
            let notes = Vec::new();
            let path = path.to_owned();
            Image { path, length, reader, label: None, root_hash: None, boot: None, manifest: None, notes }
        } else {
            Self::open_disk(path, file.into_file(), length)?
        };
        image.manifest = image.read_manifest();
        Ok(image)
    }

    fn open_disk(path: &Path, file: File, length: u64) -> Result<Self> {
        let shown = path.display();
        let table = table::read(path, &file)
            .with_context(|| format!("{shown} is neither a disk image nor an EROFS or ext4 image"))?;
        let of = |role| table.partitions.iter().filter(move |p| types::name(p.kind) == Some(role));
        let found = of("usr").enumerate().find(|(_, p)| p.label != slot::EMPTY);
        let Some((index, usr)) = found else {
            bail!("{shown} has no filled usr slot; was it built by image-builder?");
        };
        let end = usr.offset.checked_add(usr.size);
        ensure!(
            end.is_some_and(|end| end <= length),
            "{shown}: partition {} ends behind the end of the image; it is truncated or damaged",
            usr.number
        );
        let tree = of("usr-verity").find(|t| t.label == format!("{}_verity", usr.label));
        let tree = tree.or_else(|| of("usr-verity").nth(index));
        let root_hash = tree.map(|tree| digest::hex(&slot::root_hash(usr.uuid, tree.uuid)));
        let boot = match table.partitions.iter().find(|p| p.kind == types::ESP) {
            Some(esp) => Some(
                Boot::read(&file, esp, root_hash.as_deref())
                    .with_context(|| format!("the ESP of {shown} can't be read"))?,
            ),
            None => None,
        };
        let mut notes = Vec::new();
        if index > 0 {
            notes.push(format!("{shown}: slot A is empty, what follows is about the next one that isn't"));
        }
        if boot.is_none() {
            notes.push(format!("{shown} has no ESP"));
        }
        let label = slot::parse_label(&usr.label).map(|(id, version)| (id.to_owned(), version.to_owned()));
        let reader = FileSystem::new(Part::new(file, usr.offset, usr.size)?)
            .with_context(|| format!("the usr partition of {shown} can't be read"))?;
        Ok(Image { path: path.to_owned(), length, reader, label, root_hash, boot, manifest: None, notes })
    }

    /// `NAME.manifest.json` beside `NAME.raw`; one that is about another image is not used, and that is noted.
    fn read_manifest(&mut self) -> Option<Value> {
        let path = self.path.with_extension("manifest.json");
        if fs_err::metadata(&path).ok()?.len() > MAX_MANIFEST {
            return None;
        }
        let text = fs_err::read(&path).ok()?;
        let problem = match serde_json::from_slice::<Value>(&text) {
            Err(_) => "is no JSON",
            Ok(manifest)
                if self.root_hash.is_some()
                    && manifest["root_hash"].as_str() != self.root_hash.as_deref() =>
            {
                "is about another image"
            }
            Ok(manifest) => return Some(manifest),
        };
        self.notes.push(format!("{} {problem} and is not used", path.display()));
        None
    }
}

/// The value of a field of os-release(5).
pub(crate) fn os_field(os_release: &str, name: &str) -> Option<String> {
    let value = os_release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Bytes of a name as text that can be shown: what is no printable UTF-8 becomes `\xNN`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                c.to_string().bytes().for_each(|b| text.push_str(&format!("\\x{b:02x}")));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|b| text.push_str(&format!("\\x{b:02x}")));
    }
    text
}

/// As [`shown`], with a dash for nothing.
pub(crate) fn shown_or_dash(text: Option<&str>) -> String {
    text.map_or("-".into(), |text| shown(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_talk_to_the_terminal() {
        assert_eq!(shown(b"/usr/bin/\x1b[31mred\xff\n"), "/usr/bin/\\x1b[31mred\\xff\\x0a");
        assert_eq!(shown("/usr/share/é \u{202e}".as_bytes()), "/usr/share/é \\xe2\\x80\\xae");
    }

    #[test]
    fn what_is_no_image_is_said_to_be_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), vec![0; 10_000]).unwrap();
        let error = format!("{:#}", Image::open(file.path()).unwrap_err());
        assert!(error.contains("neither a disk image nor an EROFS or ext4 image"), "{error}");
        let mut bytes = vec![0xff; 10_000];
        bytes[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
        fs_err::write(file.path(), bytes).unwrap();
        let error = format!("{:#}", Image::open(file.path()).unwrap_err());
        assert!(error.contains("EROFS at offset 1024"), "{error}");
    }
}
