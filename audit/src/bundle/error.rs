use std::fmt;
use std::ops::Range;

use crate::{AuditError, CallsError, Hash};

/// The first fault found in a bundle, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct BundleError {
    /// Boxed to keep results small.
    pub at: Box<Place>,
    pub what: Fault,
}

impl BundleError {
    pub(super) fn new(at: Place, what: Fault) -> Self {
        Self {
            at: Box::new(at),
            what,
        }
    }
}

/// Where in the file, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub part: Part,
    /// Counted from 1.
    pub line: u64,
    /// Offsets in the file of the line, its line break included: the damage lies within.
    pub bytes: Range<u64>,
    /// Index of the leaf concerned, counted from 0.
    pub leaf: Option<u64>,
    /// The document concerned, as the (possibly damaged) line names it.
    pub document: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Header,
    Checkpoint,
    Leaf,
    Opening,
    Envelope,
    /// The leaves as a whole.
    Tree,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Checkpoint => "checkpoint",
            Self::Leaf => "leaf",
            Self::Opening => "opening of leaf",
            Self::Envelope => "envelope of leaf",
            Self::Tree => "tree",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part)?;
        if let Some(leaf) = self.leaf {
            write!(f, " {leaf}")?;
        }
        if let Some(document) = &self.document {
            write!(f, " (document {document})")?;
        }
        write!(
            f,
            ", line {}, bytes {}..{}",
            self.line, self.bytes.start, self.bytes.end
        )
    }
}

/// What does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("cannot read: {0}")]
    Read(String),
    #[error("the file ends too early; export it again")]
    CutOff,
    #[error("cannot be read from column {column} on: {why}")]
    Syntax { column: usize, why: String },
    #[error("column {column} is not spelled as it was exported")]
    Spelling { column: usize },
    #[error("unknown format `{0}`; this version reads `aios-audit-bundle/v1`")]
    Format(String),
    #[error("{expected} is expected here")]
    Order { expected: &'static str },
    #[error("{0}")]
    Key(AuditError),
    #[error("signed by another key than the one you trust: `{found}`")]
    OtherKey { found: String },
    #[error("{0}")]
    Checkpoint(AuditError),
    #[error("index {found} stands where {expected} belongs")]
    Index { expected: u64, found: u64 },
    #[error("the leaf does not hash to the recorded {recorded}")]
    LeafHash { recorded: Hash },
    #[error("step {found} of the document follows step {previous}")]
    Sequence { previous: u64, found: u64 },
    #[error("salt and payload do not open the leaf's commitment")]
    Commitment,
    #[error("the leaf was already opened")]
    OpenedTwice,
    #[error("{0}")]
    Envelope(AuditError),
    #[error("the envelope speaks of another document, tenant or pipeline than its leaf")]
    EnvelopeSubject,
    #[error("{0}")]
    Calls(CallsError),
    #[error("{0}")]
    Outcome(AuditError),
    #[error("the signed event speaks of another document than its leaf")]
    OutcomeSubject,
    #[error("the checkpoint covers {signed} leaves, the file holds {found}")]
    Count { signed: u64, found: u64 },
    #[error(
        "the leaves {from}..{to} are not those that were signed: one was changed, added or removed"
    )]
    Root { from: u64, to: u64 },
    #[error("the witness saw {seen} leaves, the file holds {found}: the log was cut")]
    Shrunk { seen: u64, found: u64 },
    #[error("the witness saw another root at {size} leaves: one of {from}..{size} was rewritten")]
    Witness { from: u64, size: u64 },
}
