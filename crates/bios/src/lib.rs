//! Makes GRUB's boot code for machines with a BIOS out of the stock images of the package grub-pc-bin, without running
//! anything of it.
//!
//! ```text
//!  sector 0          first sector       the next sectors
//!  boot.img     ──►  diskboot.img  ──►  lzma_decompress.img │ kernel, modules, script (LZMA)
//!  (MBR's code)      knows where its    └──────────────── core ────────────────┘
//!                    neighbours are
//! ```
//!
//! [`Core`] puts the second and third together as grub-mkimage(1) does, and [`Core::install`] writes the sector numbers that
//! grub-bios-setup(8) would. Only these formats are ours; what runs is GRUB's.

mod error;
mod kernel;
mod modules;

pub use error::{Error, Result};
pub use modules::Modules;

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

/// Bytes of a sector; BIOS disks have no others.
pub const SECTOR: usize = 512;
/// Most bytes of the core behind its first sector: GRUB's kernel is linked to 0x9000, and below 0x78000 it has room.
pub const CORE_MAX: usize = 0x78000 - 0x9000;

/// Where diskboot.img has its list of neighbours: first sector (8 bytes), number of sectors (2), segment (2).
const BLOCK_LIST: usize = SECTOR - 12;
/// Segment that what follows diskboot.img is loaded to, right behind it.
const KERNEL_SEGMENT: u16 = 0x820;
/// Offsets in lzma_decompress.img.
const COMPRESSED_SIZE: usize = 0x08;
const UNCOMPRESSED_SIZE: usize = 0x0c;
/// Offsets in boot.img.
const MBR_KERNEL_SECTOR: usize = 0x5c;
const MBR_DRIVE_CHECK: usize = 0x66;
/// The MBR's code ends where the disk's own signature and partition table begin.
const MBR_CODE: usize = 440;

/// The stock images, as in /usr/lib/grub/i386-pc.
#[derive(Debug, Clone, Copy)]
pub struct Stock<'a> {
    /// boot.img
    pub boot: &'a [u8],
    /// diskboot.img
    pub diskboot: &'a [u8],
    /// kernel.img
    pub kernel: &'a [u8],
    /// lzma_decompress.img
    pub decompressor: &'a [u8],
}

/// GRUB's core, which is loaded from consecutive sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    boot: [u8; MBR_CODE],
    image: Vec<u8>,
}

impl Core {
    /// Puts the core together from the stock images, modules in an order in which each comes after those it needs, and a
    /// script of GRUB's rescue commands that it runs.
    ///
    /// # Errors
    /// [`Error::Stock`] for an image that isn't of GRUB 2.06 to 2.12, and [`Error::TooLarge`].
    pub fn new(stock: &Stock<'_>, modules: &[&[u8]], script: &str) -> Result<Self> {
        let mut payload = kernel::load(stock.kernel)?;
        modules::append(&mut payload, modules, script);
        let packed = pack(&payload)?;
        let mut image = sized("diskboot.img", stock.diskboot, SECTOR)?.to_vec();
        let mut decompressor = stock.decompressor.to_vec();
        if decompressor.len() < 0x20 || decompressor[0] != 0xea {
            return Err(Error::Stock {
                name: "lzma_decompress.img",
                problem: "it doesn't begin with a far jump",
            });
        }
        put(&mut decompressor, COMPRESSED_SIZE, packed.len())?;
        put(&mut decompressor, UNCOMPRESSED_SIZE, payload.len())?;
        image.extend(decompressor);
        image.extend(packed);
        if image.len() - SECTOR > CORE_MAX {
            return Err(Error::TooLarge { size: image.len() - SECTOR, most: CORE_MAX });
        }
        image.resize(image.len().next_multiple_of(SECTOR), 0);
        let boot = sized("boot.img", stock.boot, SECTOR)?;
        if boot[510..] != [0x55, 0xaa] {
            return Err(Error::Stock { name: "boot.img", problem: "it has no boot signature" });
        }
        let mut code = [0; MBR_CODE];
        code.copy_from_slice(&boot[..MBR_CODE]);
        Ok(Core { boot: code, image })
    }

    /// Bytes it takes on the disk, a multiple of [`SECTOR`].
    pub fn size(&self) -> usize {
        self.image.len()
    }

