//! Reads a tree from a tar archive. Content stays in the archive; only names and metadata are kept.
//!
//! Owners, modes, device nodes, hard links and extended attributes (`SCHILY.xattr.*`, POSIX.1-2001 pax)
//! come from the archive, so no privileges are needed to have a tree with its real owners.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use tar::EntryType;

use crate::{Content, DeviceNumber, Error, Kind, Metadata, Node, Result, Timestamp, Tree};

/// Most entries an archive may have; a whole distribution has well under a million.
const MAX_ENTRIES: u64 = 4_000_000;

/// Reads the uncompressed tar archive at `path`.
///
/// Returns [`Error::Archive`] with the entry's offset for anything malformed, and
/// [`Error::Source`] for a compressed archive.
pub fn read(path: &Path) -> Result<Tree> {
    let mut file = fs_err::File::open(path)?;
    refuse_compressed(path, &mut file)?;
    let length = file.metadata()?.len();
    let shared = Arc::new(fs_err::File::open(path)?);
    let mut tree = Tree::new();
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 16, file));
    let damaged = |offset, reason: String| Error::Archive { archive: path.to_owned(), offset, reason };

    let mut count = 0;
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(|e| damaged(0, e.to_string()))? {
        let mut entry = entry.map_err(|e| damaged(end, e.to_string()))?;
        let offset = entry.raw_header_position();
        let bad = |reason: String| damaged(offset, reason);
        count += 1;
        if count > MAX_ENTRIES {
            return Err(bad(format!("more than {MAX_ENTRIES} entries")));
        }
        let name = entry.path_bytes().into_owned();
        let meta = metadata(&mut entry).map_err(|e| bad(format!("{}: {e}", lossy(&name))))?;
        let position = entry.raw_file_position();
        let size = entry.size();
        end = position.saturating_add(size);
        if end > length {
            return Err(bad(format!(
                "{} needs {size} bytes at {position}, but the archive ends at {length}; it is truncated",
                lossy(&name)
            )));
        }
        let header = entry.header();
        let device = || -> Result<DeviceNumber> {
            let number = |n: std::io::Result<Option<u32>>| n.ok().flatten().unwrap_or(0);
            Ok(DeviceNumber { major: number(header.device_major()), minor: number(header.device_minor()) })
        };
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                Kind::file(Content::Range { file: shared.clone(), offset: position, len: size })
            }
            EntryType::Directory => {
                directory(&mut tree, &name, meta).map_err(|e| bad(e.to_string()))?;
                continue;
            }
            EntryType::Symlink => Kind::Symlink(
                entry
                    .link_name_bytes()
                    .ok_or_else(|| bad("a symbolic link without target".into()))?
                    .into_owned(),
            ),
            EntryType::Link => {
                let target =
                    entry.link_name_bytes().ok_or_else(|| bad("a hard link without target".into()))?;
                let node = tree.get(&target).cloned().ok_or_else(|| {
                    bad(format!(
                        "{} is a hard link to {}, which is not before it",
                        lossy(&name),
                        lossy(&target)
                    ))
                })?;
                tree.insert(&name, node).map_err(|e| bad(e.to_string()))?;
                continue;
            }
            EntryType::Char => Kind::CharDevice(device()?),
            EntryType::Block => Kind::BlockDevice(device()?),
            EntryType::Fifo => Kind::Fifo,
            EntryType::XGlobalHeader => continue,
            other => {
                return Err(bad(format!(
                    "{} is of tar type {:?}, which is not supported; write the archive without sparse files",
                    lossy(&name),
                    other.as_byte() as char
                )));
            }
        };
        tree.insert(&name, Node { meta, kind }).map_err(|e| bad(e.to_string()))?;
    }
    if count == 0 {
        return Err(damaged(0, "no entries; is this a tar archive of a whole OS tree?".into()));
    }
    Ok(tree)
}

/// A directory entry may come after its content and must not throw that away.
fn directory(tree: &mut Tree, name: &[u8], meta: Metadata) -> Result<()> {
    if let Some(node) = tree.get_mut(name)
        && node.entries().is_some()
    {
        node.meta = meta;
        return Ok(());
    }
    tree.insert(name, Node { meta, kind: Kind::directory() })
}

