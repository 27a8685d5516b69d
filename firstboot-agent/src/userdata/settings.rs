//! Time zone and time servers: one check for all formats.

/// A time zone by its name, as `Europe/Berlin`. Whether the image has it is seen later.
pub(super) fn time_zone(text: &str) -> Result<String, &'static str> {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_".contains(&b));
    if text.len() <= 64 && text.split('/').all(part) {
        return Ok(text.to_owned());
    }
    Err("a time zone is a name as in Europe/Berlin")
}

/// A time server: a name or an address.
pub(super) fn time_server(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b".:-".contains(&b);
    if !text.is_empty() && text.len() <= 253 && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err("a time server is a host name or an address")
}
