//! Experiments: documents of one step that are written by one of several models, and who reports what came of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of what a document is in that no variant takes.
pub const CONTROL: &str = "control";

/// Documents that variants write instead of the step's routes. Which, is decided by the document's id, so that a
/// document stays with its variant; those that no variant takes are the control and go by the routes. Where a
/// variant's model does not answer, the routes do. Other variants need another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.variants.map(v, v.percent).sum() <= 100",
    "message": "the variants take more than 100 percent: lower spec.models.STEP.experiment.variants[].percent",
}, {
    "rule": "self.variants.all(v, v.name != 'control')",
    "message": "control is the name of the documents that no variant takes: give the variant another",
}, {
    "rule": "self.name != oldSelf.name || self.variants == oldSelf.variants",
    "message": "variants are immutable, for documents would change theirs: give the experiment another name",
}]))]
pub struct Experiment {
    /// Name in records and reports. Another name divides the documents anew.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The variants.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub variants: Vec<Variant>,
}

/// One of the models that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    /// Name in records and reports.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Name of a ModelDeployment of the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub model: String,
    /// Percent of the documents.
    #[schemars(range(min = 1, max = 100))]
    pub percent: i32,
}

/// A system of the business that reports what became of published documents, as a shop or a mailer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reporter {
    /// Name in the log.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Public half of the Ed25519 key that it signs with, as Standard Webhooks writes it: `whpk_` and base64 of
    /// 32 bytes.
    #[schemars(regex(pattern = "^whpk_[A-Za-z0-9+/]{43}=$"))]
    pub public_key: String,
}

impl Experiment {
    /// Percent of the documents that its variants take.
    pub fn percent(&self) -> i32 {
        let percents = self.variants.iter().map(|variant| variant.percent);
        percents.fold(0, i32::saturating_add)
    }
}