fn metadata<R: Read>(entry: &mut tar::Entry<'_, R>) -> std::io::Result<Metadata> {
    let header = entry.header();
    let mut meta = Metadata {
        mode: (header.mode()? & 0o7777) as u16,
        uid: u32::try_from(header.uid()?).map_err(|_| invalid("the owner is not a 32-bit number"))?,
        gid: u32::try_from(header.gid()?).map_err(|_| invalid("the group is not a 32-bit number"))?,
        mtime: Timestamp { secs: header.mtime()?.cast_signed(), nanos: 0 },
        ..Metadata::default()
    };
    let Some(extensions) = entry.pax_extensions()? else { return Ok(meta) };
    for extension in extensions {
        let extension = extension?;
        let value = extension.value_bytes();
        let number = || std::str::from_utf8(value).ok().and_then(|v| v.parse::<u32>().ok());
        match extension.key_bytes() {
            b"uid" => meta.uid = number().ok_or_else(|| invalid("pax `uid` is not a number"))?,
            b"gid" => meta.gid = number().ok_or_else(|| invalid("pax `gid` is not a number"))?,
            b"mtime" => meta.mtime = pax_time(value).ok_or_else(|| invalid("pax `mtime` is not a time"))?,
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(invalid("it is stored sparse; write the archive without --sparse"));
            }
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    meta.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
    }
    Ok(meta)
}

/// `1700000000.123456789`, possibly negative, as pax writes times.
fn pax_time(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().ok()?;
    let mut nanos = 0;
    for (i, digit) in fraction.bytes().take(9).enumerate() {
        nanos += u32::from(digit.checked_sub(b'0').filter(|d| *d < 10)?) * 10_u32.pow(8 - i as u32);
    }
    // A negative time with a fraction is that fraction *further* from the epoch.
    if whole.starts_with('-') && nanos > 0 {
        return Some(Timestamp { secs: secs.checked_sub(1)?, nanos: 1_000_000_000 - nanos });
    }
    Some(Timestamp { secs, nanos })
}

fn refuse_compressed(path: &Path, file: &mut fs_err::File) -> Result<()> {
    let mut magic = [0; 6];
    let got = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let tool = match &magic[..got] {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd -d",
        [0x1f, 0x8b, ..] => "gunzip -k",
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz -dk",
        _ => return Ok(()),
    };
    Err(Error::Source(format!(
        "{} is compressed; files are read straight from the archive, so unpack it first: {tool} {}",
        path.display(),
        path.display()
    )))
}

fn invalid(reason: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> tempfile::NamedTempFile {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), builder.into_inner().unwrap()).unwrap();
        file
    }

    fn header(kind: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o4755);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(42);
        header
    }

    #[test]
    fn owners_modes_links_and_xattrs_come_from_the_archive() {
        let file = archive(|b| {
            b.append_pax_extensions([
                ("SCHILY.xattr.security.capability", b"\x01\x00\x00\x02".as_slice()),
                ("mtime", b"42.5".as_slice()),
            ])
            .unwrap();
            b.append_data(&mut header(EntryType::Regular, 3), "./usr/bin/su", b"abc".as_slice()).unwrap();
            b.append_link(&mut header(EntryType::Link, 0), "./usr/bin/su2", "./usr/bin/su").unwrap();
            let mut dir = header(EntryType::Directory, 0);
            b.append_data(&mut dir, "./usr/bin", b"".as_slice()).unwrap();
        });
        let tree = read(file.path()).unwrap();
        let su = tree.get("/usr/bin/su").unwrap();
        assert_eq!((su.meta.mode, su.meta.uid, su.meta.gid), (0o4755, 7, 8));
        assert_eq!(su.meta.mtime, Timestamp { secs: 42, nanos: 500_000_000 });
        assert_eq!(su.meta.xattrs[b"security.capability".as_slice()], b"\x01\x00\x00\x02");
        assert_eq!(tree.read("/usr/bin/su2").unwrap(), b"abc");
        let data = |path: &str| tree.get(path).unwrap().data().unwrap();
        assert!(Arc::ptr_eq(data("/usr/bin/su"), data("/usr/bin/su2")));
        assert_eq!(tree.get("/usr/bin").unwrap().meta.uid, 7);
    }

    #[test]
    fn damage_is_named_with_its_offset() {
        let whole = archive(|b| {
            b.append_data(&mut header(EntryType::Regular, 4000), "f", vec![0; 4000].as_slice()).unwrap();
        });
        let bytes = fs_err::read(whole.path()).unwrap();
        for (what, cut) in
            [("truncated", &bytes[..1024]), ("entire block", &bytes[..100]), ("no entries", &[])]
        {
            fs_err::write(whole.path(), cut).unwrap();
            let error = read(whole.path()).unwrap_err().to_string();
            assert!(error.contains("at offset 0") && error.contains(what), "{error}");
        }
        fs_err::write(whole.path(), [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0]).unwrap();
        assert!(read(whole.path()).unwrap_err().to_string().contains("zstd -d"));
    }

    #[test]
    fn pax_times() {
        let time = |secs, nanos| Some(Timestamp { secs, nanos });
        for (text, want) in [
            ("1.25", time(1, 250_000_000)),
            ("-1.25", time(-2, 750_000_000)),
            ("7", time(7, 0)),
            ("x", None),
            ("1.x", None),
            ("", None),
        ] {
            assert_eq!(pax_time(text.as_bytes()), want, "{text}");
        }
    }
}
