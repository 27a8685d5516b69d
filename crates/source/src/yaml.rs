//! YAML as a tree in which every node knows its place.
//!
//! This is the only module that knows the parser. A serde deserializer stops at the first mistake; the tree
//! lets a validator look at everything. Anchors, aliases and tags are kept as marks for it to refuse: nothing
//! that people write for Twinhull needs them, and without aliases the tree is never larger than the text.

use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::{Code, Report};

/// Most bytes of a spec.
pub const MAX_SIZE: usize = 1 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// A node with its place.
#[derive(Debug)]
pub struct Node {
    /// For scalars the text as written, for mappings and lists the first of it.
    pub span: Range<usize>,
    /// An anchor or a tag before it.
    pub mark: Option<(Range<usize>, &'static str)>,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug)]
pub enum Content {
    /// A text, number or boolean.
    Scalar(Scalar),
    /// Items.
    List(Vec<Node>),
    /// Keys and values, in the order of the text.
    Map(Vec<(Node, Node)>),
    /// A reference to an anchor.
    Alias,
}

/// A text, with whether it was in quotes.
#[derive(Debug)]
pub struct Scalar {
    /// What is written, without quotes.
    pub text: String,
    /// Whether it has none.
    pub plain: bool,
}

/// What a scalar is by YAML's core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// Anything else.
    Text,
}

impl Scalar {
    /// What it is by YAML's core schema.
    pub fn kind(&self) -> Type {
        if !self.plain {
            return Type::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Type::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Type::Bool,
            text if is_number(text) => Type::Number,
            _ => Type::Text,
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix).unwrap_or_default();
        !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix))
    };
    // Rust's floats are YAML's, but for infinity and NaN, which have no digit.
    (digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.parse::<f64>().is_ok())
        || radix("0x", 16)
        || radix("0o", 8)
}

impl Node {
    /// What it is, with the article.
    pub fn noun(&self) -> &'static str {
        match &self.content {
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
            Content::Alias => "an alias",
            Content::Scalar(scalar) => match scalar.kind() {
                Type::Null => "nothing",
                Type::Bool => "a boolean",
                Type::Number => "a number",
                Type::Text => "text",
            },
        }
    }

    /// Whether nothing is written.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.kind() == Type::Null)
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find_map(|(key, value)| match &key.content {
            Content::Scalar(scalar) if scalar.text == name => Some(value),
            _ => None,
        })
    }
}

/// A document as far as it could be read.
#[derive(Debug)]
pub struct Document {
    /// The outermost node; none for an empty document.
    pub root: Option<Node>,
    /// Whether the whole text was read: without it, what is missing may still come.
    pub complete: bool,
}

/// Reads the first document of `text`; what is no YAML goes into `report`.
pub fn read(text: &str, report: &mut Report<'_>) -> Document {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        // Flow inside block counts for both; Builder looks at the sum.
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { text, stack: Vec::new(), root: None, after_scalar: false };
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                syntax(&error, text, report);
                return builder.abandon();
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                report
                    .add(Code::Unsupported, &range(&span), "", "a second document begins here".into())
                    .hint("a spec is one document; remove what follows the `---`");
                break;
            }
        }
        let at = range(&span);
        if let Err(TooDeep) = builder.event(event, &span) {
            report.add(Code::TooLarge, &at, "", too_deep());
            return builder.abandon();
        }
    }
    Document { root: builder.root, complete: true }
}

fn range(span: &Span) -> Range<usize> {
    // Spans of a text always have byte offsets; 0 only satisfies the types.
    span.byte_range().unwrap_or(0..0)
}

