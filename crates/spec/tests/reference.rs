//! docs/reference/spec.md is what the table of keys says.

use std::path::Path;

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/spec.md");
    let want = twinhull_spec::reference_markdown();
    if std::env::var_os("TWINHULL_BLESS").is_some() {
        fs_err::write(&path, &want).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        found == want,
        "docs/reference/spec.md is out of date; TWINHULL_BLESS=1 cargo test -p twinhull-spec writes it"
    );
}