    /// The bytes for the sectors from `first` on, and the code for the first 440 bytes of the disk.
    pub fn install(&self, first: u64) -> (Vec<u8>, [u8; MBR_CODE]) {
        let mut image = self.image.clone();
        let behind = u16::try_from(image.len() / SECTOR - 1).unwrap_or(u16::MAX);
        image[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(first + 1).to_le_bytes());
        image[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&behind.to_le_bytes());
        image[BLOCK_LIST + 10..SECTOR].copy_from_slice(&KERNEL_SEGMENT.to_le_bytes());
        let mut code = self.boot;
        code[MBR_KERNEL_SECTOR..MBR_KERNEL_SECTOR + 8].copy_from_slice(&first.to_le_bytes());
        // BIOSes say which drive they boot from; the check is for floppies, and wrong on some of them.
        code[MBR_DRIVE_CHECK..MBR_DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
        (image, code)
    }
}

fn sized<'a>(name: &'static str, bytes: &'a [u8], size: usize) -> Result<&'a [u8]> {
    if bytes.len() == size {
        Ok(bytes)
    } else {
        Err(Error::Stock { name, problem: "it isn't one sector long" })
    }
}

/// A 32-bit number in the decompressor.
fn put(image: &mut [u8], at: usize, value: usize) -> Result<()> {
    let value = u32::try_from(value).map_err(|_| Error::TooLarge { size: value, most: CORE_MAX })?;
    image[at..at + 4].copy_from_slice(&value.to_le_bytes());
    Ok(())
}

/// Raw LZMA with the parameters that the decompressor has built in.
fn pack(payload: &[u8]) -> Result<Vec<u8>> {
    let failed = |e: liblzma::stream::Error| Error::Packing(e.to_string());
    let mut options = LzmaOptions::new_preset(9).map_err(failed)?;
    options.dict_size(1 << 22).literal_context_bits(3).literal_position_bits(0).position_bits(2);
    let mut filters = Filters::new();
    filters.lzma1(&options);
    let mut stream = Stream::new_raw_encoder(&filters).map_err(failed)?;
    let mut out = Vec::with_capacity(payload.len() + 4096);
    loop {
        let done = usize::try_from(stream.total_in()).unwrap_or(usize::MAX).min(payload.len());
        let status = stream.process_vec(&payload[done..], &mut out, Action::Finish).map_err(failed)?;
        match status {
            Status::StreamEnd => return Ok(out),
            _ => out.reserve(4096),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of the right shape.
    fn stock(kernel: &[u8]) -> Result<Core> {
        let mut boot = [0u8; SECTOR];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut decompressor = [0u8; 64];
        decompressor[0] = 0xea;
        let stock = Stock { boot: &boot, diskboot: &[7; SECTOR], kernel, decompressor: &decompressor };
        Core::new(&stock, &[b"module"], "echo hello\n")
    }

    #[test]
    fn sectors_are_written_where_the_images_look() {
        let core = stock(&kernel::tests::elf(b"kernel")).unwrap();
        assert_eq!(core.size() % SECTOR, 0);
        let (image, code) = core.install(34);
        assert_eq!(code[0x5c..0x64], 34u64.to_le_bytes());
        assert_eq!(image[500..508], 35u64.to_le_bytes());
        assert_eq!(image[508..510], u16::try_from(core.size() / SECTOR - 1).unwrap().to_le_bytes());
        assert_eq!(image[510..512], [0x20, 0x08]);
        assert_eq!(core.install(34), (image, code.to_owned()), "the same bytes again");
    }

    #[test]
    fn what_is_no_stock_image_is_refused() {
        let good = kernel::tests::elf(b"kernel");
        assert!(stock(&good[..40]).unwrap_err().to_string().contains("kernel.img"));
        let one = [0u8; SECTOR];
        let stock = Stock { boot: &one, diskboot: &one, kernel: &good, decompressor: &one };
        assert!(Core::new(&stock, &[], "").unwrap_err().to_string().contains("far jump"));
        let mut jump = one;
        jump[0] = 0xea;
        let stock = Stock { decompressor: &jump, ..stock };
        assert!(Core::new(&stock, &[], "").unwrap_err().to_string().contains("no boot signature"));
        let stock = Stock { diskboot: &one[..500], ..stock };
        assert!(Core::new(&stock, &[], "").unwrap_err().to_string().contains("one sector"));
    }

    #[test]
    fn what_does_not_fit_below_the_bios_is_refused() {
        // Nothing that could be packed.
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(600_000)
        .collect();
        assert!(matches!(stock(&kernel::tests::elf(&noise)), Err(Error::TooLarge { .. })));
    }
}
