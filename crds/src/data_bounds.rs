//! Where texts may be sent to be written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which models may be told what a pipeline's documents are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataBounds {
    /// Whose models.
    #[serde(default, skip_serializing_if = "AllowedModels::is_any")]
    pub models: AllowedModels,
    /// Regions that a provider's model must be in, as its `hosted.region` says; empty for any. Models served
    /// in this cluster are within every bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"), length(max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub regions: Vec<String>,
}

/// Whose models may be told texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AllowedModels {
    /// A provider's, too.
    #[default]
    Any,
    /// Those served in this cluster alone.
    PrivateOnly,
}

impl DataBounds {
    /// Whether nothing is out of bounds.
    pub fn is_open(&self) -> bool {
        self.models.is_any() && self.regions.is_empty()
    }
}

impl AllowedModels {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}
