//! Bodies of control items: what the operator compiled, with every reference resolved but Secrets.
//! User-written schemas stand here as `crds` defines them; each data plane parses them once.

use std::collections::BTreeMap;

use aios_crds::{
    budget::{Budget, RunBudget},
    data_bounds::DataBounds,
    experiment::Reporter,
    model_deployment::{Limits, Pricing, Resilience},
    policy_set::{Quotas, Review, Rule},
    reference::SecretSource,
    text_engine::CallSetting,
    writing_pipeline::{
        ContentKind, ContextSource, Execution, Label, Models, RetrievalQuery, Slot, Writer,
    },
    writing_run::RunInput,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    canonical,
    control::{Item, ItemKind},
};

/// Format of the bodies below. A data plane refuses any other whole.
pub const FORMAT: u32 = 1;

/// A PolicySet or ClusterPolicySet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyConfig {
    pub name: String,
    pub scope: PolicyScope,
    pub rules: Vec<Rule>,
    pub review: Review,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// Whether the rules only report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Which models may be told texts.
    #[serde(default, skip_serializing_if = "DataBounds::is_open")]
    pub data: DataBounds,
}

impl PolicyConfig {
    /// What verdicts, metrics and headers call it.
    pub fn qualified_name(&self) -> String {
        self.scope.qualified(&self.name)
    }
}

/// Whether the tenant or the platform wrote a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyScope {
    /// The platform: evaluated first, cannot be left out.
    Cluster,
    /// The tenant.
    Namespace,
}

impl PolicyScope {
    /// What verdicts, metrics and headers call a policy: a ClusterPolicySet `cluster/NAME`, so that a
    /// PolicySet of its name is another.
    pub fn qualified(self, name: &str) -> String {
        match self {
            Self::Cluster => format!("cluster/{name}"),
            Self::Namespace => name.to_owned(),
        }
    }
}

/// A policy that a pipeline must run, pinned by the digest of its item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPin {
    pub scope: PolicyScope,
    pub name: String,
    pub digest: String,
}

/// A WritingPipeline with its ConfigMaps resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineConfig {
    pub name: String,
    pub kind: ContentKind,
    pub variables: Option<serde_json::Value>,
    pub language_variable: Option<String>,
    pub subject_variable: Option<String>,
    pub labels: Vec<Label>,
    pub skeletons: Vec<SkeletonConfig>,
    pub context: Vec<ContextSource>,
    pub retrieval: Option<RetrievalConfig>,
    pub models: Models,
    pub policies: Vec<PolicyPin>,
    pub publish: Vec<PublisherConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reporters: Vec<Reporter>,
    pub execution: Execution,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// A skeleton whose templates are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkeletonConfig {
    pub language: String,
    pub writer: Writer,
    pub parts: Vec<PartConfig>,
    pub slots: Vec<Slot>,
}

/// One part's template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartConfig {
    pub name: String,
    pub template: String,
}

/// The texts to index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrievalConfig {
    pub sources: Vec<SourceConfig>,
    pub query: RetrievalQuery,
}

/// One source: its texts by ConfigMap key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceConfig {
    pub name: String,
    pub texts: BTreeMap<String, String>,
}

/// Where approved documents go. The gateway reads the Secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherConfig {
    pub name: String,
    pub url: String,
    pub signing_secret: Option<SecretSource>,
    pub read_back: bool,
}

/// A ModelDeployment, for the egress that calls it and the ingress that stands before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelConfig {
    pub name: String,
    /// Model name in requests to the upstream.
    pub model: String,
    /// Digest of the weights, with adapters the SHA-256 over the digests of model and adapters, a line
    /// each; none for hosted models, whose weights nobody outside can name.
    pub digest: Option<String>,
    /// Address of the ingress, as in `https://NAME-model.NAMESPACE.svc:8443`.
    pub endpoint: String,
    /// Address of the ingresses before standby groups, tried when `endpoint` cannot be reached.
    pub standby_endpoint: Option<String>,
    pub upstream: Upstream,
    /// The provider that serves it; none for models of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted: Option<HostedAt>,
    pub limits: Limits,
    pub resilience: Resilience,
    pub pricing: Option<Pricing>,
    /// For how long a call may wait for a group that takes it; 0 holds none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_ms: u64,
    /// Whether egresses report their demand for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub demand: bool,
    /// The revision that is to follow, while it takes a part of the calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextRevision>,
    /// Most that all calls to it may come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// Where a provider serves a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedAt {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A revision that takes a part of a model's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextRevision {
    /// Address of its ingresses.
    pub endpoint: String,
    /// Percent of the calls, 1 to 100.
    pub percent: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the ingress talks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    pub dialect: Dialect,
    /// Address up to and including the API version, or the route of a BentoML service, without a
    /// trailing slash.
    pub base_url: String,
}

