//! Words that the hypervisor adds to the kernel's command line, as it can for systemd's stub (systemd-stub(7),
//! `io.systemd.stub.kernel-cmdline-extra`): OEM strings of the SMBIOS tables.

/// Before the words.
const PREFIX: &[u8] = b"io.systemd.stub.kernel-cmdline-extra=";
/// OEM strings (SMBIOS Reference Specification, 7.12).
const OEM_STRINGS: u8 = 11;
/// End of the table (7.45).
const END: u8 = 127;

/// The words in `table`, one after the other; none when it is damaged from some point on.
pub(super) fn extra_words(mut table: &[u8]) -> String {
    let mut found: Vec<String> = Vec::new();
    // Type, length of the fixed part and handle; then the fixed part; then texts with a zero byte each, and one more.
    while let [kind, length, ..] = *table {
        let Some(texts) = table.get(usize::from(length)..).filter(|_| length >= 4) else { break };
        let Some(end) = texts.windows(2).position(|pair| pair == [0, 0]) else { break };
        if kind == OEM_STRINGS {
            let texts = texts[..end].split(|byte| *byte == 0);
            let words = texts.filter_map(|text| text.strip_prefix(PREFIX));
            found.extend(words.filter_map(|words| String::from_utf8(words.to_vec()).ok()));
        }
        if kind == END {
            break;
        }
        table = &texts[end + 2..];
    }
    found.join(" ").split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(kind: u8, fixed: &[u8], texts: &[&str]) -> Vec<u8> {
        let mut out = vec![kind, 4 + fixed.len() as u8, 0, 0];
        out.extend(fixed);
        for text in texts {
            out.extend(text.as_bytes());
            out.push(0);
        }
        if texts.is_empty() {
            out.push(0);
        }
        out.push(0);
        out
    }

    const EXTRA: &str = "io.systemd.stub.kernel-cmdline-extra=";

    #[test]
    fn words_are_found_among_other_strings() {
        let table = [
            structure(0, &[1, 2], &["SeaBIOS"]),
            structure(1, &[0; 23], &[]),
            structure(11, &[3], &["other", &format!("{EXTRA}a=1  b"), "x"]),
            structure(11, &[1], &[&format!("{EXTRA}c")]),
            structure(127, &[], &[]),
            structure(11, &[1], &[&format!("{EXTRA}behind-the-end")]),
        ]
        .concat();
        assert_eq!(extra_words(&table), "a=1 b c");
        assert_eq!(extra_words(&[]), "");
        assert_eq!(extra_words(&[11, 0, 0, 0, 0, 0]), "", "a length of 0 leads nowhere");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(table in proptest::collection::vec(proptest::num::u8::ANY, 0..200), cut in 0_usize..60) {
            let _ = extra_words(&table);
            let mut good = structure(11, &[1], &[&format!("{EXTRA}word")]);
            good.truncate(cut);
            good.extend(&table);
            let _ = extra_words(&good);
        }
    }
}
