//! A document: an ordered list of named, typed parts, with one canonical digest over all of them.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::digest::{Canonical, Digest};

/// Most parts of a document.
const MAX_PARTS: usize = 64;
/// Most bytes of a document's text, all parts together: spans are u32, and views of a text are a
/// few times its size.
const MAX_BYTES: usize = 4 << 20;

/// Name of a part, as in `subject`: 1 to 63 of `a-z`, `0-9`, `-`, a letter first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartName(String);

/// The text is not the name of a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a part name: write 1 to 63 of a-z, 0-9 and `-`, a letter first")]
pub struct InvalidPartName(String);

/// What the text of a part is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartKind {
    /// Text as it is read.
    Plain,
    /// HTML; checks read what a reader sees, and attribute values where data could hide.
    Html,
}

/// One part of a document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name, unique in the document.
    pub name: PartName,
    /// What its text is written in.
    pub kind: PartKind,
    /// The text itself.
    pub text: String,
}

/// Ordered parts with unique names; as JSON `{"parts": [{"name", "kind", "text"}]}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Document {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    parts: Vec<Part>,
}

/// The parts make no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Two parts share a name.
    #[error("part `{0}` occurs twice: give each part its own name")]
    DuplicatePart(PartName),
    /// More parts than a document may have.
    #[error("{0} parts are more than {MAX_PARTS}: join some of them")]
    TooManyParts(usize),
    /// More text than a document may have.
    #[error("{0} bytes are more than {MAX_BYTES}: split the document")]
    TooLong(usize),
}

impl Document {
    /// Joins parts, in their order.
    pub fn new(parts: Vec<Part>) -> Result<Self, DocumentError> {
        if parts.len() > MAX_PARTS {
            return Err(DocumentError::TooManyParts(parts.len()));
        }
        let bytes = parts.iter().map(|part| part.text.len()).sum();
        if bytes > MAX_BYTES {
            return Err(DocumentError::TooLong(bytes));
        }
        let mut names: Vec<_> = parts.iter().map(|part| &part.name).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(DocumentError::DuplicatePart((*twice).clone()));
        }
        Ok(Self { parts })
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The part of that name.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name.as_str() == name)
    }

    /// Gives the parts away.
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// The parts of a document with other texts, which may grow past the limit by some markers.
    pub(crate) fn from_redacted(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// What approvals, receipts and log leaves bind to: SHA-256 over the fields
    /// `aios.dev/document/v1`, then name, kind (`Plain` or `Html`) and text of every part, in
    /// order; each field is preceded by its length in bytes as a big-endian u64.
    pub fn digest(&self) -> Digest {
        self.parts
            .iter()
            .fold(Canonical::new("aios.dev/document/v1"), |digest, part| {
                digest
                    .field(part.name.as_str().as_bytes())
                    .field(part.kind.as_str().as_bytes())
                    .field(part.text.as_bytes())
            })
            .finish()
    }
}

/// Names, kinds and lengths only: texts must not reach logs.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.parts).finish()
    }
}

/// Name, kind and length only: texts must not reach logs.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, text } = self;
        write!(f, "{name} ({kind:?}, {} bytes)", text.len())
    }
}

impl TryFrom<Unchecked> for Document {
    type Error = DocumentError;

    fn try_from(unchecked: Unchecked) -> Result<Self, Self::Error> {
        Self::new(unchecked.parts)
    }
}

impl PartKind {
    /// `Plain` or `Html`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::Html => "Html",
        }
    }
}

impl PartName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `Html` for the part `html`, `Plain` for every other: what a template's part is written in.
    pub fn kind(&self) -> PartKind {
        if self.0 == "html" {
            PartKind::Html
        } else {
            PartKind::Plain
        }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for PartName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PartName {
    type Error = InvalidPartName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
        if starts && name.len() <= 63 && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidPartName(name))
        }
    }
}

impl FromStr for PartName {
    type Err = InvalidPartName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name.to_owned())
    }
}

impl From<PartName> for String {
    fn from(name: PartName) -> Self {
        name.0
    }
}
