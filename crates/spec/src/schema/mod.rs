//! What a spec may say, as data. One table ([`keys::SPEC`]) drives the checks, the reference page and the
//! JSON Schema, so that none of them can know a key the others don't.

pub(crate) mod keys;
mod rules;

/// One key of a mapping.
#[derive(Debug)]
pub(crate) struct Key {
    /// As written in the spec.
    pub(crate) name: &'static str,
    /// Names people try instead, for the hint.
    pub(crate) aka: &'static [&'static str],
    /// What happens without it.
    pub(crate) default: Default,
    /// What it holds.
    pub(crate) kind: Kind,
    /// What it means, in Markdown, without a final full stop's worth of repetition of the type.
    pub(crate) docs: &'static str,
}

/// What a missing key stands for.
#[derive(Debug)]
pub(crate) enum Default {
    /// The key must be there.
    Required,
    /// A fixed value, as one would write it.
    Value(&'static str),
    /// Something the builder works out, described.
    Derived(&'static str),
}

/// What a key holds.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A mapping with these keys.
    Map(&'static [Key]),
    /// A mapping with exactly one of these keys.
    OneOf(&'static [Key]),
    /// A list of mappings with these keys.
    Maps(&'static [Key]),
    /// A mapping from names to mappings with these keys.
    Named(&'static Text, &'static [Key]),
    /// A mapping from names to services, whose keys their templates know.
    Services,
    /// One text.
    Text(&'static Text),
    /// A list of texts.
    List(&'static Text, Repeat),
    /// One of a few words.
    Choice(&'static [Choice]),
    /// A whole number that is not negative.
    Seconds,
    /// A size between two bounds in bytes, with the reason for the lower one.
    Size {
        /// Smallest size.
        min: u64,
        /// Largest size.
        max: u64,
        /// Why not smaller.
        why: &'static str,
    },
    /// A path relative to the spec's folder.
    Path(PathKind),
}

/// A kind of text.
#[derive(Debug)]
pub(crate) struct Text {
    /// With its article: `a suite name`.
    pub(crate) noun: &'static str,
    /// Regular expression for the whole text, in the dialect that JSON Schema shares.
    pub(crate) pattern: &'static str,
    /// Greatest number of characters.
    pub(crate) max: usize,
    /// The pattern in words, for the hint.
    pub(crate) words: &'static str,
    /// One that is right.
    pub(crate) example: &'static str,
    /// Knows common mistakes, and what a pattern can't say.
    pub(crate) explain: fn(&str) -> Option<Problem>,
}

/// Which repetitions a list refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// None.
    Allowed,
    /// Equal texts.
    Refused,
    /// Texts that are equal once `-` and `_` are the same.
    RefusedLikeModules,
}

/// One word of a choice.
#[derive(Debug)]
pub(crate) struct Choice {
    /// As written in the spec.
    pub(crate) name: &'static str,
    /// Names people try instead.
    pub(crate) aka: &'static [&'static str],
    /// What it means.
    pub(crate) docs: &'static str,
}

/// What a path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// A file.
    File,
    /// A folder.
    Dir,
}

/// Why a value is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Continues `KEY: "value" …`.
    pub(crate) message: String,
    /// What to do; the text's own description when there is none.
    pub(crate) hint: Option<String>,
    /// Whether the builder keeps the value for itself.
    pub(crate) reserved: bool,
    /// Whether the value must not appear in what is said of it.
    pub(crate) secret: bool,
}

impl Problem {
    fn new(message: impl Into<String>) -> Option<Self> {
        Some(Problem { message: message.into(), hint: None, reserved: false, secret: false })
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Option<Self> {
        Some(Problem { message: message.into(), hint: Some(hint.into()), reserved: false, secret: false })
    }

    fn secret(message: impl Into<String>, hint: impl Into<String>) -> Option<Self> {
        Some(Problem { message: message.into(), hint: Some(hint.into()), reserved: false, secret: true })
    }
}

impl Kind {
    /// The type in words, with its article.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Kind::Map(_) | Kind::OneOf(_) | Kind::Named(..) | Kind::Services => "a mapping",
            Kind::Text(_) | Kind::Path(_) => "text",
            Kind::List(..) | Kind::Maps(_) => "a list",
            Kind::Choice(_) => "a word",
            Kind::Seconds => "a whole number",
            Kind::Size { .. } => "a size",
        }
    }

    /// The keys below it.
    pub(crate) fn keys(&self) -> &'static [Key] {
        match self {
            Kind::Map(keys) | Kind::OneOf(keys) | Kind::Maps(keys) | Kind::Named(_, keys) => keys,
            _ => &[],
        }
    }
}

impl Key {
    pub(crate) fn required(&self) -> bool {
        matches!(self.default, Default::Required)
    }
}
