//! SMBIOS strings: the channel through which systemd-stub and the guest's PID 1 take their orders.
//!
//! Both read the "OEM strings" (type 11). PID 1 finds them in `/sys/firmware/dmi/entries`, which works
//! before any module is loaded; QEMU's other channel, fw_cfg, needs a module first.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, ensure};
use base64::Engine as _;

/// What all OEM strings may take together. They share one table with a 16-bit length, and firmware drops
/// all of them without a word when the tables outgrow 64 KiB; the rest is for the machine's own tables.
pub(crate) const TOTAL_MAX: usize = 62 * 1024;

/// Strings up to this length are shown on QEMU's command line, longer ones travel in a file.
pub(crate) const INLINE_MAX: usize = 4096;

/// Doubles the commas, which separate options on QEMU's command line.
pub(crate) fn comma_escaped(text: &str) -> String {
    text.replace(',', ",,")
}

/// A path as the value of a QEMU option.
pub(crate) fn comma_escaped_path(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let mut bytes = Vec::with_capacity(path.as_os_str().len());
    for &byte in path.as_os_str().as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(byte);
        }
    }
    OsString::from_vec(bytes)
}

/// Checks a credential's name by systemd's rules.
pub(crate) fn check_credential_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_graphic() && !"/:=".contains(c);
    ensure!(
        !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && name.chars().all(good),
        "{name:?} is not the name of a credential; use up to 255 printable characters without `/`, `:` and `=`"
    );
    Ok(())
}

/// The OEM string that carries a credential: readable when the value is plain text, base64 otherwise.
pub(crate) fn credential(name: &str, value: &[u8]) -> String {
    let plain = value.iter().all(|b| (0x20..0x7f).contains(b))
        && value.first() != Some(&b' ')
        && value.last() != Some(&b' ');
    if let Some(text) = std::str::from_utf8(value).ok().filter(|_| plain) {
        format!("io.systemd.credential:{name}={text}")
    } else {
        let text = base64::engine::general_purpose::STANDARD.encode(value);
        format!("io.systemd.credential.binary:{name}={text}")
    }
}

/// The OEM string that adds to the kernel's command line.
pub(crate) fn cmdline_extra(text: &str) -> String {
    format!("io.systemd.stub.kernel-cmdline-extra={text}")
}

/// Refuses OEM strings that would not arrive.
pub(crate) fn check(strings: &[String]) -> Result<()> {
    ensure!(
        strings.len() <= 255,
        "{} SMBIOS strings are more than the 255 that fit in one table",
        strings.len()
    );
    for text in strings {
        let name = text.split('=').next().unwrap_or_default();
        ensure!(
            text.bytes().all(|b| b >= 0x20 && b != 0x7f),
            "{name} holds a control character, which SMBIOS strings cannot carry"
        );
    }
    let total: usize = strings.iter().map(|text| text.len() + 1).sum();
    ensure!(
        total <= TOTAL_MAX,
        "credentials, command and kernel arguments take {total} bytes as SMBIOS strings, and {TOTAL_MAX} reach \
         the guest; pass what is long on a disk (--extra-disk) instead"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_stay_readable_and_others_become_base64() {
        assert_eq!(credential("a.b", b"x, y=z"), "io.systemd.credential:a.b=x, y=z");
        assert_eq!(credential("a", b""), "io.systemd.credential:a=");
        assert_eq!(credential("a", b"1\n2"), "io.systemd.credential.binary:a=MQoy");
        assert_eq!(credential("a", b" 1"), "io.systemd.credential.binary:a=IDE=");
        assert_eq!(credential("a", &[0xff]), "io.systemd.credential.binary:a=/w==");
    }

    #[test]
    fn commas_are_doubled() {
        assert_eq!(comma_escaped("a,b,,c"), "a,,b,,,,c");
        assert_eq!(comma_escaped_path(Path::new("/a,b")), "/a,,b");
    }

    #[test]
    fn what_would_not_arrive_is_refused() {
        assert!(check(&["a=b".into()]).is_ok());
        assert!(check(&["a=b\nc".into()]).is_err());
        assert!(check(&["a".repeat(TOTAL_MAX)]).is_err());
        assert!(check(&vec!["a".to_owned(); 256]).is_err());
        for name in ["", ".", "..", "a/b", "a:b", "a=b", "a b", "a\n"] {
            assert!(check_credential_name(name).is_err(), "{name:?}");
        }
        check_credential_name("systemd.unit-dropin.multi-user.target~x@y").unwrap();
    }
}
