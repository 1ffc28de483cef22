use std::io::{BufRead, Read};
use std::ops::Range;

use super::error::{BundleError, Fault, Part, Place};
use super::format::Line;

/// Longer lines are refused, so that a hostile file cannot exhaust memory.
const LINE_LIMIT: u64 = 64 << 20;

/// Reads raw lines and keeps count of where they stand.
pub struct Lines<R> {
    reader: R,
    number: u64,
    byte: u64,
}

/// One line without its line break.
pub struct RawLine {
    bytes: Vec<u8>,
    number: u64,
    span: Range<u64>,
    whole: bool,
}

/// The leaf read last, to name whom a damaged line concerns.
#[derive(Debug, Clone, Default)]
pub struct LastLeaf {
    pub next_index: u64,
    pub document: Option<String>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            number: 0,
            byte: 0,
        }
    }

    pub fn next(&mut self) -> Result<Option<RawLine>, BundleError> {
        let mut bytes = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut bytes);
        if let Err(error) = read {
            return Err(BundleError::new(self.end(), Fault::Read(error.to_string())));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let start = self.byte;
        self.number += 1;
        self.byte += bytes.len() as u64;
        let whole = bytes.pop_if(|last| *last == b'\n').is_some();
        Ok(Some(RawLine {
            bytes,
            number: self.number,
            span: start..self.byte,
            whole,
        }))
    }

    /// Behind the last line read.
    pub fn end(&self) -> Place {
        Place {
            part: Part::Tree,
            line: self.number,
            bytes: self.byte..self.byte,
            leaf: None,
            document: None,
        }
    }
}

impl RawLine {
    /// Parses the line and holds it to its one spelling.
    pub fn parse(&self, last: &LastLeaf) -> Result<Line, BundleError> {
        let fault = |what| BundleError::new(self.guess(last), what);
        if !self.whole {
            return Err(fault(Fault::CutOff));
        }
        let syntax = |error: serde_json::Error| {
            let text = error.to_string();
            let why = text.split(" at line ").next().unwrap_or(&text).to_owned();
            fault(Fault::Syntax {
                column: error.column(),
                why,
            })
        };
        let line: Line = serde_json::from_slice(&self.bytes).map_err(syntax)?;
        let spelled = serde_json::to_vec(&line).map_err(syntax)?;
        if spelled != self.bytes {
            let column = 1 + first_difference(&spelled, &self.bytes);
            return Err(fault(Fault::Spelling { column }));
        }
        Ok(line)
    }

    pub fn place(&self, part: Part) -> Place {
        Place {
            part,
            line: self.number,
            bytes: self.span.clone(),
            leaf: None,
            document: None,
        }
    }

    /// Whom an unreadable line concerns, by the marks that one damaged byte leaves intact.
    fn guess(&self, last: &LastLeaf) -> Place {
        let text = String::from_utf8_lossy(&self.bytes);
        // The head first: a lost line break leaves the marks of two lines in one.
        let marks = [
            (Part::Leaf, "{\"leaf\"", "\"commitment\""),
            (Part::Envelope, "{\"envelope\"", "\"payloadType\""),
            (Part::Opening, "{\"opening\"", "\"payload\""),
        ];
        let by_head = marks.iter().find(|(_, head, _)| text.starts_with(head));
        let found = by_head.or_else(|| marks.iter().find(|(.., mark)| text.contains(mark)));
        let part = found.map_or(Part::Leaf, |(part, ..)| *part);
        if self.number == 1 {
            return self.place(Part::Header);
        }
        if self.number == 2 {
            return self.place(Part::Checkpoint);
        }
        if part == Part::Leaf {
            let document = text
                .split_once("\"document\":\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(document, _)| document.to_owned());
            Place {
                leaf: Some(last.next_index),
                document,
                ..self.place(part)
            }
        } else {
            Place {
                leaf: last.next_index.checked_sub(1),
                document: last.document.clone(),
                ..self.place(part)
            }
        }
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}
