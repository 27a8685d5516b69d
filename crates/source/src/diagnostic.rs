//! What is wrong with a text, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

/// Most mistakes that one run lists; the rest is only counted.
pub const MAX_ITEMS: usize = 100;

/// Longest stretch of the source that one snippet is cut from, in bytes.
const SNIPPET_MAX: usize = 16 << 10;

/// What kind of mistake, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The file is no YAML.
    Syntax,
    /// The file is too large, or nested too deeply.
    TooLarge,
    /// YAML that a spec doesn't use.
    Unsupported,
    /// A key that doesn't exist.
    UnknownKey,
    /// A key that must be there.
    MissingKey,
    /// The same key twice.
    DuplicateKey,
    /// Keys that exclude each other.
    Conflict,
    /// A mapping, list, text or number in place of another.
    WrongType,
    /// A text or number that is not allowed.
    BadValue,
    /// A word that is none of those allowed.
    UnknownValue,
    /// A text that is too long.
    TooLong,
    /// A list item twice.
    Duplicate,
    /// A value that the builder sets itself.
    Reserved,
    /// A file that isn't there.
    NotFound,
    /// A mistake of Twinhull.
    Internal,
}

impl Code {
    /// All codes, in the order of the reference.
    pub const ALL: [Code; 15] = [
        Code::Syntax,
        Code::TooLarge,
        Code::Unsupported,
        Code::UnknownKey,
        Code::MissingKey,
        Code::DuplicateKey,
        Code::Conflict,
        Code::WrongType,
        Code::BadValue,
        Code::UnknownValue,
        Code::TooLong,
        Code::Duplicate,
        Code::Reserved,
        Code::NotFound,
        Code::Internal,
    ];

    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Code::Syntax => "syntax",
            Code::TooLarge => "too-large",
            Code::Unsupported => "unsupported",
            Code::UnknownKey => "unknown-key",
            Code::MissingKey => "missing-key",
            Code::DuplicateKey => "duplicate-key",
            Code::Conflict => "conflict",
            Code::WrongType => "wrong-type",
            Code::BadValue => "bad-value",
            Code::UnknownValue => "unknown-value",
            Code::TooLong => "too-long",
            Code::Duplicate => "duplicate",
            Code::Reserved => "reserved",
            Code::NotFound => "not-found",
            Code::Internal => "internal",
        }
    }

    /// What it means, for the reference.
    pub fn docs(self) -> &'static str {
        match self {
            Code::Syntax => "the file is no YAML, or no UTF-8",
            Code::TooLarge => "the file is larger than 1 MiB or nested deeper than 64 levels",
            Code::Unsupported => "YAML that a spec doesn't use: anchors, aliases, tags, several documents",
            Code::UnknownKey => "there is no such key",
            Code::MissingKey => "a required key is missing",
            Code::DuplicateKey => "a key is there twice",
            Code::Conflict => "keys exclude each other, or one value doesn't fit another",
            Code::WrongType => "a mapping, list, text or number in place of another",
            Code::BadValue => "a value breaks its rule",
            Code::UnknownValue => "a word is none of those allowed",
            Code::TooLong => "a text is too long",
            Code::Duplicate => "a list item is there twice",
            Code::Reserved => "the builder sets this itself",
            Code::NotFound => "a file or folder that the spec names isn't there",
            Code::Internal => "a mistake of Twinhull; please report it",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in the source: always inside it, on character boundaries and within one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the source.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Length in characters.
    pub length: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake.
    pub code: Code,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The key, such as `image.version` or `boot.modules[2]`; empty for the whole file.
    pub path: String,
    /// Where it is.
    pub place: Place,
    /// Another place that matters, with what is there.
    pub related: Option<(Place, String)>,
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file's name as given.
    pub file: String,
    /// The text, with stars where a secret was.
    pub source: String,
    /// The mistakes; at least one.
    pub items: Vec<Diagnostic>,
    /// How many more there were than [`MAX_ITEMS`].
    pub omitted: usize,
}

