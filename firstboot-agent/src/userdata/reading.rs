//! From bytes to checked parts: layers come off, messages fall into parts, each part goes to the reader of its
//! format. What is wrong is collected, not returned at once: each attempt at first boot costs a machine.

use super::envelope::{self, Budget, Layer};
use super::format::Format;
use super::{UserData, cloud_config, credentials, ignition, merge, mime, native};
use crate::http::USER_DATA_LIMIT;
use crate::yaml::{Node, Place, Problem};
use crate::{json, yaml};

/// The most messages within one another.
const NESTING: usize = 2;

/// A document of user data.
#[derive(Debug)]
pub struct Part {
    /// Its number in a message, from 1; 0 when it is all there is.
    pub number: u32,
    /// What it was recognised as.
    pub format: Format,
    /// What was around it, outermost first.
    pub layers: Vec<Layer>,
    /// What it asks for, as far as it could be read.
    pub data: UserData,
    /// What is wrong with it, in the order of the document.
    pub problems: Vec<Problem>,
}

/// User data as read.
#[derive(Debug, Default)]
pub struct Reading {
    /// Layers around all of it.
    pub layers: Vec<Layer>,
    /// Whether it is a message.
    pub mime: bool,
    /// Its documents; none when there is no user data.
    pub parts: Vec<Part>,
    /// What is wrong with it as a whole, or between its documents.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Everything that is wrong.
    pub fn all_problems(&self) -> Vec<Problem> {
        let of_parts = self.parts.iter().flat_map(|p| p.problems.clone());
        self.problems.iter().cloned().chain(of_parts).collect()
    }
}

/// Reads user data in any format.
pub fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    if bytes.len() > USER_DATA_LIMIT {
        // Who reads a file doesn't read on behind the limit.
        let message = format!("it has more than {USER_DATA_LIMIT} bytes, which are the most");
        reading.problems.push(Problem::new(Place::new(1, 1), message));
        return reading;
    }
    let mut reader = Reader {
        reading,
        count: 0,
        budget: Budget::new(USER_DATA_LIMIT),
        contents: Budget::new(USER_DATA_LIMIT),
    };
    reader.document(bytes, None, 0);
    let Reader { mut reading, .. } = reader;
    let data: Vec<&UserData> = reading.parts.iter().map(|p| &p.data).collect();
    let clashes = merge::clashes(&data);
    reading.problems.extend(clashes);
    reading
}

struct Reader {
    reading: Reading,
    /// Parts so far. Empty and unreadable ones count as well: people count them in their editors.
    count: u32,
    /// For documents.
    budget: Budget,
    /// For what documents have compressed inside.
    contents: Budget,
}

impl Reader {
    /// One document, or a message. `kind` is the content type of a part.
    fn document(&mut self, bytes: &[u8], kind: Option<&str>, nesting: usize) {
        let declared = kind.and_then(Format::of_type);
        let (bytes, layers) = match envelope::unwrap(bytes, &self.budget) {
            Ok(unwrapped) => unwrapped,
            Err(problem) => {
                self.fail(problem);
                return;
            }
        };
        let found = Format::of(&bytes);
        if found == Format::Mime || kind.is_some_and(|k| k.starts_with("multipart/")) {
            if nesting == 0 {
                (self.reading.mime, self.reading.layers) = (true, layers);
            }
            if nesting == NESTING {
                self.fail(format!("there are messages in messages, more than {NESTING} deep"));
            } else if let Err(problem) = self.message(&bytes, nesting) {
                self.reading.problems.push(Problem::new(Place::new(1, 1), problem));
            }
            return;
        }
        if found == Format::Empty && !self.reading.mime {
            return;
        }
        // A script stays one whatever its type says.
        let format = match (found, declared) {
            (Format::Refused(..) | Format::Empty, _) | (_, None) => found,
            (_, Some(declared)) => declared,
        };
        let mut part =
            Part { number: self.next(), format, layers, data: UserData::default(), problems: Vec::new() };
        match self.budget.take(bytes.len()) {
            Ok(()) => self.fill(&mut part, &bytes),
            Err(problem) => part.problems.push(Problem::new(Place::new(1, 1), problem)),
        }
        part.data.formats = vec![format];
        part.problems.sort_by(|a, b| a.place.cmp(&b.place));
        if part.number > 0 {
            part.problems.iter_mut().for_each(|p| p.place.part = part.number);
            part.data.in_part(part.number);
        }
        self.reading.parts.push(part);
    }

    /// The number of the next part.
    fn next(&mut self) -> u32 {
        self.count += u32::from(self.reading.mime);
        self.count
    }

    /// A part, or all there is, can't be read.
    fn fail(&mut self, problem: String) {
        let part = self.next();
        self.reading.problems.push(Problem::new(Place { part, ..Place::new(1, 1) }, problem));
    }

    fn message(&mut self, bytes: &[u8], nesting: usize) -> Result<(), String> {
        let message = mime::entity(bytes)?;
        let Some(boundary) = &message.boundary else {
            // A message with one part, as some tools make it.
            if Format::of(&message.body) == Format::Mime {
                return Err("this message has a message in it, but doesn't say so".into());
            }
            self.document(&message.body, Some(&message.kind), NESTING);
            return Ok(());
        };
        for part in mime::parts(&message.body, boundary)? {
            match mime::entity(part) {
                // A message within this one needs its headers.
                Ok(entity) if entity.boundary.is_some() => {
                    self.document(part, Some(&entity.kind), nesting + 1)
                }
                Ok(entity) => self.document(&entity.body, Some(&entity.kind), nesting + 1),
                Err(problem) => self.fail(problem),
            }
        }
        Ok(())
    }

    fn fill(&mut self, part: &mut Part, bytes: &[u8]) {
        let problems = &mut part.problems;
        let contents = &mut self.contents;
        part.data = match part.format {
            Format::Native => document(yaml(bytes), problems, native::parse),
            Format::CloudConfig => {
                document(yaml(bytes), problems, |n, p| cloud_config::parse(n, contents, p))
            }
            Format::Ignition => document(json(bytes), problems, |n, p| ignition::parse(n, contents, p)),
            Format::Systemd => document(json(bytes), problems, credentials::systemd),
            Format::Refused(name, instead) => {
                let message = format!("this is {name}, which can't be used: {instead}");
                problems.push(Problem::new(Place::new(1, 1), message));
                UserData::default()
            }
            // A part that has nothing in it asks for nothing.
            Format::Empty => UserData::default(),
            Format::Mime | Format::Unknown => {
                let message = "this is in no format that is known: its first line should be `#twinhull` or \
                               `#cloud-config`, or it should be JSON for Ignition or systemd";
                problems.push(Problem::new(Place::new(1, 1), message));
                UserData::default()
            }
        };
    }
}

fn document(
    node: Result<Node, Problem>,
    problems: &mut Vec<Problem>,
    parse: impl FnOnce(&Node, &mut Vec<Problem>) -> UserData,
) -> UserData {
    match node {
        Ok(node) => parse(&node, problems),
        Err(problem) => {
            problems.push(problem);
            UserData::default()
        }
    }
}

fn yaml(bytes: &[u8]) -> Result<Node, Problem> {
    yaml::parse(bytes, USER_DATA_LIMIT)
}

/// JSON, below a first line that may say what it is. The line stays a line, so that places are right.
fn json(bytes: &[u8]) -> Result<Node, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
    let mut bytes = bytes.to_vec();
    if bytes.get(start) == Some(&b'#') {
        bytes.iter_mut().skip(start).take_while(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
    json::parse(&bytes, USER_DATA_LIMIT)
}
