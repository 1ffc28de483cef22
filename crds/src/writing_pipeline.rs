//! `WritingPipeline`: how documents of one sort are made, checked, reviewed and published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Conditions, Duration, Json,
    budget::{Budget, BudgetSpent},
    experiment::{Experiment, Reporter},
    json::any_object,
    reference::{LocalRef, SecretSource, TextSource},
    status::{conditions_schema, never_observed},
    trigger::{Trigger, TriggerStatus},
};

/// Content, context, models, policies and publication of one sort of document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "aios.dev",
        version = "v1alpha1",
        kind = "WritingPipeline",
        doc = "How documents of one sort are made, checked, reviewed and published.",
        namespaced,
        status = "WritingPipelineStatus",
        shortname = "wpipe",
        category = "aios",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        printcolumn(
            name = "Published",
            type_ = "integer",
            json_path = ".status.documents.published"
        ),
        printcolumn(
            name = "Waiting",
            type_ = "integer",
            json_path = ".status.documents.waiting"
        ),
        printcolumn(
            name = "Refused",
            type_ = "integer",
            json_path = ".status.documents.refused"
        ),
        printcolumn(
            name = "Audit",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"AuditVerified\")].status"
        ),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        ),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WritingPipelineSpec {
    /// What is written.
    pub content: Content,
    /// Records that a pointer leads to, fetched when a document is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub context: Vec<ContextSource>,
    /// Passages that the model and the checks may rely on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Box<Retrieval>>,
    /// Which model each step calls.
    pub models: Models,
    /// PolicySets that every document must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policy_refs: Vec<LocalRef>,
    /// What starts runs by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub triggers: Vec<Trigger>,
    /// Where approved documents go; all of them, each exactly once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub publish: Vec<Publisher>,
    /// Who reports what became of published documents: each report is signed by one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub reporters: Vec<Reporter>,
    /// How batches run.
    #[serde(default)]
    pub execution: Execution,
    /// Most that the pipeline's model calls may come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<Budget>>,
    /// What becomes of documents, log and keys when the namespace's last pipeline is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What is written: reviewed skeletons with slots that a model fills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// Sort of document; it names the parts that a skeleton must have.
    pub kind: ContentKind,
    /// JSON Schema of the variables: the pointer's fields and each context record under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub variables: Option<Json>,
    /// Variable that holds the language, as in `customer.language`. Without it the first skeleton is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub language_variable: Option<String>,
    /// Variables that name the person a document is about, as in `customer.id`: their content is
    /// encrypted under a key of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub subject_variable: Option<String>,
    /// Impersonal variables that routes may decide by. They reach sidecars and metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub labels: Vec<Label>,
    /// One skeleton a language.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["language"]))]
    pub skeletons: Vec<Skeleton>,
}

/// Sort of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContentKind {
    /// Parts `subject` and `text`; `preheader` and `html` are optional.
    Email,
    /// Part `text`; others are optional.
    Article,
}

/// An impersonal variable, under a short name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Label {
    /// Name in `labels`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-zA-Z0-9]*$"))]
    pub name: String,
    /// Path of the variable, as in `customer.segment`.
    #[schemars(length(min = 1, max = 256))]
    pub variable: String,
}

/// Reviewed wording in one language, with slots left open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skeleton {
    /// BCP 47 tag, as in `en` or `pt-BR`.
    #[schemars(regex(pattern = "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"))]
    pub language: String,
    /// Who fills the slots.
    #[serde(default)]
    pub writer: Writer,
    /// The document's parts, in order.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parts: Vec<PartTemplate>,
    /// What the model writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub slots: Vec<Slot>,
}

/// Who fills a skeleton's slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Writer {
    /// The model; the safe wording only when every route fails or revisions run out.
    #[default]
    Model,
    /// Always the safe wording: no model is trusted with this language.
    SafeTemplate,
}

/// One part of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartTemplate {
    /// Name of the part. `html` is escaped as HTML, all others are plain text.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9-]*$"))]
    pub name: String,
    /// Jinja over the variables and `slots.NAME`.
    pub template: TextSource,
}

/// A short text that the model writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slot {
    /// Name in `slots`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// Jinja over the variables and `passages`: what the model is asked.
    #[schemars(length(min = 1, max = 8192))]
    pub prompt: String,
    /// Jinja over the variables: the reviewed wording that stands in for the model's.
    #[schemars(length(min = 1, max = 4096))]
    pub safe: String,
    /// Most tokens of the answer.
    #[serde(default = "default_slot_tokens")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_tokens: u32,
    /// Whole sentences kept of the answer; the rest is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub max_sentences: Option<u32>,
}

/// A store of records, looked up by a field of the pointer. Exactly one source is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContextSource {
    /// Name under which the record stands in the variables.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-zA-Z0-9]*$"))]
    pub name: String,
    /// Records uploaded to the gateway.
    pub upload: UploadSource,
}

/// Records uploaded to the gateway with `PUT /v1/pipelines/PIPELINE/context/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadSource {
    /// Field of the pointer that names the record, as in `customerId`.
    #[schemars(length(min = 1, max = 63))]
    pub pointer: String,
    /// Field of the record that holds its key, as in `id`.
    #[schemars(length(min = 1, max = 63))]
    pub key: String,
}

/// Passages found for each document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retrieval {
    /// What is indexed.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Vec<RetrievalSource>,
    /// What is asked of the index.
    pub query: RetrievalQuery,
}

