//! Check `moderation`: what a model that judges texts says of them, and what it says in a policy's own
//! tests.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a model that judges texts says of each part. It is asked as OpenAI's moderations are, once the
/// other rules let the text go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moderation {
    /// ModelDeployment of the pipeline's namespace that is asked.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub model: String,
    /// Categories of the model, each with the score in percent from which the check fails. Without any,
    /// what the model itself flags fails.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "thresholds")]
    pub categories: BTreeMap<String, i32>,
}

/// What a model says of every text of a test: it is not asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestModeration {
    /// The `model` of rules.
    #[schemars(length(min = 1, max = 63))]
    pub model: String,
    /// Whether the model itself flags the text.
    #[serde(default)]
    pub flagged: bool,
    /// Its score of each category, in percent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "scores")]
    pub scores: BTreeMap<String, i32>,
}

fn thresholds(_: &mut SchemaGenerator) -> Schema {
    percentages(1)
}

fn scores(_: &mut SchemaGenerator) -> Schema {
    percentages(0)
}

fn percentages(least: i32) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "integer", "format": "int32", "minimum": least, "maximum": 100},
    })
}