impl Diagnostics {
    /// The mistakes with their places in the source, as rustc shows them.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for item in &self.items {
            out += &renderer.render(&[self.group(item)]);
            out += "\n\n";
        }
        out += &self.summary();
        out.push('\n');
        out
    }

    /// One line: how many mistakes there are.
    pub fn summary(&self) -> String {
        let count = self.items.len() + self.omitted;
        let file = normalize_untrusted_str(&self.file);
        let listed = match self.omitted {
            0 => String::new(),
            _ => format!(" ({} are listed)", self.items.len()),
        };
        format!("{file}: {count} mistake{}{listed}", if count == 1 { "" } else { "s" })
    }

    /// The mistakes as a JSON array; docs/reference/spec.md describes the fields.
    pub fn to_json(&self) -> Value {
        self.items.iter().map(|item| self.item_json(item)).collect()
    }

    fn item_json(&self, item: &Diagnostic) -> Value {
        let mut out = json!({
            "file": self.file,
            "line": item.place.line,
            "column": item.place.column,
            "length": item.place.length,
            "code": item.code.name(),
            "message": item.message,
            "path": item.path,
        });
        if let Some(hint) = &item.hint {
            out["hint"] = json!(hint);
        }
        if let Some((place, message)) = &item.related {
            out["related"] = json!({
                "line": place.line, "column": place.column, "length": place.length, "message": message,
            });
        }
        out
    }

    fn group<'a>(&'a self, item: &'a Diagnostic) -> Group<'a> {
        let (place, related) = (&item.place, item.related.as_ref());
        let first = related.map_or(place, |(other, _)| if other.line < place.line { other } else { place });
        let last = related.map_or(place, |(other, _)| if other.line > place.line { other } else { place });
        let (start, end) =
            (line_start(&self.source, first.span.start), line_end(&self.source, last.span.end));
        // Something far away is named by its line instead of shown; so is a place in an endless line.
        let (first, start, end, shown, named) = if end - start > SNIPPET_MAX {
            let (start, end) =
                (line_start(&self.source, place.span.start), line_end(&self.source, place.span.end));
            (place, start, end, None, related)
        } else {
            (first, start, end, related, None)
        };
        let file = normalize_untrusted_str(&self.file);
        let title = Level::ERROR.primary_title(item.message.as_str()).id(item.code.name());
        let mut group = if end - start > SNIPPET_MAX {
            title.element(Origin::path(file).line(place.line).char_column(place.column))
        } else {
            let within = |span: &Range<usize>| span.start - start..span.end - start;
            let mut snippet = Snippet::source(self.source.get(start..end).unwrap_or_default())
                .line_start(first.line)
                .path(file)
                .annotation(AnnotationKind::Primary.span(within(&place.span)));
            if let Some((other, label)) = shown {
                snippet = snippet
                    .annotation(AnnotationKind::Context.span(within(&other.span)).label(label.as_str()));
            }
            title.element(snippet)
        };
        if let Some((other, label)) = named {
            group = group.element(Level::NOTE.message(format!("{label}, in line {}", other.line)));
        }
        if let Some(hint) = &item.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        group
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

fn line_start(source: &str, at: usize) -> usize {
    source.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

fn line_end(source: &str, at: usize) -> usize {
    let end = source.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(source.len(), |n| at + n);
    if end > at && source.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
}

/// Collects mistakes in one source.
#[derive(Debug)]
pub struct Report<'a> {
    source: &'a str,
    lines: Vec<usize>,
    items: Vec<Diagnostic>,
    omitted: usize,
    hidden: Vec<Range<usize>>,
}

impl<'a> Report<'a> {
    /// Nothing is wrong with `source` so far.
    pub fn new(source: &'a str) -> Self {
        let breaks = source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(n, _)| n + 1);
        Report {
            source,
            lines: std::iter::once(0).chain(breaks).collect(),
            items: Vec::new(),
            omitted: 0,
            hidden: Vec::new(),
        }
    }

    /// Keeps the text in `span` out of every snippet: build logs are read by more people than specs are.
    pub fn hide(&mut self, span: &Range<usize>) {
        self.hidden.push(span.clone());
    }

    /// Adds a mistake and hands it back for a hint.
    pub fn add(&mut self, code: Code, span: &Range<usize>, path: &str, message: String) -> Added<'_, 'a> {
        if self.is_full() {
            self.omitted += 1;
            return Added { report: self, index: None };
        }
        let place = self.place(span);
        let item = Diagnostic { code, message, hint: None, path: path.into(), place, related: None };
        self.items.push(item);
        let index = Some(self.items.len() - 1);
        Added { report: self, index }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What is written at a place.
    pub fn text(&self, span: &Range<usize>) -> &'a str {
        self.source.get(self.place(span).span).unwrap_or_default()
    }

    /// The line of a place, from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.place(span).line
    }

    /// How many mistakes there are.
    pub fn count(&self) -> usize {
        self.items.len() + self.omitted
    }

    /// Whether further mistakes are only counted.
    pub fn is_full(&self) -> bool {
        self.items.len() >= MAX_ITEMS
    }

    /// What was wrong, in the order of the text, which is called `file`.
    pub fn finish(self, file: &str) -> Diagnostics {
        let mut items = self.items;
        items.sort_by_key(|item| (item.place.span.start, item.place.span.end));
        let hidden = |at: usize| self.hidden.iter().any(|span| span.contains(&at));
        // One star for each byte, so that places stay right; what is hidden has only ASCII or loses its columns.
        let source = self
            .source
            .char_indices()
            .flat_map(|(at, c)| match c {
                '\n' | '\r' => std::iter::repeat_n(c, 1),
                _ if hidden(at) => std::iter::repeat_n('*', c.len_utf8()),
                _ => std::iter::repeat_n(c, 1),
            })
            .collect();
        Diagnostics { file: file.into(), source, items, omitted: self.omitted }
    }

    /// Puts a span inside the source and inside one line.
    fn place(&self, span: &Range<usize>) -> Place {
        let floor = |mut at: usize| {
            at = at.min(self.source.len());
            while !self.source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let mut start = floor(span.start);
        // Behind the last line break there is nothing to show: point to the end of the last line with text.
        if start == self.source.len() {
            start = self.source.trim_end().len();
        }
        let line = self.lines.partition_point(|first| *first <= start).max(1);
        let first = self.lines[line - 1];
        let end = floor(span.end).clamp(start, line_end(self.source, start));
        let count = |range: Range<usize>| self.source.get(range).map_or(0, |t| t.chars().count());
        Place { span: start..end, line, column: count(first..start) + 1, length: count(start..end) }
    }
}