/// Wire dialect of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    OpenAI,
    Anthropic,
    /// Open Inference Protocol V2: texts in tensors.
    OpenInference(TextShape),
    /// The same over gRPC, at a port of its own.
    OpenInferenceGrpc {
        port: u16,
        #[serde(flatten)]
        shape: TextShape,
    },
    /// A route of a BentoML service: texts in JSON fields.
    BentoML(TextShape),
}

/// How one text goes into a server and one comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextShape {
    /// Tensor or field that takes the prompt.
    pub input: String,
    /// Tensor or field that holds the answer; none where the answer is nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Settings that the server is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<CallSetting>,
}

/// A WritingRun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunConfig {
    pub name: String,
    pub uid: String,
    pub pipeline: String,
    pub input: RunInput,
    /// Who started it, if the run says so: its documents' author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    pub suspend: bool,
    /// Milliseconds since 1970 from which on nothing of it is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Most that its calls may come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RunBudget>,
}

/// Why an item was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    #[error("format {found} is unknown here, which reads {FORMAT}: upgrade this data plane")]
    Format { found: u32 },
    #[error("the body's digest is {found}, the item says {said}")]
    Digest { found: String, said: String },
    #[error("the body cannot be read: {0}")]
    Body(String),
}

/// Who an item is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    pub uid: String,
    pub generation: i64,
}

/// Packs a body.
///
/// # Errors
/// When the body has no JSON form.
pub fn pack<T: Serialize>(
    kind: ItemKind,
    owner: Owner,
    body: &T,
) -> Result<Item, serde_json::Error> {
    let body = canonical::to_vec(body)?;
    Ok(Item {
        kind: kind.into(),
        name: owner.name,
        owner_uid: owner.uid,
        generation: owner.generation,
        format: FORMAT,
        digest: canonical::digest(&body),
        body: body.into_boxed_slice().into(),
        engine: String::new(),
    })
}

/// Unpacks a body after checking format and digest.
///
/// # Errors
/// When the format is unknown, the digest differs, or the body does not parse.
pub fn unpack<T: DeserializeOwned>(item: &Item) -> Result<T, ItemError> {
    if item.format != FORMAT {
        return Err(ItemError::Format { found: item.format });
    }
    let found = canonical::digest(&item.body);
    if found != item.digest {
        return Err(ItemError::Digest {
            found,
            said: item.digest.clone(),
        });
    }
    serde_json::from_slice(&item.body).map_err(|error| ItemError::Body(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{ItemError, Owner, pack, unpack};
    use crate::control::ItemKind;

    fn item() -> crate::control::Item {
        let owner = Owner {
            name: "a".into(),
            uid: "u".into(),
            generation: 1,
        };
        pack(ItemKind::Policy, owner, &serde_json::json!({"b": 1})).unwrap()
    }

    #[test]
    fn a_packed_body_unpacks() {
        assert_eq!(unpack::<serde_json::Value>(&item()).unwrap()["b"], 1);
    }

    #[test]
    fn a_changed_body_is_refused() {
        let mut item = item();
        let mut body = item.body.to_vec();
        body[2] ^= 1;
        item.body = body.into();
        assert!(matches!(
            unpack::<serde_json::Value>(&item),
            Err(ItemError::Digest { .. })
        ));
    }

    #[test]
    fn an_unknown_format_is_refused_whole() {
        let mut item = item();
        item.format = 99;
        assert!(matches!(
            unpack::<serde_json::Value>(&item),
            Err(ItemError::Format { found: 99 })
        ));
    }
}
