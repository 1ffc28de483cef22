//! How long groups of a model take from nothing to their first token: what is promised, and what was
//! measured.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// What a model promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// Longest time in which a group is to be up from nothing, with nodes, images, weights, engine and
    /// first token, 1s to 24h. Condition `SLOMet` compares it with the latest cold start.
    pub cold_start: Duration,
}

/// A cold start that has ended, rounded. Parts that are not known, or that it did not need, are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ColdStart {
    /// The group: `MODEL-REVISION-SLOT`.
    pub group: String,
    /// When AIOS set out: when the group's pods were made, or before them the Job that fetched the weights
    /// they waited for.
    pub started_at: Time,
    /// Until the pods, and that Job's before them, had nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Duration>,
    /// Until their images were there and their containers started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Duration>,
    /// Until the weights were fetched and proven, where the group waited for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Duration>,
    /// Until the engine had loaded its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Duration>,
    /// Until the engine had given one token to its ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Duration>,
    /// Until the group was ready.
    pub total: Duration,
}
