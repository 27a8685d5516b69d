//! The image spec: what one YAML file may say, and what is wrong when it says something else.
//!
//! A spec is read in two steps. First the text becomes a tree whose nodes know their places. Then the tree is
//! compared with the table of keys, which collects every mistake instead of stopping at the first. The same
//! table makes the reference page and the JSON Schema.
//!
//! ```
//! let wrong = "image: {id: hello, version: 1.0}\ntree: {debian: {siute: trixie, packages: vim}}\n";
//! let found = twinhull_spec::from_str(wrong).unwrap_err();
//! assert_eq!(found.items.len(), 2);
//! assert_eq!(found.items[0].hint.as_deref(), Some("did you mean `suite`?"));
//! assert_eq!((found.items[1].place.line, found.items[1].place.column), (2, 42));
//! ```

mod cross;
mod model;
mod reference;
mod schema;
mod services;
mod suggest;
mod validate;

use std::path::Path;

pub use model::{
    Boot, DataDisk, Debian, Disk, Emergency, Encryption, Enroll, Filesystem, Firmware, FleetLock,
    ForeignData, Image, Profile, Provisioning, Reboot, SecureBoot, Spec, System, Target, Through, TreeSource,
    Updates,
};
pub use reference::{EXAMPLE, json_schema, reference_markdown};
pub use twinhull_modules::Output;
pub use twinhull_source::diagnostic::{Code, Diagnostic, Diagnostics, MAX_ITEMS, Place};
pub use twinhull_source::yaml::MAX_SIZE;

use twinhull_source::diagnostic::Report;

/// Reads a spec, without looking for the files it names.
pub fn from_str(text: &str) -> Result<Spec, Diagnostics> {
    parse("spec", text, None)
}

/// Reads a spec called `name`. With `base`, the folder that its paths start from, the files that it names
/// must be there.
pub fn parse(name: &str, text: &str, base: Option<&Path>) -> Result<Spec, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    too_large(name, text.len())?;
    let mut report = Report::new(text);
    let document = twinhull_source::yaml::read(text, &mut report);
    let value = validate::check(&document, base, &mut report);
    if let Some(root) = &document.root {
        cross::check(root, &value, &mut report);
    }
    let output = match &document.root {
        Some(root) if document.complete => services::plan(root, base, &mut report),
        _ => Output::default(),
    };
    if !report.is_empty() {
        return Err(report.finish(name));
    }
    let spec = serde_json::from_value(value).map(|spec| Spec { services: output, ..spec });
    spec.map_err(|error| {
        report
            .add(Code::Internal, &(0..0), "", format!("the spec was checked but can't be used: {error}"))
            .hint("please report this with the spec");
        report.finish(name)
    })
}

/// Like [`parse`], for a file's content, which may not be UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8], base: Option<&Path>) -> Result<Spec, Diagnostics> {
    too_large(name, bytes.len())?;
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(name, text, base),
        Err(error) => {
            let at = error.valid_up_to();
            // What follows is shown as it is read, with marks for what can't be.
            let text = String::from_utf8_lossy(bytes);
            let mut report = Report::new(&text);
            report
                .add(Code::Syntax, &(at..at + 1), "", "the spec is not UTF-8 here".into())
                .hint("save the file as UTF-8");
            Err(report.finish(name))
        }
    }
}

fn too_large(name: &str, length: usize) -> Result<(), Diagnostics> {
    if length <= MAX_SIZE {
        return Ok(());
    }
    let mut report = Report::new("");
    report.add(Code::TooLarge, &(0..0), "", format!("the spec is larger than {MAX_SIZE} bytes"));
    Err(report.finish(name))
}
