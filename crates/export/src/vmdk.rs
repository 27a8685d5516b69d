//! VMDK of the kind streamOptimized: compressed grains of 64 KiB behind each other, tables behind them.
//!
//! Source: VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents". On disk: header,
//! description, then for every 32 MiB their grains and their grain table, the grain directory, the header again as
//! footer with the directory's place, end. Everything starts on a sector; markers say what follows.

use std::fs::File;
use std::io::{BufWriter, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use twinhull_disk::derive_uuid;
use twinhull_sysutil::ordered;

use crate::disk::{Chunk, Disk, SECTOR};
use crate::{Error, Options, Result};

/// Sectors in a grain.
const GRAIN: u64 = 128;

/// Grains in a grain table.
const TABLE: u64 = 512;

/// Where the description lies and how much room it has, in sectors.
const DESCRIPTOR: (u64, u64) = (1, 20);

/// Sectors in front of the first grain.
const OVERHEAD: u64 = 128;

/// Header flags: line ends can be checked, grains are compressed, there are markers.
const FLAGS: u32 = 1 | (1 << 16) | (1 << 17);

/// Place of a directory that only the footer knows.
const AT_END: u64 = u64::MAX;

/// Offsets are sector numbers of 32 bits. A disk that doesn't shrink has a sector more in each grain.
const LIMIT: u64 = (u32::MAX as u64) * SECTOR / 130 * 128;

/// What a marker without data announces.
#[derive(Clone, Copy)]
enum Marker {
    End = 0,
    GrainTable = 1,
    GrainDirectory = 2,
    Footer = 3,
}

/// Writes `disk`, which has whole grains, to the empty file `out`.
///
/// Returns [`Error::TooLarge`].
pub(crate) fn write(
    disk: &Disk,
    options: &Options<'_>,
    out: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    if disk.size() > LIMIT {
        return Err(Error::TooLarge { format: "vmdk", size: disk.size(), limit: LIMIT });
    }
    let capacity = disk.size() / SECTOR;
    let mut out = Sectors { inner: BufWriter::with_capacity(1 << 20, out), written: 0 };
    out.put(&header(capacity, AT_END))?;
    out.put(descriptor(disk, capacity, options.name).as_bytes())?;
    out.fill_to(OVERHEAD)?;

    let mut tables =
        Tables { directory: vec![0; capacity.div_ceil(GRAIN * TABLE) as usize], table: Vec::new(), index: 0 };
    let compress = |chunk: std::io::Result<Chunk>| -> std::io::Result<(u64, Vec<u8>)> {
        let chunk = chunk?;
        let sector = chunk.offset / SECTOR;
        let mut grain = [&sector.to_le_bytes()[..], &[0; 4]].concat();
        let mut encoder = ZlibEncoder::new(grain, Compression::default());
        encoder.write_all(&chunk.data)?;
        grain = encoder.finish()?;
        let length = grain.len() as u32 - 12;
        grain[8..12].copy_from_slice(&length.to_le_bytes());
        Ok((sector, grain))
    };
    ordered::map(options.workers(), disk.chunks(GRAIN * SECTOR), compress, |result| -> Result<()> {
        let (sector, grain) = result?;
        tables.select(sector / GRAIN / TABLE, &mut out)?;
        tables.table.resize((sector / GRAIN % TABLE) as usize, 0);
        tables.table.push(out.sector()?);
        out.put(&grain)?;
        progress(sector * SECTOR);
        Ok(())
    })?;
    tables.finish(&mut out)?;

    let directory: Vec<u8> = tables.directory.iter().flat_map(|sector| sector.to_le_bytes()).collect();
    out.marker(Marker::GrainDirectory, (directory.len() as u64).div_ceil(SECTOR))?;
    let directory_at = out.written;
    out.put(&directory)?;
    out.marker(Marker::Footer, 1)?;
    out.put(&header(capacity, directory_at))?;
    out.marker(Marker::End, 0)?;
    out.inner.flush()?;
    progress(disk.size());
    Ok(())
}

/// The grain table being filled, and where those before it lie.
struct Tables {
    /// Sector of each grain table; 0 where it would be empty.
    directory: Vec<u32>,
    /// Sector of each grain; 0 where it would be empty.
    table: Vec<u32>,
    /// Which table it is.
    index: u64,
}

impl Tables {
    /// Goes on with table `index`.
    fn select(&mut self, index: u64, out: &mut Sectors<'_>) -> Result<()> {
        if index != self.index {
            self.finish(out)?;
            self.index = index;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Sectors<'_>) -> Result<()> {
        if self.table.is_empty() {
            return Ok(());
        }
        self.table.resize(TABLE as usize, 0);
        let bytes: Vec<u8> = self.table.drain(..).flat_map(u32::to_le_bytes).collect();
        out.marker(Marker::GrainTable, bytes.len() as u64 / SECTOR)?;
        self.directory[self.index as usize] = out.sector()?;
        out.put(&bytes)
    }
}

/// Writes whole sectors and counts them.
struct Sectors<'a> {
    inner: BufWriter<&'a mut File>,
    written: u64,
}

impl Sectors<'_> {
    /// The number of the next sector.
    fn sector(&self) -> Result<u32> {
        let limit = Error::TooLarge { format: "vmdk", size: self.written * SECTOR, limit: LIMIT };
        u32::try_from(self.written).map_err(|_| limit)
    }

    /// Writes `bytes` and fills the last sector up with zeros.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let sectors = (bytes.len() as u64).div_ceil(SECTOR);
        self.inner.write_all(bytes)?;
        let rest = (sectors * SECTOR) as usize - bytes.len();
        self.inner.write_all(&[0; SECTOR as usize][..rest])?;
        self.written += sectors;
        Ok(())
    }

    fn fill_to(&mut self, sector: u64) -> Result<()> {
        while self.written < sector {
            self.put(&[0; SECTOR as usize])?;
        }
        Ok(())
    }

    fn marker(&mut self, marker: Marker, sectors: u64) -> Result<()> {
        let kind = marker as u32;
        self.put(&[&sectors.to_le_bytes()[..], &[0; 4], &kind.to_le_bytes()].concat())
    }
}