/// Texts to index: each key of a ConfigMap is one document, cut into passages by blank lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrievalSource {
    /// Name in passage ids.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The ConfigMap.
    pub config_map_ref: LocalRef,
}

/// What is asked of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrievalQuery {
    /// Jinja over the variables; its words are the query.
    #[schemars(length(min = 1, max = 2048))]
    pub text: String,
    /// Passages given to the model.
    #[serde(default = "default_top_k")]
    #[schemars(range(min = 1, max = 50))]
    pub top_k: u32,
}

/// Which model each step calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Models {
    /// Writes the first version.
    pub draft: Step,
    /// Rewrites the draft; left out, the draft is final.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub finish: Option<Step>,
}

/// Routes of one step, in order: the first that applies is tried, the next on its failure. Of those with weights that stand
/// together, which is first is drawn for each document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The routes; after the last comes the safe template.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub routes: Vec<Route>,
    /// Models that write a part of the documents instead, to be compared with the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// Answers that may be used again. Left out, every call asks a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<AnswerCache>,
}

/// Answers that may be used again, for the same question of the same pipeline to the same model. They are kept in the
/// memory of the pod that asked; an equal call that is under way is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerCache {
    /// How long an answer is kept, 1s to 1h.
    pub ttl: Duration,
    /// Which calls.
    #[serde(default)]
    pub calls: CachedCalls,
}

/// Calls that may be given an answer that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CachedCalls {
    /// Those that are to get the same answer again: with a `seed`, or temperature 0. Each document has seeds of its
    /// own, so that a step that is repeated after a crash is not paid twice.
    #[default]
    Deterministic,
    /// All: documents with the same prompt get the same words.
    All,
}

/// A model to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Name of a ModelDeployment of the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub model: String,
    /// CEL over `labels`, `language` and `tokens`, those of the prompt by estimate: the route applies where it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// Its part of the documents, beside the weights of the routes next to it that have one: each document is given one of
    /// them first, always the same, and the others on its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<i32>,
}

/// Where approved documents go. Exactly one target is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Publisher {
    /// Name of the target in receipts.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A signed POST, as Standard Webhooks describes it.
    pub webhook: Webhook,
}

/// A signed POST of the document, read back by `GET url/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Address, without a trailing slash.
    #[schemars(regex(pattern = r"^https?://\S+[^/\s]$"), length(max = 2048))]
    pub url: String,
    /// Signing secret (`whsec_` and base64 of 24 to 64 bytes); requests carry `webhook-signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretSource>,
    /// Whether `GET url/ID` tells if a document arrived. Without it a lost answer parks the document.
    #[serde(default)]
    pub read_back: bool,
}

/// How batches run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Execution {
    /// Worker pods of one run.
    #[serde(default = "default_parallelism")]
    #[schemars(range(min = 1, max = 100))]
    pub parallelism: i32,
    /// Documents that one worker has under way at once.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: i32,
    /// Revisions that policy may ask of the model before the safe template is used.
    #[serde(default = "default_revisions")]
    #[schemars(range(min = 0, max = 10))]
    pub revisions: u32,
    /// Kueue's LocalQueue that the workers of each run wait in until there is quota for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub queue_name: Option<String>,
}

/// What becomes of documents, log and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volume and keys stay.
    #[default]
    Retain,
    /// Volume and keys go with the namespace's last pipeline, if all of them say so.
    Delete,
}

/// What the operator has seen of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WritingPipelineStatus {
    /// Generation these facts are about; -1 until the first visit.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// See docs/conditions.md.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
    /// Digest of the configuration that data planes are to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Address of the intents API inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Documents by where they stand.
    #[serde(default)]
    pub documents: DocumentCounts,
    /// The last head of the tenant's log that the operator verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditHead>,
    /// What became of each trigger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub triggers: Vec<TriggerStatus>,
    /// How much of the budget is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<BudgetSpent>>,
}

/// Documents by where they stand. Accepted = published + refused + waiting + under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentCounts {
    /// Accepted in all.
    #[serde(default)]
    pub accepted: i64,
    /// Published exactly once.
    #[serde(default)]
    pub published: i64,
    /// Refused: by policy, by a person, by validation or for lack of time.
    #[serde(default)]
    pub refused: i64,
    /// Waiting for a person, or parked.
    #[serde(default)]
    pub waiting: i64,
}

/// A verified head of the tenant's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditHead {
    /// Leaves.
    pub tree_size: i64,
    /// RFC 6962 root, hex.
    pub root: String,
}

impl AnswerCache {
    /// Whether `ttl` is within its bounds.
    pub fn is_bounded(&self) -> bool {
        let bounds = std::time::Duration::from_secs(1)..=std::time::Duration::from_hours(1);
        bounds.contains(&self.ttl.get())
    }
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            parallelism: default_parallelism(),
            concurrency: default_concurrency(),
            revisions: default_revisions(),
            queue_name: None,
        }
    }
}

impl Default for WritingPipelineStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Conditions::default(),
            config_digest: None,
            endpoint: None,
            documents: DocumentCounts::default(),
            audit: None,
            triggers: Vec::new(),
            budget: None,
        }
    }
}

/// An object whose shape is the user's.
fn default_slot_tokens() -> u32 {
    64
}

fn default_top_k() -> u32 {
    3
}

fn default_parallelism() -> i32 {
    1
}

fn default_concurrency() -> i32 {
    8
}

fn default_revisions() -> u32 {
    2
}
