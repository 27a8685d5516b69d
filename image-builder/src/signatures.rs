//! Who signed the EFI programs on an ESP, for `inspect`.

use serde::Serialize;
use twinhull_secureboot::{self as secureboot, State};

use crate::image::{shown, shown_or_dash};

/// An EFI program and its signatures.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    path: String,
    /// Empty when it isn't signed.
    signatures: Vec<Signature>,
}

#[derive(Debug, Serialize)]
struct Signature {
    state: &'static str,
    subject: Option<String>,
    certificate_sha256: Option<String>,
}

/// Whether a file of the ESP is an EFI program by its name.
pub(crate) fn is_program(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".efi")
}

/// Reads and checks the signatures of the program `data`.
pub(crate) fn program(path: &str, data: &[u8], problems: &mut Vec<String>) -> Program {
    let found = secureboot::signatures(data).unwrap_or_else(|error| {
        problems.push(format!("{path}: {error}"));
        Vec::new()
    });
    let signatures = found
        .into_iter()
        .map(|signature| {
            let state = match signature.state {
                State::Verified => "verified",
                State::Altered => "altered",
                State::Wrong => "wrong",
                State::Unreadable => "unreadable",
            };
            if matches!(signature.state, State::Altered | State::Wrong) {
                let what =
                    if state == "wrong" { "its signature is wrong" } else { "it was altered after signing" };
                problems.push(format!("{path}: {what}"));
            }
            Signature {
                state,
                subject: signature.certificate.as_ref().map(|c| c.subject()),
                certificate_sha256: signature.certificate.as_ref().map(|c| c.sha256()),
            }
        })
        .collect();
    Program { path: path.to_owned(), signatures }
}

/// The programs as a table for people.
pub(crate) fn render(programs: &[Program]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "\n  EFI program                                 signature   signer and SHA-256 of its certificate"
    );
    for program in programs {
        let path = shown(program.path.as_bytes());
        if program.signatures.is_empty() {
            let _ = writeln!(out, "  {path:<43} none");
        }
        for signature in &program.signatures {
            let _ = writeln!(
                out,
                "  {path:<43} {:<11} {}  {}",
                signature.state,
                shown_or_dash(signature.subject.as_deref()),
                signature.certificate_sha256.as_deref().unwrap_or("-")
            );
        }
    }
    out
}

/// A program called `path` that `subject` has signed.
#[cfg(test)]
pub(crate) fn named(path: &str, subject: &str) -> Program {
    let signature =
        Signature { state: "verified", subject: Some(subject.to_owned()), certificate_sha256: None };
    Program { path: path.to_owned(), signatures: vec![signature] }
}
