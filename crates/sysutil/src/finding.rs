//! What a look at the host finds: what there is, whether it will do, and what to do about it.

use std::fmt::Write as _;

use serde::Serialize;

/// Whether something will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It will.
    Good,
    /// It will, but slowly, or not for everything.
    Limited,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, such as `QEMU`.
    pub subject: String,
    /// Whether it will do.
    pub verdict: Verdict,
    /// What there is, as half a sentence.
    pub found: String,
    /// What to do, as a sentence; only of what isn't good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// Something that will do.
    pub fn good(subject: &str, found: impl Into<String>) -> Self {
        Finding { subject: subject.into(), verdict: Verdict::Good, found: found.into(), fix: None }
    }

    /// Something that will do, but slowly, or not for everything.
    pub fn limited(subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding {
            subject: subject.into(),
            verdict: Verdict::Limited,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    /// Something without which nothing works.
    pub fn bad(subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { verdict: Verdict::Bad, ..Finding::limited(subject, found, fix) }
    }
}

/// A line each for people, with what to do below it.
pub fn render<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut out = String::new();
    for Finding { subject, verdict, found, fix } in findings {
        let word = match verdict {
            Verdict::Good => "ok",
            Verdict::Limited => "limited",
            Verdict::Bad => "MISSING",
        };
        let _ = writeln!(out, "{word:<8} {subject:<16} {found}");
        if let Some(fix) = fix {
            let _ = writeln!(out, "{:<8} {:<16} → {fix}", "", "");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_stands_below_what_it_fixes() {
        let findings = [
            Finding::good("QEMU", "10.0"),
            Finding::limited("KVM", "there is no /dev/kvm", "guests are emulated"),
            Finding::bad("mmdebstrap", "not found", "install it"),
        ];
        let text = render(&findings);
        let words: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(words, ["ok", "limited", "→", "MISSING", "→"]);
        assert!(findings[0].verdict < findings[1].verdict && findings[1].verdict < findings[2].verdict);
    }
}
