//! The parts of SPDX 2.3 that an image needs, in its JSON form (spdx.github.io/spdx-spec/v2.3). Fields are
//! written in this order, lists in that of their makers.

use serde::Serialize;

/// What SPDX calls something that nobody says anything about.
pub(super) const NOASSERTION: &str = "NOASSERTION";

/// Identifier of the document itself.
pub(super) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// A document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(super) spdx_version: &'static str,
    pub(super) data_license: &'static str,
    #[serde(rename = "SPDXID")]
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) document_namespace: String,
    pub(super) creation_info: CreationInfo,
    pub(super) packages: Vec<Package>,
    pub(super) relationships: Vec<Relationship>,
}

/// Who made a document, and when.
#[derive(Debug, Serialize)]
pub(super) struct CreationInfo {
    /// `2026-01-31T12:00:00Z`.
    pub(super) created: String,
    pub(super) creators: Vec<String>,
}

/// A package: the image, one of the distribution's, or one of our programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Package {
    #[serde(rename = "SPDXID")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) package_file_name: Option<String>,
    pub(super) supplier: String,
    pub(super) download_location: &'static str,
    /// Whether the files of the package are listed; they never are.
    pub(super) files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) homepage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_info: Option<String>,
    pub(super) license_concluded: &'static str,
    pub(super) license_declared: String,
    pub(super) copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) external_refs: Vec<ExternalRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) primary_package_purpose: Option<&'static str>,
}

impl Package {
    /// A package of which only the name is known.
    pub(super) fn new(id: String, name: String) -> Self {
        Package {
            id,
            name,
            version_info: None,
            package_file_name: None,
            supplier: NOASSERTION.into(),
            download_location: NOASSERTION,
            files_analyzed: false,
            checksums: Vec::new(),
            homepage: None,
            source_info: None,
            license_concluded: NOASSERTION,
            license_declared: NOASSERTION.into(),
            copyright_text: NOASSERTION,
            summary: None,
            external_refs: Vec::new(),
            primary_package_purpose: None,
        }
    }
}

/// A digest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checksum {
    pub(super) algorithm: &'static str,
    pub(super) checksum_value: String,
}

impl Checksum {
    /// SHA-256 in hexadecimal.
    pub(super) fn sha256(value: String) -> Self {
        Checksum { algorithm: "SHA256", checksum_value: value }
    }
}

/// What others call a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalRef {
    pub(super) reference_category: &'static str,
    pub(super) reference_type: &'static str,
    pub(super) reference_locator: String,
}

/// That one package has to do with another.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub(super) struct Relationship {
    pub(super) spdx_element_id: String,
    pub(super) relationship_type: &'static str,
    pub(super) related_spdx_element: String,
}

impl Relationship {
    pub(super) fn new(from: &str, kind: &'static str, to: &str) -> Self {
        Relationship {
            spdx_element_id: from.into(),
            relationship_type: kind,
            related_spdx_element: to.into(),
        }
    }
}

/// An identifier made of `parts`. Characters that SPDX doesn't allow become hyphens; a digest keeps apart what
/// would be the same then.
pub(super) fn id(parts: &[&str]) -> String {
    let text = parts.join("-");
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let plain: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    let digest = twinhull_sysutil::digest::sha256_hex(text.as_bytes());
    if plain == text { format!("SPDXRef-{text}") } else { format!("SPDXRef-{plain}-{}", &digest[..8]) }
}

/// Seconds since 1970 as `YYYY-MM-DDThh:mm:ssZ`; years before 1970 and behind 9999 can't be written.
pub(super) fn time(seconds: i64) -> String {
    let seconds = seconds.clamp(0, 253_402_300_799);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, when leap days come last (Howard Hinnant, chrono-compatible date algorithms).
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + era * 400 + carry;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (-1, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(time(seconds), want);
        }
    }

    #[test]
    fn identifiers() {
        assert_eq!(id(&["deb", "libc6", "amd64"]), "SPDXRef-deb-libc6-amd64");
        assert!(id(&["deb", "g++", "amd64"]).starts_with("SPDXRef-deb-g---amd64-"));
        assert_ne!(id(&["g++"]), id(&["g--"]));
        assert_ne!(id(&["g+-"]), id(&["g-+"]));
    }
}
