//! dpkg's files: paragraphs of fields (deb822(5)), and where a tree or an image keeps its database.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Folders that may hold the database: where a tree has it, and where a hermetic /usr has it.
pub(crate) const DATABASES: [&str; 2] = ["/var/lib/dpkg", "/usr/share/factory/var/lib/dpkg"];

/// The fields of a paragraph by name. Values keep the line breaks between continuation lines.
pub(crate) type Paragraph<'a> = BTreeMap<&'a str, String>;

/// The paragraphs of `text`. Lines that belong to no field are left out.
pub(crate) fn paragraphs(text: &str) -> Vec<Paragraph<'_>> {
    let (mut all, mut paragraph) = (Vec::new(), Paragraph::new());
    let mut field: Option<&str> = None;
    for line in text.lines() {
        if line.trim().is_empty() {
            if !paragraph.is_empty() {
                all.push(std::mem::take(&mut paragraph));
            }
            field = None;
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = field.and_then(|name| paragraph.get_mut(name)) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            field = Some(name);
            paragraph.insert(name, value.trim().to_owned());
        }
    }
    if !paragraph.is_empty() {
        all.push(paragraph);
    }
    all
}

/// Whether the paragraph is that of an installed package (`Status: install ok installed`).
pub(crate) fn is_installed(paragraph: &Paragraph<'_>) -> bool {
    paragraph.get("Status").is_some_and(|s| s.ends_with(" installed"))
}

/// Which of two versions is the later one (deb-version(7)).
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    fn parts(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| compare_parts(a.1, b.1)).then_with(|| compare_parts(a.2, b.2))
}

/// Text and numbers in turn: `~` before the end, letters before everything else.
fn compare_parts(mut a: &str, mut b: &str) -> Ordering {
    fn cut<'a>(text: &mut &'a str, digits: bool) -> &'a str {
        let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        *text = rest;
        head
    }
    fn weight(c: Option<char>) -> u32 {
        match c {
            Some('~') => 0,
            None => 1,
            Some(c) if c.is_ascii_alphabetic() => 1 + u32::from(c),
            Some(c) => 1000 + u32::from(c),
        }
    }
    while !a.is_empty() || !b.is_empty() {
        let (mut x, mut y) = (cut(&mut a, false).chars(), cut(&mut b, false).chars());
        loop {
            let (c, d) = (x.next(), y.next());
            match weight(c).cmp(&weight(d)) {
                Ordering::Equal if c.is_none() => break,
                Ordering::Equal => {}
                other => return other,
            }
        }
        let (m, n) = (cut(&mut a, true).trim_start_matches('0'), cut(&mut b, true).trim_start_matches('0'));
        match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
            Ordering::Equal => {}
            other => return other,
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions() {
        for (a, b) in [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("9.9-9", "1:0.1-1"),
            ("1.0-1", "1.0-1+deb13u1"),
            ("1.0-1~bpo12+1", "1.0-1"),
            ("1.0-2", "1.0-10"),
            ("99999999999999999999998", "99999999999999999999999"),
        ] {
            assert_eq!(compare_versions(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare_versions(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(compare_versions("1.0-0", "1.0"), Ordering::Equal);
        assert_eq!(compare_versions("01.00", "1.0"), Ordering::Equal);
    }

    #[test]
    fn fields_go_on_in_lines_that_are_indented() {
        let text =
            "Package: a\nDescription: short\n long: one\n .\n\n\n#comment: x\nPackage: b\nEmpty:\n x\n";
        let found = paragraphs(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["Description"], "short\nlong: one\n.");
        assert_eq!((found[1]["Package"].as_str(), found[1]["Empty"].as_str()), ("b", "\nx"));
        assert!(!is_installed(&found[0]));
    }
}
