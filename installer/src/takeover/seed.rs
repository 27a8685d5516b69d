//! What a machine keeps, as a NoCloud seed: the files, and the small FAT partition that they are on, which the new system looks
//! for by its label.

use std::io::{Cursor, Write as _};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use serde_json::{Value, json};
use twinhull_disk::table::{self, Partition, Table};
use twinhull_disk::{ALIGN, derive_uuid, types};
use twinhull_sysutil::digest::sha256_hex;

use super::{Error, Network};
use crate::disk::END;
use crate::write::Ends;

/// Size of the partition in bytes.
pub(crate) const SEED: u64 = 2 << 20;

/// Its name in the partition table.
const LABEL: &str = "twinhull-seed";

/// Bytes of protective MBR, header and entries.
const PRIMARY: usize = 34 * 512;
/// Bytes of the backup entries and header.
const BACKUP: u64 = 33 * 512;
/// Bytes of boot code and disk signature, in front of the MBR's records.
const BOOT_CODE: usize = 446;

/// Files by name.
pub(super) type Files = Vec<(String, String)>;

/// The files. `machine_id` is the old system's; the new one shall be another machine, but always the same one.
pub(super) fn files(machine_id: &str, hostname: Option<&str>, keys: &[String], network: &Network) -> Files {
    let digest = sha256_hex(format!("twinhull takeover {}", machine_id.trim()).as_bytes());
    let mut meta = json!({ "instance-id": format!("takeover-{}", &digest[..16]), "public-keys": keys });
    if let Some(hostname) = hostname {
        meta["local-hostname"] = hostname.into();
    }
    // JSON is YAML in which nothing is taken for something else.
    let text = |value: &Value| format!("{value:#}\n");
    let mut files = vec![("meta-data".to_owned(), text(&meta)), ("user-data".to_owned(), String::new())];
    // Without one, the new system asks for an address by DHCP.
    if !network.interfaces.is_empty() {
        files.push(("network-config".to_owned(), text(&network.config())));
    }
    files
}

/// The file system with the files.
pub(super) fn file_system(files: &Files) -> std::io::Result<Vec<u8>> {
    let mut image = Cursor::new(vec![0; SEED as usize]);
    format_volume(&mut image, FormatVolumeOptions::new().volume_label(*b"CIDATA     "))?;
    let system = FileSystem::new(&mut image, FsOptions::new())?;
    for (name, text) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(image.into_inner())
}

/// The table of an image that begins with `head`, with the seed behind its last partition, for a disk of `size` bytes; and
/// where the seed is. `None` when there is no room.
///
/// Returns [`Error::Table`].
pub(super) fn place(head: &[u8], size: u64) -> Result<Option<(Table, u64)>, Error> {
    let memory = memory(head, size)?;
    let mut table = table::read("the image".as_ref(), &memory)?;
    let last = table.partitions.iter().map(|p| p.offset.saturating_add(p.size)).max().unwrap_or(END);
    let offset = last.next_multiple_of(ALIGN);
    // The table's own copy is behind it.
    if offset.saturating_add(SEED).saturating_add(ALIGN) > size {
        return Ok(None);
    }
    table.partitions.push(Partition {
        number: table.partitions.iter().map(|p| p.number).max().unwrap_or(0) + 1,
        kind: types::LINUX_DATA,
        uuid: derive_uuid(table.uuid, LABEL),
        offset,
        size: SEED,
        label: LABEL.to_owned(),
        flags: types::NO_AUTO,
    });
    Ok(Some((table, offset)))
}

/// Puts the seed into an image that is about to be finished on a disk of `size` bytes: its table has one partition more, and
/// its backup is at the disk's end. The boot code stays.
///
/// Returns [`Error::Table`], and what goes where besides.
pub(super) fn amend(ends: &mut Ends, size: u64, system: Vec<u8>) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    // Sizes of disks are multiples of sectors, those of files needn't be.
    let size = size - size % 512;
    let Some((table, offset)) = place(&ends.head, size)? else {
        return Err(Error::NoRoom { path: "the disk".into(), disk: size });
    };
    let mut memory = memory(&[], size)?;
    table::write(&mut memory, &table)?;
    let read = |at: u64, length: usize| -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, at).map_err(failed)?;
        Ok(bytes)
    };
    let primary = read(0, PRIMARY)?;
    ends.head[BOOT_CODE..PRIMARY].copy_from_slice(&primary[BOOT_CODE..]);
    let old = ends.tail.len() - BACKUP as usize;
    ends.tail[old..].fill(0);
    Ok(vec![(offset, system), (size - BACKUP, read(size - BACKUP, BACKUP as usize)?)])
}

