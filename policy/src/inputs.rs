//! What a document was made from: rules compare the text with it.

use std::collections::BTreeMap;

/// Everything beside the document that a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `vars` in CEL; known to `facts`; `allowVariables` of `pii` are paths in it.
    pub variables: &'a serde_json::Value,
    /// `labels` in CEL.
    pub labels: &'a BTreeMap<String, String>,
    /// BCP 47 tag, `language` in CEL.
    pub language: &'a str,
    /// Retrieved texts; their numbers are known to `facts`.
    pub passages: &'a [&'a str],
    /// Reviewed skeleton texts; their numbers are known to `facts`, and `disclosure` keeps their marks.
    pub template: &'a [&'a str],
    /// `step` in CEL.
    pub step: Step,
}

/// What the inputs are judged for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A model is about to write from them.
    Draft,
    /// A text may go on, or what a model wrote may be written anew.
    #[default]
    Final,
}

impl Step {
    /// Its name in CEL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
        }
    }
}
