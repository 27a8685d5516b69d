//! A fixed VHD: the raw disk and a footer of 512 bytes. What Azure wants, in whole MiB.
//!
//! Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0 (2006).

use std::fs::File;
use std::os::unix::fs::FileExt;

use twinhull_disk::derive_uuid;
use uuid::Uuid;

use crate::disk::{Disk, SECTOR};
use crate::{Options, Result};

const CHUNK: u64 = 1 << 20;

/// The creator by which readers, Azure among them, know that the size counts and not the geometry, which can't say
/// every size; it is what `qemu-img convert -o subformat=fixed,force_size` writes.
const CREATOR: &[u8; 4] = b"qem2";
const CREATOR_VERSION: u32 = 0x0005_0003;
const CREATOR_OS: &[u8; 4] = b"Wi2k";

/// Writes `disk` to the empty file `out`, with holes where the disk is empty.
pub(crate) fn write(
    disk: &Disk,
    options: &Options<'_>,
    out: &File,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    out.set_len(disk.size())?;
    for chunk in disk.chunks(CHUNK) {
        let chunk = chunk?;
        out.write_all_at(&chunk.data, chunk.offset)?;
        progress(chunk.offset);
    }
    let id = derive_uuid(disk.table.uuid, "vhd");
    out.write_all_at(&footer(disk.size(), options.created, id), disk.size())?;
    progress(disk.size());
    Ok(())
}

/// The footer of a fixed disk of `size` bytes, made `created` seconds after 2000-01-01.
fn footer(size: u64, created: u32, id: Uuid) -> Vec<u8> {
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    let mut bytes = b"conectix".to_vec();
    bytes.extend(2_u32.to_be_bytes()); // features: none, the reserved bit is always set
    bytes.extend(0x0001_0000_u32.to_be_bytes()); // format 1.0
    bytes.extend(u64::MAX.to_be_bytes()); // no header elsewhere
    bytes.extend(created.to_be_bytes());
    bytes.extend(CREATOR);
    bytes.extend(CREATOR_VERSION.to_be_bytes());
    bytes.extend(CREATOR_OS);
    bytes.extend(size.to_be_bytes()); // original
    bytes.extend(size.to_be_bytes()); // current
    bytes.extend(cylinders.to_be_bytes());
    bytes.extend([heads, sectors]);
    bytes.extend(2_u32.to_be_bytes()); // fixed
    let checksum_at = bytes.len();
    bytes.extend([0; 4]);
    bytes.extend(id.as_bytes());
    bytes.resize(SECTOR as usize, 0);
    let sum: u32 = bytes.iter().map(|b| u32::from(*b)).sum();
    bytes[checksum_at..checksum_at + 4].copy_from_slice(&(!sum).to_be_bytes());
    bytes
}

/// Cylinders, heads and sectors per track, by the specification's appendix "CHS Calculation".
fn geometry(total: u64) -> (u16, u8, u8) {
    let total = total.min(65535 * 16 * 255);
    let (heads, sectors, tracks);
    if total >= 65535 * 16 * 63 {
        (sectors, heads) = (255, 16);
        tracks = total / sectors;
    } else {
        let mut tried = (17, (total / 17).div_ceil(1024).max(4));
        if total / 17 >= tried.1 * 1024 || tried.1 > 16 {
            tried = (31, 16);
        }
        if total / tried.0 >= tried.1 * 1024 {
            tried = (63, 16);
        }
        (sectors, heads) = tried;
        tracks = total / sectors;
    }
    // All three are bounded by what was compared above.
    ((tracks / heads) as u16, heads as u8, sectors as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};

    /// From the published C of the appendix, run by hand.
    #[test]
    fn geometries() {
        for (mib, want) in [
            (6, (180, 4, 17)),
            (32, (963, 4, 17)),
            (2048, (4161, 16, 63)),
            (102_400, (51_400, 16, 255)),
            (4 << 20, (65535, 16, 255)),
        ] {
            assert_eq!(geometry(mib << 11), want, "{mib} MiB");
        }
    }

    #[test]
    fn the_disk_and_a_footer_with_a_good_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), 6 << 20);
        let path = dir.path().join("a.vhd");
        let options = Options { name: "a.vhd", created: 0, workers: 1 };
        write(&disk, &options, &File::create_new(&path).unwrap(), &mut |_| ()).unwrap();
        let mut bytes = fs_err::read(&path).unwrap();
        let footer = bytes.split_off(6 << 20);
        assert!(bytes == content(&disk));
        assert_eq!((footer.len(), &footer[..8], &footer[24..28]), (512, &b"conectix"[..], &[0; 4][..]));
        let sum: u32 = footer.iter().map(|b| u32::from(*b)).sum();
        let stored = &footer[64..68];
        let own: u32 = stored.iter().map(|b| u32::from(*b)).sum();
        assert_eq!(stored, (!(sum - own)).to_be_bytes());
    }
}
