//! A policy's own tests: texts, what they were made from, and what the policy must say of them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Json, json::any_object, moderation::TestModeration};

/// One text and what the policy must say of it. Write of people who do not exist: it stands in the
/// manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.text) != has(self.parts)",
    "message": "a test judges exactly one document: set one of text, parts",
}]))]
pub struct PolicyTest {
    /// Name of the test, as the condition and `kubectl aios policy test` tell it.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The text of a document whose only part is `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub text: Option<String>,
    /// A document's parts, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parts: Vec<TestPart>,
    /// `vars` of expressions, and what `facts` and `allowVariables` know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub variables: Option<Json>,
    /// Variables of other people's documents: what of them `leak` must find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "others")]
    pub others: Vec<Json>,
    /// `labels` of expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// BCP 47 tag of the text's language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 35))]
    pub language: String,
    /// Passages as if they were retrieved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"), inner(length(min = 1, max = 16384)))]
    pub passages: Vec<String>,
    /// Texts of the template as if the document were made from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"), inner(length(min = 1, max = 16384)))]
    pub template: Vec<String>,
    /// What models say of the texts that `moderation` asks of; what is not here cannot be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["model"]))]
    pub moderation: Vec<TestModeration>,
    /// What the policy must say.
    pub expect: Expected,
}

/// A few objects of any fields.
fn others(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "atomic",
        "items": any_object(generator)
    })
}

/// A part of a test's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestPart {
    /// Its name; `html` is read as HTML, every other as plain text.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][-a-z0-9]*$"))]
    pub name: String,
    /// Its text.
    #[schemars(length(max = 16384))]
    pub text: String,
}

/// What a policy must say of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    /// What must follow.
    pub action: ExpectedAction,
    /// All rules that fire, or that cannot run; not compared when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 63)))]
    pub rules: Option<Vec<String>>,
}

/// What must follow for a text, mildest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ExpectedAction {
    /// It may go on.
    Pass,
    /// It may go on; a rule warns.
    Warn,
    /// It may go on once it was mended.
    Normalize,
    /// It may go on once spans were replaced.
    Redact,
    /// The model is asked again.
    Revise,
    /// A person decides.
    Review,
    /// It is refused.
    Block,
}