fn syntax(error: &ScanError, text: &str, report: &mut Report<'_>) {
    let marker = error.marker();
    let mut at = marker
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(marker.index()).map_or(text.len(), |(at, _)| at));
    let deep = matches!(error.kind(), ErrorKind::RecursionLimitExceeded);
    let hint = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            // The parser may be behind the tab already.
            at -= usize::from(text.get(..at).is_some_and(|before| before.ends_with('\t')));
            "indent with spaces"
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "check the indentation; text that contains `: ` needs quotes"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedBlockSequenceEntry => {
            "check that this line is indented like its neighbours and that its key ends with `:`"
        }
        ErrorKind::UnclosedQuotedScalar => "close the quotes",
        ErrorKind::UnclosedFlowCollection { .. } => "close the bracket",
        ErrorKind::UnexpectedCharacter { .. } => "put text that begins with this character in quotes",
        _ => "",
    };
    let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8());
    let added = if deep {
        report.add(Code::TooLarge, &(at..end), "", too_deep())
    } else {
        report.add(Code::Syntax, &(at..end), "", format!("not YAML: {}", error.info()))
    };
    if !hint.is_empty() {
        added.hint(hint);
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

struct TooDeep;

enum Frame {
    List { node: Node, items: Vec<Node> },
    Map { node: Node, entries: Vec<(Node, Node)>, key: Option<Node> },
}

/// Puts events together to a tree.
struct Builder<'a> {
    text: &'a str,
    stack: Vec<Frame>,
    root: Option<Node>,
    /// Whether the newest node is a scalar, which a mistake behind it makes doubtful.
    after_scalar: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), TooDeep> {
        let mut span_of = range(span);
        self.after_scalar =
            matches!(event, Event::Scalar(..)) || (self.after_scalar && matches!(event, Event::Anchor(..)));
        let tag = span.tag_span().map(|tag| (range(&tag), "tag"));
        let mark = if event.tag().is_some() { tag.or(Some((span_of.clone(), "tag"))) } else { None };
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                if plain {
                    // Nothing written: the parser is already at the next token.
                    let written = self.text.get(span_of.clone()).unwrap_or_default().trim_end().len();
                    span_of.end = span_of.start + written;
                }
                let content = Content::Scalar(Scalar { text: text.into_owned(), plain });
                self.add(Node { span: span_of, mark, content });
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.add(Node { span: span_of, mark, content: Content::Alias });
            }
            Event::SequenceStart(..) => {
                let node = Node { span: span_of, mark, content: Content::Alias };
                self.stack.push(Frame::List { node, items: Vec::new() });
            }
            Event::MappingStart(..) => {
                let node = Node { span: span_of, mark, content: Content::Alias };
                self.stack.push(Frame::Map { node, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Anchor(..) => self.anchor(span_of),
            _ => {}
        }
        if self.stack.len() > MAX_DEPTH { Err(TooDeep) } else { Ok(()) }
    }

    /// An anchor belongs to the node of the event before.
    fn anchor(&mut self, span: Range<usize>) {
        let newest = match self.stack.last_mut() {
            Some(Frame::List { node, items }) => Some(items.last_mut().unwrap_or(node)),
            Some(Frame::Map { node, entries, key }) => {
                Some(key.as_mut().or(entries.last_mut().map(|(_, value)| value)).unwrap_or(node))
            }
            None => self.root.as_mut(),
        };
        if let Some(node) = newest {
            node.mark = Some((span, "anchor"));
        }
    }

    fn add(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(name) => entries.push((name, node)),
            },
        }
    }

    fn close(&mut self) {
        let node = match self.stack.pop() {
            Some(Frame::List { node, items }) => Node { content: Content::List(items), ..node },
            Some(Frame::Map { node, entries, .. }) => Node { content: Content::Map(entries), ..node },
            None => return,
        };
        self.add(node);
    }

    /// What was read before a mistake, without the scalar that it may belong to.
    fn abandon(mut self) -> Document {
        if self.after_scalar {
            match self.stack.last_mut() {
                Some(Frame::List { items, .. }) => drop(items.pop()),
                Some(Frame::Map { entries, key, .. }) => {
                    if key.take().is_none() {
                        entries.pop();
                    }
                }
                None => self.root = None,
            }
        }
        while !self.stack.is_empty() {
            self.close();
        }
        Document { root: self.root, complete: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_have_the_core_schema_s_types() {
        for (text, want) in [
            ("1.0", Type::Number),
            ("-3", Type::Number),
            (".5", Type::Number),
            ("1e3", Type::Number),
            ("0x1f", Type::Number),
            ("1.0.0", Type::Text),
            ("inf", Type::Text),
            (".", Type::Text),
            ("e3", Type::Text),
            ("-", Type::Text),
            ("yes", Type::Text),
            ("true", Type::Bool),
            ("~", Type::Null),
        ] {
            assert_eq!(Scalar { text: text.into(), plain: true }.kind(), want, "{text}");
            assert_eq!(Scalar { text: text.into(), plain: false }.kind(), Type::Text, "{text}");
        }
    }

    #[test]
    fn spans_are_what_is_written() {
        let text = "a: &x  hello world  # why\nb: ['q', !t r]\nc:\nd: |\n  x\n";
        let mut report = Report::new(text);
        let document = read(text, &mut report);
        let root = document.root.unwrap();
        assert!(document.complete && report.is_empty());
        let at = |node: &Node| text[node.span.clone()].to_owned();
        let a = root.get("a").unwrap();
        assert_eq!(at(a), "hello world");
        assert_eq!(text[a.mark.clone().unwrap().0], *"&x");
        let Content::List(items) = &root.get("b").unwrap().content else { panic!() };
        assert_eq!(at(&items[0]), "'q'");
        assert_eq!(text[items[1].mark.clone().unwrap().0], *"!t");
        assert!(root.get("c").unwrap().is_null());
        assert_eq!(at(root.get("c").unwrap()), "");
    }
}
