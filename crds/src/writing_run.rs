//! `WritingRun`: one batch of documents of a pipeline.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    Conditions,
    budget::{BudgetSpent, RunBudget},
    reference::LocalRef,
    status::{conditions_schema, never_observed},
};

/// One batch. Immutable but for `suspend` and how much `budget` allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "aios.dev",
        version = "v1alpha1",
        kind = "WritingRun",
        doc = "One batch of documents of a pipeline. Immutable but for suspend.",
        namespaced,
        status = "WritingRunStatus",
        shortname = "wrun",
        category = "aios",
        printcolumn(
            name = "Finished",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Finished\")].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        printcolumn(
            name = "Items",
            type_ = "integer",
            json_path = ".status.items.accepted"
        ),
        printcolumn(
            name = "Published",
            type_ = "integer",
            json_path = ".status.items.published"
        ),
        printcolumn(
            name = "Waiting",
            type_ = "integer",
            json_path = ".status.items.waiting"
        ),
        printcolumn(
            name = "Refused",
            type_ = "integer",
            json_path = ".status.items.refused"
        ),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        ),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.pipelineRef == oldSelf.pipelineRef && self.input == oldSelf.input && has(self.author) == has(oldSelf.author) && (!has(self.author) || self.author == oldSelf.author) && has(self.deadline) == has(oldSelf.deadline) && (!has(self.deadline) || self.deadline == oldSelf.deadline)",
    "message": "pipelineRef, input, author and deadline are immutable: create another WritingRun",
}, {
    "rule": "has(self.budget) == has(oldSelf.budget) && (!has(self.budget) || (has(self.budget.tokens) == has(oldSelf.budget.tokens) && (!has(self.budget.currency) || !has(oldSelf.budget.currency) || self.budget.currency == oldSelf.budget.currency)))",
    "message": "a run keeps its budget and what it counts: raise or lower budget.amount or budget.tokens, or create another WritingRun",
}]))]
pub struct WritingRunSpec {
    /// The pipeline.
    pub pipeline_ref: LocalRef,
    /// The items.
    pub input: RunInput,
    /// User name of who starts the run, as `kubectl auth whoami` says it: that person cannot approve
    /// its documents. The platform's admission policy refuses another's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub author: Option<String>,
    /// From then on no document is begun, as in `2026-12-24T18:00:00Z`: those under way are finished, the
    /// others refused, and the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Most that its calls may come to, on top of what other budgets allow. Documents that find no room wait
    /// until it is raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RunBudget>,
    /// Holds the run back; documents under way are finished.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds after the run finished until it is deleted; documents and log stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i64>,
}

/// Where the items come from: pointers to records, never records. Exactly one is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.pointers) != has(self.upload)",
    "message": "set exactly one of pointers and upload",
}]))]
pub struct RunInput {
    /// One document each, as in `{customerId: 17}`. For small runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pointers")]
    pub pointers: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// One document for each record of an upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadInput>,
}

/// Every record that was uploaded for one of the pipeline's contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadInput {
    /// Name of the context, as in `customer`.
    #[schemars(length(min = 1, max = 63))]
    pub context: String,
}

/// What the operator has seen of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WritingRunStatus {
    /// Generation these facts are about; -1 until the first visit.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// See docs/conditions.md.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
    /// Items by where they stand.
    #[serde(default)]
    pub items: ItemCounts,
    /// When the first worker was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the last item became terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Condition `Succeeded` of a finished run in one word, for tools that cannot search a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How much of the budget is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSpent>,
}

/// Condition `Succeeded` of a finished run in one word, for tools that cannot search a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// No item was lost.
    Succeeded,
    /// Items were lost to a failure or not begun before the deadline.
    Failed,
}

/// Items by where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemCounts {
    /// Accepted in all.
    #[serde(default)]
    pub accepted: i64,
    /// Past their draft.
    #[serde(default)]
    pub drafted: i64,
    /// Published exactly once.
    #[serde(default)]
    pub published: i64,
    /// Refused.
    #[serde(default)]
    pub refused: i64,
    /// Waiting for a person, or parked.
    #[serde(default)]
    pub waiting: i64,
}

impl Default for WritingRunStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Conditions::default(),
            items: ItemCounts::default(),
            start_time: None,
            completion_time: None,
            outcome: None,
            budget: None,
        }
    }
}

/// Small objects whose fields are the user's.
fn pointers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 1000,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "maxProperties": 16,
            "x-kubernetes-preserve-unknown-fields": true
        }
    })
}
