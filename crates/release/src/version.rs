//! Order of versions by the rules of the UAPI.10 Version Format Specification, which are systemd's.

use std::cmp::Ordering;

/// Compares two versions; any text has a place in the order.
///
/// Source: UAPI.10, "Version Comparison"; `systemd-analyze compare-versions` says the same.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_foreign(a);
        b = skip_foreign(b);
        // A pre-release comes before what it prepares.
        match separated(a, b, b'~') {
            Ok((rest_a, rest_b)) => (a, b) = (rest_a, rest_b),
            Err(order) => return order,
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        for separator in *b"-^." {
            match separated(a, b, separator) {
                Ok((rest_a, rest_b)) => (a, b) = (rest_a, rest_b),
                Err(order) => return order,
            }
        }
        let digit = |side: &[u8]| side.first().is_some_and(u8::is_ascii_digit);
        let digits = digit(a) || digit(b);
        let belongs = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
        let (run_a, rest_a) = a.split_at(a.iter().take_while(|c| belongs(c)).count());
        let (run_b, rest_b) = b.split_at(b.iter().take_while(|c| belongs(c)).count());
        let order = if digits { numbers(run_a, run_b) } else { run_a.cmp(run_b) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// What is neither letter, digit nor separator has no say.
fn skip_foreign(text: &[u8]) -> &[u8] {
    let foreign = |c: &u8| !c.is_ascii_alphanumeric() && !b"~-^.".contains(c);
    &text[text.iter().take_while(|c| foreign(c)).count()..]
}

/// Behind the separator when both sides or neither begin with it; otherwise the side that does is the lesser.
fn separated<'a>(a: &'a [u8], b: &'a [u8], separator: u8) -> Result<(&'a [u8], &'a [u8]), Ordering> {
    match (a.strip_prefix(&[separator]), b.strip_prefix(&[separator])) {
        (Some(a), Some(b)) => Ok((a, b)),
        (None, None) => Ok((a, b)),
        (Some(_), None) => Err(Ordering::Less),
        (None, Some(_)) => Err(Ordering::Greater),
    }
}

/// Numbers of any length. No number at all is less than zero.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.len().min(1).cmp(&b.len().min(1));
    }
    let bare = |n: &[u8]| n.iter().position(|c| *c != b'0').map_or(n.len(), |at| at);
    let (a, b) = (&a[bare(a)..], &b[bare(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What systemd says of the pair.
    fn systemd(a: &str, b: &str) -> Ordering {
        let ran = Command::new("systemd-analyze").args(["compare-versions", "--", a, b]).output().unwrap();
        match ran.status.code() {
            Some(0) => Ordering::Equal,
            Some(11) => Ordering::Greater,
            Some(12) => Ordering::Less,
            other => panic!("{a:?} {b:?}: {other:?} {}", String::from_utf8_lossy(&ran.stderr)),
        }
    }

    #[test]
    fn the_order_of_the_specification() {
        let order = ["~~", "~", "", "124-1", "124.3", "124", "0~rc1", "0"];
        // The chains of UAPI.10 with what is particular about them.
        for chain in [
            &["1.0~rc1", "1.0", "1.0-1", "1.0^post1", "1.0.1"][..],
            &[
                "122.1",
                "123~rc1-1",
                "123",
                "123-a",
                "123-a.1",
                "123-1",
                "123-1.1",
                "123^post1",
                "123.a-1",
                "123.1-1",
                "123a-1",
                "124-1",
            ],
            &["9", "10", "18446744073709551615", "18446744073709551616", "99999999999999999999999999"],
        ] {
            for (n, a) in chain.iter().enumerate() {
                for (m, b) in chain.iter().enumerate() {
                    assert_eq!(compare(a, b), n.cmp(&m), "{a} {b}");
                }
            }
        }
        for a in order {
            for b in order {
                assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} {b}");
            }
        }
        assert_eq!(compare("1.01", "1.1"), Ordering::Equal);
        assert_eq!(compare("1_0", "10"), systemd("1_0", "10"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn systemd_has_the_same_order(a in "[0-9ab.~^-]{1,8}", b in "[0-9ab.~^-]{1,8}") {
            prop_assert_eq!(compare(&a, &b), systemd(&a, &b), "{} {}", a, b);
        }

        #[test]
        fn any_text_has_a_place(a in ".{0,20}", b in ".{0,20}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
