//! Sizes as people write them: `512M`, `6G`, always in powers of 1024.

/// Reads `4096`, `512K`, `64M`, `6G`, `1T`, with an optional `iB` or `B` behind the letter.
///
/// Returns a sentence that says what is wrong.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim_start().trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("{text:?} is not a size; write it as 512M, 6G or a number of bytes")),
    };
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("{text:?} is not a size; write it as 512M, 6G or a number of bytes"))?;
    number.checked_mul(1 << unit).ok_or_else(|| format!("{text:?} is more than 2^64 bytes"))
}

/// A size for people: `64.0 MiB`.
pub fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("4096", Some(4096)),
            ("1K", Some(1024)),
            ("6G", Some(6 << 30)),
            ("64MiB", Some(64 << 20)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("-1", None),
            ("99999999T", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text}");
        }
        assert_eq!(human(64 << 20), "64.0 MiB");
        assert_eq!(human(12), "12 B");
    }
}
