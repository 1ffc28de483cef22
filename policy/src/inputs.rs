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
    /// Reviewed skeleton texts; their numbers are known to `facts`.
    pub template: &'a [&'a str],
}
