//! No input makes the checks panic, and every place is inside the text.

use proptest::prelude::*;
use twinhull_spec::{Diagnostics, EXAMPLE, MAX_ITEMS, parse, parse_bytes};

fn sound(found: &Diagnostics) -> Result<(), TestCaseError> {
    prop_assert!(!found.items.is_empty() && found.items.len() <= MAX_ITEMS);
    let lines: Vec<_> = found.source.split('\n').collect();
    for item in &found.items {
        let places = [Some(&item.place), item.related.as_ref().map(|(place, _)| place)];
        for place in places.into_iter().flatten() {
            let text = found.source.get(place.span.clone());
            prop_assert!(text.is_some(), "{:?}", place);
            prop_assert_eq!(text.unwrap_or_default().chars().count(), place.length);
            prop_assert!(!text.unwrap_or_default().contains('\n'));
            prop_assert!(place.line >= 1 && place.line <= lines.len().max(1));
            prop_assert!(place.column + place.length <= lines[place.line - 1].chars().count() + 1);
        }
    }
    prop_assert!(found.items.is_sorted_by_key(|item| item.place.span.start));
    prop_assert!(found.render(false).contains(&found.summary()));
    prop_assert_eq!(found.to_json().as_array().map(Vec::len), Some(found.items.len()));
    found.render(true);
    Ok(())
}

/// Pieces of which specs and their mistakes are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "image:",
            "id: ",
            "version: ",
            "tree:",
            "debian:",
            "suite: ",
            "packages: ",
            "disk:",
            "modules: [app, nginx]\n",
            "services:",
            "template: app.service",
            "command: [x]",
            "targets:",
            "esp: ",
            "boot:",
            "cmdline: ",
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "'",
            "\"",
            "|\n",
            ">",
            "&a ",
            "*a",
            "!t ",
            "#",
            "? ",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "\t",
            "\r\n",
            "<<",
            "~",
            "true",
            "1.0",
            "12M",
            "é",
            "漢字",
            "\u{202e}",
            "\u{feff}",
            "\u{1b}[31m",
            "trixie",
            "hello",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9_.]{1,12}",
    ]
}

/// PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: default.cases.max(1000), ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(found) = parse_bytes("fuzz", &bytes, None) {
            sound(&found)?;
        }
    }

    #[test]
    fn text(text in "\\PC{0,80}") {
        if let Err(found) = parse("fuzz", &text, None) {
            sound(&found)?;
        }
    }

    #[test]
    fn pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        if let Err(found) = parse("fuzz", &pieces.concat(), None) {
            sound(&found)?;
        }
    }

    #[test]
    fn mutated(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, piece()), 1..6)) {
        let mut text = EXAMPLE.to_owned();
        for (at, remove, insert) in edits {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let end = text[start..].char_indices().nth(remove).map_or(text.len(), |(n, _)| start + n);
            text.replace_range(start..end, &insert);
        }
        if let Err(found) = parse("fuzz", &text, None) {
            sound(&found)?;
        }
    }
}
