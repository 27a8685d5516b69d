//! Messages of several documents, as cloud-init's and Terraform's tools make them. Only what such messages
//! have is read: it is a small part of MIME, and each of its sizes has a bound.

use super::envelope;

/// The most bytes that the headers of a message or part have together.
const HEADERS: usize = 16 << 10;

/// The most parts of a message.
const PARTS: usize = 32;

/// A part whose transfer encoding is undone, or a message whose parts are to be found.
#[derive(PartialEq, Eq)]
pub(super) struct Entity {
    /// Type and subtype, in lower case; empty if it doesn't say.
    pub(super) kind: String,
    /// What stands between its parts, if it has parts.
    pub(super) boundary: Option<String>,
    /// The rest.
    pub(super) body: Vec<u8>,
}

/// Reads headers and undoes the transfer encoding.
pub(super) fn entity(bytes: &[u8]) -> Result<Entity, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (fields, body) = headers(bytes)?;
    let value = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
    let content_type = value("content-type");
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let kind = kind.trim().to_ascii_lowercase();
    let boundary = kind.starts_with("multipart/").then(|| parameter(parameters, "boundary")).flatten();
    if kind.starts_with("multipart/") && boundary.is_none() {
        return Err("a multipart message needs a `boundary` in its Content-Type".into());
    }
    let encoding = value("content-transfer-encoding").to_ascii_lowercase();
    let body = match encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" => body.to_vec(),
        "base64" => envelope::base64(body).ok_or("its body isn't base64, although its header says so")?,
        "quoted-printable" => {
            quoted_printable(body).ok_or("its body isn't quoted-printable, although its header says so")?
        }
        _ => return Err("its Content-Transfer-Encoding isn't 7bit, 8bit, base64 or quoted-printable".into()),
    };
    Ok(Entity { kind, boundary, body })
}

type Headers = Vec<(String, String)>;

/// Header fields, unfolded, with their names in lower case, and what follows the empty line.
fn headers(bytes: &[u8]) -> Result<(Headers, &[u8]), String> {
    let mut fields: Headers = Vec::new();
    let (mut rest, mut size) = (bytes, 0);
    loop {
        let (line, after) = line(rest);
        size += rest.len() - after.len();
        if size > HEADERS {
            return Err(format!("its headers have more than {HEADERS} bytes"));
        }
        rest = after;
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            return Ok((fields, rest));
        }
        match (text.starts_with([' ', '\t']), fields.last_mut(), text.split_once(':')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(text.trim());
            }
            (false, _, Some((name, value))) if !name.trim().contains(' ') => {
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
            (false, None, _) if text.starts_with("From ") => {}
            _ => return Err("its headers don't end in an empty line, or one of them isn't a header".into()),
        }
    }
}

/// The first line without its end, and what follows it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match bytes.iter().position(|b| *b == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(wanted) {
            let value = value.trim();
            return (!value.is_empty() && value.len() <= 200).then(|| value.to_owned());
        }
        rest = next;
    }
    None
}

/// The parts between boundaries. What stands before the first and after the last is for mail programs.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, String> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut out = Vec::new();
    let (mut rest, mut start, mut end) = (body, None, 0);
    while !rest.is_empty() {
        let at = body.len() - rest.len();
        let (text, after) = line(rest);
        let marked = text.strip_prefix(delimiter.as_slice()).map(<[u8]>::trim_ascii);
        if let Some(mark @ (b"" | b"--")) = marked {
            if let Some(start) = start {
                if out.len() == PARTS {
                    return Err(format!("it has more than {PARTS} parts"));
                }
                // The line's end before a delimiter belongs to the delimiter.
                out.push(&body[start..end.max(start)]);
            }
            if mark == b"--" {
                return Ok(out);
            }
            start = Some(body.len() - after.len());
        }
        end = at + text.len();
        rest = after;
    }
    match start {
        Some(_) => Err("its last part has no end: the message is cut off".into()),
        None => Err("the boundary that its Content-Type names is nowhere in it".into()),
    }
}

fn quoted_printable(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (text, after) = line(rest);
        let ended = rest.len() > after.len() && rest[rest.len() - after.len() - 1] == b'\n';
        let crlf = rest.get(text.len()) == Some(&b'\r');
        rest = after;
        let text = text.trim_ascii_end();
        let (text, soft) = text.strip_suffix(b"=").map_or((text, false), |t| (t, true));
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if byte == b'=' {
                let digits = std::str::from_utf8(text.get(at + 1..at + 3)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                at += 3;
            } else {
                out.push(byte);
                at += 1;
            }
        }
        if ended && !soft {
            out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_text() {
        for (coded, want) in [
            ("a=3Db =\r\nc\r\nd=C3=A4  \n", Some("a=b c\r\nd\u{e4}\n")),
            ("a=\n", Some("a")),
            ("", Some("")),
            ("=4", None),
            ("=zz", None),
        ] {
            assert_eq!(quoted_printable(coded.as_bytes()).as_deref(), want.map(str::as_bytes), "{coded}");
        }
    }

    #[test]
    fn parameters() {
        for (text, want) in [
            (" boundary=\"a;b=c\"; charset=x", Some("a;b=c")),
            ("charset=\"x\"; Boundary=abc ;", Some("abc")),
            ("boundary=", None),
            ("boundary=\"a", None),
            ("", None),
        ] {
            assert_eq!(parameter(text, "boundary").as_deref(), want, "{text}");
        }
    }

    #[test]
    fn parts_of_all_kinds() {
        let text = |body: &str| {
            parts(body.as_bytes(), "b").map(|p| {
                p.into_iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>().join("|")
            })
        };
        assert_eq!(text("pre\n--b\r\none\r\n\r\n--b \ntwo\n--b--\nafter"), Ok("one\r\n|two".into()));
        assert_eq!(text("--b\n--bc\n--b--"), Ok("--bc".into()));
        assert_eq!(text("--b\n--b--"), Ok(String::new()));
        assert!(text("--b\ncut").unwrap_err().contains("cut off"));
        assert!(text("nothing").unwrap_err().contains("nowhere"));
        assert!(text(&"--b\n".repeat(40)).unwrap_err().contains("more than 32 parts"));
        assert!(entity("X: y\n".repeat(9000).as_bytes()).is_err_and(|e| e.contains("headers have more")));
    }
}