/// A mistake just added.
#[derive(Debug)]
pub struct Added<'r, 'a> {
    report: &'r mut Report<'a>,
    index: Option<usize>,
}

impl Added<'_, '_> {
    /// Says what to do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        if let Some(item) = self.index.and_then(|n| self.report.items.get_mut(n)) {
            item.hint = Some(hint.into());
        }
        self
    }

    /// Shows another place with it.
    pub fn related(self, span: &Range<usize>, label: &str) -> Self {
        let place = self.report.place(span);
        if let Some(item) = self.index.and_then(|n| self.report.items.get_mut(n)) {
            item.related = Some((place, label.into()));
        }
        self
    }
}

/// Text from the spec in quotes, shortened, without control characters.
pub fn quoted(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut chars = text.chars();
    let short: String = chars.by_ref().take(LIMIT).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{:?}{more}", normalize(&short))
}

fn normalize(text: &str) -> String {
    // Debug escapes control characters but leaves those that only change the direction of text.
    text.chars()
        .map(|c| if matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_inside() {
        let source = "ä: b\r\nc\n\n";
        let report = Report::new(source);
        for (span, want) in [
            (0..2, (1, 1, 1)),
            (1..99, (1, 1, 4)),
            (4..9, (1, 4, 1)),
            (7..8, (2, 1, 1)),
            (99..100, (2, 2, 0)),
            (Range { start: 3, end: 1 }, (1, 3, 0)),
        ] {
            let place = report.place(&span);
            assert_eq!((place.line, place.column, place.length), want, "{span:?}");
            assert!(source.get(place.span).is_some());
        }
    }

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[31m\"b"), r#""a\u{1b}[31m\"b""#);
        assert!(quoted(&"x".repeat(1000)).chars().count() < 70);
    }
}
