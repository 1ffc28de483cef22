use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Key;

/// One mistake: where it is, what is wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file as it was named.
    pub file: String,
    /// `Kind/name`, where the document says so much.
    pub object: String,
    /// Field, as in `spec.rules[0].cel`.
    pub path: String,
    /// `line 2, column 7` inside the field's text.
    pub place: Option<String>,
    pub message: String,
    pub remedy: String,
}

/// What was found in all files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Objects of this product that were looked at.
    pub checked: usize,
    /// Objects of other kinds; only references to them were looked at.
    pub others: usize,
    /// Secrets that must exist when the files are applied, with the keys they must hold. They
    /// stand in no file, so that nothing is said about their contents.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// Objects whose structure is wrong: references to them are not reported again.
    pub(super) broken: BTreeSet<Key>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        f.write_str(&self.path)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {} ({})", self.message, self.remedy)
    }
}
