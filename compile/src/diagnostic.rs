//! What is wrong with a manifest: where, what, and how to mend it.

use std::fmt;

/// One mistake in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Path of the field, as in `spec.content.skeletons[0].parts[1].template`.
    pub path: String,
    /// Line inside the field's text, from 1.
    pub line: Option<u32>,
    /// Column inside that line in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A place inside the text of a field, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: Option<u32>,
}

impl Diagnostic {
    /// A mistake in the whole field.
    pub fn new(
        path: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line: None,
            column: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The same mistake, at a place inside the field's text.
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.line = place.map(|place| place.line);
        self.column = place.and_then(|place| place.column);
        self
    }
}

impl Place {
    /// Place of a byte offset in a text; an offset inside a character counts as its start.
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let before = text
            .char_indices()
            .take_while(|(at, _)| *at < offset)
            .map(|(_, c)| c);
        let (mut line, mut column) = (1, 1);
        for character in before {
            if character == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        Self {
            line,
            column: Some(column),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})")?,
            (Some(line), None) => write!(f, " (line {line})")?,
            (None, _) => {}
        }
        write!(f, ": {}; {}", self.message, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, Place};

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let place = Place::of_offset("é\nüx", 5);
        assert_eq!(
            place,
            Place {
                line: 2,
                column: Some(2)
            }
        );
    }

    #[test]
    fn a_diagnostic_reads_as_one_sentence() {
        let place = Place {
            line: 2,
            column: Some(7),
        };
        let text = Diagnostic::new("spec.a", "is wrong", "write b")
            .at(Some(place))
            .to_string();
        assert_eq!(text, "spec.a (line 2, column 7): is wrong; write b");
    }
}
