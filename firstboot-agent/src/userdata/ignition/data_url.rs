//! `data:` URLs: contents in the document itself.

use crate::userdata::envelope;

/// The contents of a source, or why there are none.
pub(super) fn contents(source: &str) -> Result<Vec<u8>, String> {
    if source.is_empty() {
        return Ok(Vec::new());
    }
    let scheme = source.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    if scheme != "data" {
        return Err(match scheme.as_str() {
            "http" | "https" | "tftp" | "s3" | "gs" | "arn" => format!(
                "`{scheme}:` isn't fetched, nothing is beyond user data: give the contents as a data: URL, or put the \
                 file into the image"
            ),
            _ => "`source` is a data: URL".into(),
        });
    }
    let rest = &source["data:".len()..];
    let (about, data) = rest.split_once(',').ok_or("this data: URL has no comma")?;
    let bytes = percent(data.as_bytes()).ok_or("this data: URL has a `%` without two hexadecimal digits")?;
    if about.rsplit(';').next().is_some_and(|word| word.trim().eq_ignore_ascii_case("base64")) {
        return envelope::base64(&bytes).ok_or_else(|| "this data: URL says base64, but isn't".into());
    }
    Ok(bytes)
}

fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            let digit = |b: u8| char::from(b).to_digit(16);
            out.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::contents;

    #[test]
    fn urls() {
        for (source, want) in [
            ("data:,a%20b%0A", Ok("a b\n")),
            ("data:,", Ok("")),
            ("", Ok("")),
            ("data:text/plain;charset=utf-8;base64,aGk=", Ok("hi")),
            ("data:;base64,aGk%3D", Ok("hi")),
            ("DATA:text/plain,a,b", Ok("a,b")),
            ("data:,%C3%A4", Ok("\u{e4}")),
            ("data:abc", Err("no comma")),
            ("data:,%4", Err("hexadecimal")),
            ("data:,%+1", Err("hexadecimal")),
            ("data:;base64,!!", Err("base64")),
            ("https://example.com/x", Err("`https:` isn't fetched")),
            ("file:///etc/x", Err("is a data: URL")),
        ] {
            match (contents(source), want) {
                (Ok(bytes), Ok(want)) => assert_eq!(bytes, want.as_bytes(), "{source}"),
                (Err(problem), Err(want)) => assert!(problem.contains(want), "{problem}"),
                (got, _) => panic!("{source}: {got:?}"),
            }
        }
    }
}