/// The header, whose copy with the directory's place is the footer.
fn header(capacity: u64, directory: u64) -> Vec<u8> {
    let mut bytes = b"KDMV".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(FLAGS.to_le_bytes());
    for value in [capacity, GRAIN, DESCRIPTOR.0, DESCRIPTOR.1] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend((TABLE as u32).to_le_bytes());
    // No redundant directory.
    for value in [0, directory, OVERHEAD] {
        bytes.extend(value.to_le_bytes());
    }
    // Shut down cleanly; the line ends tell whether a transfer has changed them.
    bytes.extend(b"\0\n \r\n");
    bytes.extend(1_u16.to_le_bytes());
    bytes.resize(SECTOR as usize, 0);
    bytes
}

fn descriptor(disk: &Disk, capacity: u64, name: &str) -> String {
    let id = derive_uuid(disk.table.uuid, "vmdk").as_fields().0;
    // The two highest mean "no parent" and are never an identifier.
    let id = id & 0x7fff_ffff;
    let plain = name.len() < 256 && !name.contains(|c: char| c == '"' || c.is_control());
    let name = if plain { name } else { "disk.vmdk" };
    let (heads, sectors) = (255, 63);
    let cylinders = (capacity / (heads * sectors)).clamp(1, 65535);
    format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         encoding=\"UTF-8\"\n\
         CID={id:08x}\n\
         parentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\
         \n\
         # Extent description\n\
         RW {capacity} SPARSE \"{name}\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{heads}\"\n\
         ddb.geometry.sectors = \"{sectors}\"\n\
         ddb.virtualHWVersion = \"4\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};
    use std::io::Read;

    #[test]
    fn grains_and_markers_give_the_disk_whatever_the_workers() {
        let dir = tempfile::tempdir().unwrap();
        // Two grain tables, of which the first ends in a hole.
        let disk = sample(&dir.path().join("a.raw"), 40 << 20);
        let write = |workers| {
            let path = dir.path().join(format!("{workers}.vmdk"));
            let options = Options { name: "a.vmdk", created: 0, workers };
            write(&disk, &options, &mut File::create_new(&path).unwrap(), &mut |_| ()).unwrap();
            fs_err::read(&path).unwrap()
        };
        let bytes = write(1);
        assert!(bytes == write(4));
        let mut got = vec![0; disk.size() as usize];
        let mut at = (OVERHEAD * SECTOR) as usize;
        let mut markers = Vec::new();
        while at < bytes.len() {
            let value = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let size = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
            if size == 0 {
                markers.push(bytes[at + 12]);
                at += 512 + value as usize * 512;
            } else {
                let mut grain = Vec::new();
                flate2::read::ZlibDecoder::new(&bytes[at + 12..at + 12 + size])
                    .read_to_end(&mut grain)
                    .unwrap();
                got[value as usize * 512..][..grain.len()].copy_from_slice(&grain);
                at += (12 + size).next_multiple_of(512);
            }
        }
        assert!(got == content(&disk));
        assert_eq!(markers, [1, 1, 2, 3, 0]);
    }

    #[test]
    fn names_stay_within_their_quotes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), 6 << 20);
        assert!(descriptor(&disk, 12288, "a.vmdk").contains("RW 12288 SPARSE \"a.vmdk\"\n"));
        assert!(descriptor(&disk, 12288, "a\"b\n").contains("SPARSE \"disk.vmdk\"\n"));
        assert!(descriptor(&disk, 12288, &"x".repeat(255)).len() < (DESCRIPTOR.1 * SECTOR) as usize);
    }
}
