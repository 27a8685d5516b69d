//! Licences from machine-readable `debian/copyright` files (DEP-5): SPDX expressions, and only where every
//! short name in the file means exactly one SPDX licence.

use std::collections::BTreeSet;

use crate::dpkg;

/// Debian's short names, in lower case, and what SPDX calls the same licence.
const NAMES: &[(&str, &str)] = &[
    ("0bsd", "0BSD"),
    ("afl-2.1", "AFL-2.1"),
    ("agpl-3", "AGPL-3.0-only"),
    ("agpl-3+", "AGPL-3.0-or-later"),
    ("apache-1.0", "Apache-1.0"),
    ("apache-1.1", "Apache-1.1"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic-1.0", "Artistic-1.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1.0", "BSL-1.0"),
    ("bzip2-1.0.6", "bzip2-1.0.6"),
    ("cc-by-3.0", "CC-BY-3.0"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("curl", "curl"),
    ("epl-1.0", "EPL-1.0"),
    ("expat", "MIT"),
    ("ftl", "FTL"),
    ("gfdl-1.1+", "GFDL-1.1-or-later"),
    ("gfdl-1.2", "GFDL-1.2-only"),
    ("gfdl-1.2+", "GFDL-1.2-or-later"),
    ("gfdl-1.3", "GFDL-1.3-only"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gfdl-niv-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-2.0+", "GPL-2.0-or-later"),
    ("gpl-2.0-only", "GPL-2.0-only"),
    ("gpl-2.0-or-later", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("gpl-3.0+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.0+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-2.1-or-later", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("lgpl-3.0", "LGPL-3.0-only"),
    ("lgpl-3.0+", "LGPL-3.0-or-later"),
    ("mit", "MIT"),
    ("mit-0", "MIT-0"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2.0", "MPL-2.0"),
    ("ofl-1.1", "OFL-1.1"),
    ("openssl", "OpenSSL"),
    ("psf-2", "PSF-2.0"),
    ("qpl-1.0", "QPL-1.0"),
    ("sil-1.1", "OFL-1.1"),
    ("unicode-3.0", "Unicode-3.0"),
    ("unlicense", "Unlicense"),
    ("vim", "Vim"),
    ("wtfpl", "WTFPL"),
    ("x11", "X11"),
    ("zlib", "Zlib"),
];

/// The licences that all files of a package are under, as an SPDX expression; `None` when the text isn't
/// machine-readable or has a licence that SPDX doesn't know by that name.
pub(super) fn declared(copyright: &str) -> Option<String> {
    let paragraphs = dpkg::paragraphs(copyright);
    let (head, rest) = paragraphs.split_first()?;
    let format = head.get("Format").or_else(|| head.get("Format-Specification"))?;
    if !format.contains("copyright-format") && !format.contains("dep5") {
        return None;
    }
    let mut all = BTreeSet::new();
    for paragraph in rest.iter().filter(|p| p.contains_key("Files")) {
        all.insert(expression(paragraph.get("License")?.lines().next()?)?);
    }
    let several = all.len() > 1;
    // One with parentheses is held together by AND already.
    let loose = |e: &str| several && e.contains(" OR ") && !e.contains('(');
    let parts: Vec<String> = all.into_iter().map(|e| if loose(&e) { format!("({e})") } else { e }).collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

/// An expression of DEP-5: `and` binds closer than `or`, but for a comma before `and`.
fn expression(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let groups: Vec<&str> = text.split(", and ").collect();
    let all: Option<Vec<String>> = groups
        .iter()
        .map(|group| {
            let one_of: Option<Vec<String>> = group.split(" or ").map(all_of).collect();
            let joined = one_of?.join(" OR ");
            Some(if groups.len() > 1 && joined.contains(" OR ") { format!("({joined})") } else { joined })
        })
        .collect();
    Some(all?.join(" AND "))
}

fn all_of(text: &str) -> Option<String> {
    let name = |word: &str| {
        let word = word.trim();
        NAMES.iter().find(|(debian, _)| *debian == word).map(|(_, spdx)| *spdx)
    };
    let names: Option<Vec<&str>> = text.split(" and ").map(name).collect();
    Some(names?.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: X\n\n";

    #[test]
    fn expressions() {
        for (text, want) in [
            ("GPL-2+", Some("GPL-2.0-or-later")),
            ("Expat", Some("MIT")),
            ("GPL-2+ or Expat", Some("GPL-2.0-or-later OR MIT")),
            ("GPL-2+ or Expat and ISC", Some("GPL-2.0-or-later OR MIT AND ISC")),
            ("GPL-2+ or Expat, and ISC", Some("(GPL-2.0-or-later OR MIT) AND ISC")),
            ("GPL-2+ with OpenSSL exception", None),
            ("public-domain", None),
            ("Expat, ISC", None),
            ("", None),
        ] {
            assert_eq!(expression(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn one_unknown_licence_makes_all_unknown() {
        let files = |licences: &[&str]| {
            let text: String = licences
                .iter()
                .map(|l| format!("Files: *\nCopyright: x\nLicense: {l}\n text of it\n\n"))
                .collect();
            declared(&format!("{HEAD}{text}License: Other\n text\n"))
        };
        assert_eq!(files(&["GPL-2+", "Expat", "GPL-2+"]).as_deref(), Some("GPL-2.0-or-later AND MIT"));
        assert_eq!(files(&["Expat or ISC", "Zlib"]).as_deref(), Some("(MIT OR ISC) AND Zlib"));
        assert_eq!(
            files(&["Expat or ISC, and X11", "Zlib"]).as_deref(),
            Some("(MIT OR ISC) AND X11 AND Zlib")
        );
        assert_eq!(files(&["Expat or ISC"]).as_deref(), Some("MIT OR ISC"));
        assert_eq!(files(&["Expat", "permissive"]), None);
        assert_eq!(files(&[]), None);
        assert_eq!(declared("This package was debianized by\n\nFiles: *\nLicense: Expat\n"), None);
    }
}
