//! Shell wildcards, as used by `ld.so.conf` includes, module aliases and hardware matches.

/// Whether `text` matches `pattern`, where `*` stands for any bytes, `?` for one and `[a-z]`,
/// `[!a-z]` for one of (or none of) a set. A bracket that never closes stands for itself. The
/// meaning is that of POSIX `fnmatch` without flags and without character classes.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            None => text.get(t).is_none().then_some(0),
            Some(one) => text.get(t).and_then(|c| match one {
                b'?' => Some(1),
                b'[' => match set(pattern.get(p + 1..).unwrap_or_default(), *c) {
                    Some((true, len)) => Some(1 + len),
                    Some((false, _)) => None,
                    None => (*c == b'[').then_some(1),
                },
                b'\\' => match pattern.get(p + 1) {
                    Some(next) => (next == c).then_some(2),
                    None => (*c == b'\\').then_some(1),
                },
                _ => (one == c).then_some(1),
            }),
        };
        match (step, retry) {
            (Some(0), _) => return true,
            (Some(len), _) => {
                p += len;
                t += 1;
            }
            (None, Some((star, from))) if from < text.len() => {
                retry = Some((star, from + 1));
                p = star;
                t = from + 1;
            }
            (None, _) => return false,
        }
    }
}

/// Whether `c` is in the set that starts after its `[`, and how long the set is with its `]`.
fn set(body: &[u8], c: u8) -> Option<(bool, usize)> {
    let negated = matches!(body.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut hit = false;
    loop {
        let low = *body.get(at)?;
        if low == b']' && at > first {
            return Some((hit != negated, at + 1));
        }
        match (body.get(at + 1), body.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                hit |= (low..=*high).contains(&c);
                at += 3;
            }
            _ => {
                hit |= low == c;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let cases: [(&str, &str, bool); 16] = [
            ("", "", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*d", "axbycd", true),
            ("a*b*e", "axbycd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("pci:v*d*sv*", "pci:v00001AF4d00001000sv0", true),
            ("cpu:type:x86*feature:*0081*", "cpu:type:x86,ven0fam6feature:,0081,", true),
            ("\\*", "*", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