/// A disk in memory that has nothing but a beginning.
fn memory(head: &[u8], size: u64) -> Result<std::fs::File, Error> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("table", flags).map_err(|e| failed(e.into()))?;
    let file = std::fs::File::from(file);
    file.set_len(size).map_err(failed)?;
    std::os::unix::fs::FileExt::write_all_at(&file, head, 0).map_err(failed)?;
    Ok(file)
}

fn failed(source: std::io::Error) -> Error {
    Error::Call { what: "changing the partition table in memory", source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use uuid::Uuid;

    use super::*;

    /// A disk of 16 MiB with an ESP, a slot, boot code, and room behind.
    fn image(path: &std::path::Path) -> Vec<u8> {
        let mut file =
            fs_err::File::options().read(true).write(true).create(true).open(path).unwrap().into_file();
        file.set_len(16 << 20).unwrap();
        let partition = |number, kind, offset: u64, size: u64, label: &str| Partition {
            number,
            kind,
            uuid: Uuid::from_u128(u128::from(number)),
            offset: offset << 20,
            size: size << 20,
            label: label.into(),
            flags: 0,
        };
        let partitions = vec![
            partition(1, types::ESP, 1, 4, "esp"),
            partition(2, types::usr(types::Arch::X86_64), 5, 6, "hello_1"),
        ];
        table::write(&mut file, &Table { uuid: Uuid::from_u128(7), partitions }).unwrap();
        table::write_boot_code(&file, &[0xeb; 440]).unwrap();
        file.write_all_at(b"slot", 5 << 20).unwrap();
        fs_err::read(path).unwrap()
    }

    fn ends(image: &[u8]) -> Ends {
        let end = END as usize;
        Ends {
            head: image[..end].to_vec(),
            tail: image[image.len() - end..].to_vec(),
            length: image.len() as u64,
        }
    }

    #[test]
    fn the_seed_is_behind_the_last_slot_and_foreign_tools_agree() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        let image = image(&path);
        for size in [16 << 20, (64 << 20) + 512, (64 << 20) + 100] {
            let mut ends = ends(&image);
            let files = files("id", Some("box"), &["ssh-rsa AAAAx".into()], &Network::default());
            let besides = amend(&mut ends, size, file_system(&files).unwrap()).unwrap();
            fs_err::write(&path, &image).unwrap();
            let file = fs_err::File::options().read(true).write(true).open(&path).unwrap().into_file();
            file.set_len(size - size % 512).unwrap();
            file.write_all_at(&ends.tail, (16 << 20) - END).unwrap();
            for (at, bytes) in &besides {
                file.write_all_at(bytes, *at).unwrap();
            }
            file.write_all_at(&ends.head, 0).unwrap();
            let table = table::read(&path, &file).unwrap();
            let seed = table.partitions.last().unwrap();
            assert_eq!((seed.number, seed.offset, seed.size), (3, 11 << 20, SEED));
            let disk = fs_err::read(&path).unwrap();
            assert!(disk[..440] == [0xeb; 440] && &disk[5 << 20..][..4] == b"slot");
            let partition = Cursor::new(disk[11 << 20..][..SEED as usize].to_vec());
            let system = FileSystem::new(partition, FsOptions::new()).unwrap();
            assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
            let names: Vec<_> = system.root_dir().iter().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["meta-data", "user-data"]);
            // `cargo xtask test` installs it.
            if twinhull_sysutil::command::which("sgdisk").is_some() {
                let said = twinhull_sysutil::command::Cmd::new("sgdisk")
                    .arg("-v")
                    .arg(&path)
                    .output_of_stdout()
                    .unwrap();
                let said = String::from_utf8(said).unwrap();
                assert!(said.contains("No problems found"), "{size}: {said}");
            }
        }
    }

    #[test]
    fn a_full_disk_has_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let head = image(&dir.path().join("disk.raw"))[..END as usize].to_vec();
        assert!(place(&head, 14 << 20).unwrap().is_some());
        assert!(place(&head, (14 << 20) - 512).unwrap().is_none());
        assert!(place(&[0; 4096], 14 << 20).is_err());
    }

    #[test]
    fn files_say_what_stays() {
        let keys = ["ssh-ed25519 AAAAx it's \"me\": # yes".to_owned()];
        let files = files("0123\n", Some("box.example"), &keys, &Network::default());
        assert_eq!(
            files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["meta-data", "user-data"]
        );
        let meta: Value = serde_json::from_str(&files[0].1).unwrap();
        assert_eq!((&meta["local-hostname"], &meta["public-keys"]), (&json!("box.example"), &json!(keys)));
        let id = meta["instance-id"].as_str().unwrap();
        assert!(id.starts_with("takeover-") && id.len() == 25 && !id.contains("0123"), "{id}");
    }
}
