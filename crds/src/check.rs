//! The checks a policy rule can make. A rule names exactly one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Words that must not occur.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// The words or phrases, compared without regard to case and compatibility forms.
    #[schemars(length(min = 1, max = 1000), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub list: Vec<String>,
    /// Where in a text a term counts.
    #[serde(default, rename = "match")]
    pub matching: TermMatch,
}

/// Where in a text a term counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TermMatch {
    /// Whole words only.
    #[default]
    Word,
    /// At the start of a word.
    Prefix,
    /// Anywhere.
    Substring,
}

/// A regular expression that must not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pattern {
    /// Linear-time syntax of the Rust `regex` crate: no look-around, no back references.
    #[schemars(length(min = 1, max = 1024))]
    pub regex: String,
}

/// Identifying data that must not occur, each kind proven by its checksum where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pii {
    /// Kinds to look for.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub detect: Vec<PiiKind>,
    /// Variables whose values may occur, by path, as in `customer.email`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow_variables: Vec<String>,
    /// Values that may always occur, as the sender's own address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 256)))]
    pub allow: Vec<String>,
}

/// Kinds of identifying data.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PiiKind {
    /// E-mail addresses.
    Email,
    /// Telephone numbers in international or grouped national form.
    Phone,
    /// International bank account numbers, ISO 13616 checksum.
    Iban,
    /// Payment card numbers, Luhn checksum.
    Card,
}

/// Wording that must occur in at least one of the rule's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Require {
    /// The wording; runs of white space count as one space.
    #[schemars(length(min = 1, max = 4096))]
    pub text: String,
}

/// Bounds on the size of each part the rule reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.minWords) || has(self.maxWords) || has(self.minCharacters) || has(self.maxCharacters)",
    "message": "set at least one of minWords, maxWords, minCharacters, maxCharacters",
}]))]
pub struct Length {
    /// Fewest words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_words: Option<u32>,
    /// Most words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_words: Option<u32>,
    /// Fewest characters (grapheme clusters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_characters: Option<u32>,
    /// Most characters (grapheme clusters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_characters: Option<u32>,
}

/// Numbers in the text must occur in the variables, the retrieved context or the template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// Numbers that may always occur, as written in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 64)))]
    pub allow: Vec<String>,
}
