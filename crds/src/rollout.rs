//! How a new revision of a self-hosted model earns its traffic: what users write, what an input of an
//! evaluation is, and what is remembered in the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Duration, reference::LocalRef};

/// Most inputs of an evaluation.
pub const MAX_INPUTS: usize = 64;

/// A new revision stands beside the old one and takes more and more of the calls, a step at a time, each
/// only after it has answered the evaluation no worse than the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[0, 1, 2, 3, 4, 5, 6, 7, 8].all(i, i + 1 >= size(self.steps) || self.steps[i] < self.steps[i + 1])",
    "message": "steps must rise, as in [5, 25, 100]",
}, {
    "rule": "self.steps[size(self.steps) - 1] == 100",
    "message": "the last step must be 100, as in [5, 25, 100]: the new revision is to take all calls in the end",
}]))]
pub struct Rollout {
    /// Percent of the calls that the new revision takes, rising to 100.
    #[serde(default = "default_steps")]
    #[schemars(length(min = 1, max = 10), inner(range(min = 1, max = 100)), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<i32>,
    /// How long each step lasts at least, 0s to 24h.
    #[serde(default = "default_step_for")]
    pub step_for: Duration,
    /// What it is asked before each step.
    pub evaluation: Evaluation,
}

/// Fixed inputs, and what judges the answers to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evaluation {
    /// ConfigMap with an input under each key: a prompt, or a JSON object `{system, prompt, maxTokens,
    /// language, variables}` of which only `prompt` is needed.
    pub config_map_ref: LocalRef,
    /// PolicySets that judge the answers, after the platform's. An answer passes if it may go on by itself.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policy_refs: Vec<LocalRef>,
    /// Percent of the inputs whose answers must pass. Never may they be fewer than the old revision's.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub min_score_percent: i32,
}

/// One input of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluationInput {
    /// System message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user's message.
    pub prompt: String,
    /// Most tokens of the answer.
    #[serde(default = "default_tokens")]
    pub max_tokens: u32,
    /// BCP 47 tag, `language` in rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// `vars` in rules.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// How far a rollout is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Revision that takes the calls which no other takes.
    pub stable: String,
    /// Revision that is on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// Percent of the calls that the candidate takes.
    #[serde(default)]
    pub percent: i32,
    /// Since when it does, or since when the stable revision has taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Percent of the inputs that the latest candidate answered well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,
    /// Percent of them that the revision before it answered well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<i32>,
    /// Revision that was found worse; it takes no calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRevision>,
}

/// A revision that was found worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedRevision {
    /// The revision.
    pub revision: String,
    /// Digest over inputs, policies and bound: it is asked again once one of them changes.
    pub evaluation: String,
    /// Which inputs fell.
    pub message: String,
}

// === impl EvaluationInput ===

impl EvaluationInput {
    /// Reads the value of one key: a JSON object if it begins with a brace, else a prompt.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let input = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            Self {
                system: None,
                prompt: text.trim().to_owned(),
                max_tokens: default_tokens(),
                language: String::new(),
                variables: Map::new(),
            }
        };
        if input.prompt.trim().is_empty() {
            return Err("the prompt is empty".to_owned());
        }
        if input.max_tokens == 0 {
            return Err("maxTokens must be 1 or more".to_owned());
        }
        Ok(input)
    }
}

fn default_steps() -> Vec<i32> {
    vec![5, 25, 100]
}

fn default_step_for() -> Duration {
    Duration::from_millis(60_000)
}

fn hundred() -> i32 {
    100
}

fn default_tokens() -> u32 {
    256
}

#[cfg(test)]
mod tests {
    use super::EvaluationInput;

    #[test]
    fn an_input_is_a_prompt_or_an_object() {
        let plain = EvaluationInput::parse("Write a line.\n").unwrap();
        assert_eq!(
            (plain.prompt.as_str(), plain.max_tokens),
            ("Write a line.", 256)
        );
        let full =
            r#"{"system": "Be brief.", "prompt": "x", "maxTokens": 9, "variables": {"a": 1}}"#;
        let full = EvaluationInput::parse(full).unwrap();
        assert_eq!((full.max_tokens, full.variables.len()), (9, 1));
        for wrong in [
            "",
            " \n",
            "{}",
            r#"{"prompt": "x", "other": 1}"#,
            r#"{"prompt": "x", "maxTokens": 0}"#,
        ] {
            assert!(EvaluationInput::parse(wrong).is_err(), "{wrong}");
        }
    }
}
