//! What somebody may have meant.

/// The name that is nearest to `text`: an alias of it, or one with few letters changed.
pub fn nearest<'a>(
    text: &str,
    names: impl Iterator<Item = (&'a str, &'a [&'a str])> + Clone,
) -> Option<&'a str> {
    let folded = fold(text)?;
    if let Some((name, _)) =
        names.clone().find(|(_, aka)| aka.iter().any(|a| fold(a).as_ref() == Some(&folded)))
    {
        return Some(name);
    }
    let limit = (folded.chars().count() / 3).clamp(1, 3);
    names
        .map(|(name, _)| (strsim::damerau_levenshtein(&folded, name), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// `a, b and c`
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// Spelling without what people vary; none when the text is too long to be anything.
pub fn fold(text: &str) -> Option<String> {
    (text.len() <= 64).then(|| text.to_lowercase().replace(['_', ' '], "-"))
}
