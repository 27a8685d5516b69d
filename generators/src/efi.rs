//! Which ESP the machine came from: what systemd-boot says in an EFI variable (the Boot Loader Interface of systemd), or what
//! the bridge says on the kernel's command line, where there is no such firmware.

use crate::Context;

const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// UUID of that partition, lower case; `None` when neither systemd-boot nor the bridge started the machine, and for anything
/// that isn't a UUID.
pub fn loader_partition(context: &Context) -> Option<String> {
    let text = from_systemd_boot(context).or_else(|| context.option(twinhull_slots::ESP_PARTITION))?;
    let text = text.to_ascii_lowercase();
    let valid = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    valid.then_some(text)
}

fn from_systemd_boot(context: &Context) -> Option<String> {
    let path = format!("/sys/firmware/efi/efivars/LoaderDevicePartUUID-{LOADER_VENDOR}");
    let raw = fs_err::read(context.path(&path)).ok()?;
    // Four bytes of attributes, then UTF-16 with a final NUL.
    let units: Vec<u16> = raw.get(4..)?.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    Some(String::from_utf16(&units).ok()?.trim_end_matches('\0').to_owned())
}
