//! What looks like a secret. It must not get into an image, which everybody with a copy can read.

/// Beginnings that only secrets have, with what they are.
const PREFIXES: &[(&str, &str)] = &[
    ("-----BEGIN", "a key"),
    ("AKIA", "an access key"),
    ("AGE-SECRET-KEY-", "a key"),
    ("ghp_", "a token"),
    ("github_pat_", "a token"),
    ("glpat-", "a token"),
    ("xoxb-", "a token"),
    ("xoxp-", "a token"),
    ("sk_live_", "a key"),
];

/// Shortest run of letters and digits that is taken for a key.
const KEY_LENGTH: usize = 32;

/// What `text` looks like, if it is a secret.
pub(crate) fn looks_like(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.contains("PRIVATE KEY-----") {
        return Some("a key");
    }
    // What everybody may have also comes as PEM.
    if ["CERTIFICATE", "PUBLIC KEY"].iter().any(|what| text.starts_with(&format!("-----BEGIN {what}-----"))) {
        return None;
    }
    if let Some((_, what)) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Some(what);
    }
    // A password in a URL: scheme://user:password@host
    let login = text.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    if login.is_some_and(|(login, _)| login.split_once(':').is_some_and(|(_, word)| !word.is_empty())) {
        return Some("a password");
    }
    // Digests and identifiers have no capitals beside small letters.
    let random = text.len() >= KEY_LENGTH
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=_-".contains(c))
        && text.chars().any(|c| c.is_ascii_digit())
        && text.chars().any(|c| c.is_ascii_uppercase())
        && text.chars().any(|c| c.is_ascii_lowercase())
        && !text.starts_with('/');
    random.then_some("a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets() {
        for (text, secret) in [
            ("dns-token", false),
            ("/usr/lib/SomeVeryLongFolderName/With2Parts/and-more", false),
            ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false),
            ("postgres://app@db/app", false),
            ("postgres://app:hunter2@db/app", true),
            ("ghp_abcdef", true),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", true),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", false),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n",
                true,
            ),
            ("qZ8vK2mX9pL4wR7tY1uB6nC3sD5fG0hJ", true),
        ] {
            assert_eq!(looks_like(text).is_some(), secret, "{text}");
        }
    }
}
