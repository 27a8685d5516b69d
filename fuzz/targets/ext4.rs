//! The ext4 reader: walk everything, read attributes and a bounded amount of data.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use twinhull_fsimg::ext4::reader::Reader;

fuzz_target!(|image: &[u8]| {
    // A mutated superblock would rarely pass its checksum; without the feature there is none to pass.
    let mut image = image.to_vec();
    if let Some(features) = image.get_mut(1024 + 0x65) {
        *features &= !4;
    }
    let Ok(reader) = Reader::new(image.as_slice()) else { return };
    let (mut entries, mut budget) = (0, 8_u64 << 20);
    let _ = reader.walk(|_, inode| -> twinhull_fsimg::Result<()> {
        entries += 1;
        if entries > 2000 || budget == 0 {
            return Err(twinhull_fsimg::Error::BadSize("enough".into()));
        }
        let _ = (reader.xattrs(inode), reader.places(inode));
        if let Ok(mut file) = reader.open(inode) {
            let read = std::io::copy(&mut (&mut file).take(budget), &mut std::io::sink());
            budget = budget.saturating_sub(read.unwrap_or(0));
        }
        Ok(())
    });
});
