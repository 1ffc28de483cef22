//! `ModelDeployment`: a model that steps can call, hosted elsewhere or served here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Conditions, Decimal, Duration,
    budget::{Budget, BudgetSpent},
    cold_start::{ColdStart, Slo},
    reference::SecretSource,
    rollout::{Rollout, RolloutStatus},
    status::{conditions_schema, never_observed},
    text_engine::{BentoMLEngine, KServeEngine},
    warm_schedule::WarmSchedule,
    weights::{Adapter, Quantization, Weights},
};

/// A model that pipelines call by name: exactly one of `hosted` and `selfHosted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "aios.dev",
        version = "v1alpha1",
        kind = "ModelDeployment",
        doc = "A model that writing steps call by name: a hosted API, or weights served in this namespace.",
        namespaced,
        status = "ModelDeploymentStatus",
        shortname = "mdep",
        category = "aios",
        scale(
            spec_replicas_path = ".spec.replicas",
            status_replicas_path = ".status.replicas",
            label_selector_path = ".status.selector"
        ),
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
        printcolumn(name = "Model", type_ = "string", json_path = ".status.model"),
        printcolumn(name = "Replicas", type_ = "string", json_path = ".status.summary"),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        ),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.hosted) != has(self.selfHosted)",
    "message": "set exactly one of hosted (a provider's API) and selfHosted (served in this cluster)",
}, {
    "rule": "!has(self.hosted) || !has(self.replicas) || self.replicas <= 1",
    "message": "replicas above 1 need selfHosted: a hosted model scales at its provider",
}, {
    "rule": "!has(self.scaling) || has(self.selfHosted)",
    "message": "scaling needs selfHosted: a hosted model scales at its provider",
}, {
    "rule": "!has(self.slo) || has(self.selfHosted)",
    "message": "slo needs selfHosted: a hosted model is started by its provider",
}, {
    "rule": "!has(self.selfHosted) || !has(self.selfHosted.warm) || !has(self.selfHosted.warm.schedules) || size(self.selfHosted.warm.schedules) == 0 || (has(self.scaling) && (!has(self.scaling.mode) || self.scaling.mode == 'Builtin'))",
    "message": "selfHosted.warm.schedules need scaling of mode Builtin, by which groups go and come: set it, as in scaling: {min: 0, max: 1}",
}, {
    "rule": "!has(self.selfHosted) || !has(self.selfHosted.rollout) || !has(self.scaling) || self.scaling.mode == 'External' || (has(self.scaling.min) && self.scaling.min > 0)",
    "message": "selfHosted.rollout compares with a revision that runs: set scaling.min to 1 or more",
}]))]
pub struct ModelDeploymentSpec {
    /// A model behind a provider's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted: Option<Hosted>,
    /// A model whose engine runs in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_hosted: Option<Box<SelfHosted>>,
    /// Groups that take traffic. Standby groups come on top. With `scaling` of mode Builtin it is
    /// where scaling begins; from then on `status.desiredReplicas` says how many there are to be.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// How many groups there are as demand moves, and what becomes of calls that find none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Box<Scaling>>,
    /// Bounds on what one call may ask and how many may run.
    #[serde(default)]
    pub limits: Limits,
    /// Timeouts and retries of one call.
    #[serde(default)]
    pub resilience: Resilience,
    /// Price of tokens. Without it calls cost nothing, which is right for self-hosted models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// Most that all calls to it may come to, whoever makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<Budget>>,
    /// What the model promises; condition `SLOMet` says whether it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Box<Slo>>,
}

/// A provider's API. Only the ingress that AIOS runs for it holds the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.provider != 'OpenAICompatible' || has(self.baseURL)",
    "message": "baseURL is required for provider OpenAICompatible, as in https://models.example.com/v1",
}]))]
pub struct Hosted {
    /// Wire dialect and default address.
    pub provider: Provider,
    /// Model name as the provider knows it.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// Address of the API up to and including its version, without a trailing slash.
    #[serde(default, rename = "baseURL", skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^https?://[^/\s]+(/[^\s]*[^/\s])?$"),
        length(max = 2048)
    )]
    pub base_url: Option<String>,
    /// Where the provider serves it and keeps what it is told, as in eu. Bounds of policies go by this word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"), length(max = 63))]
    pub region: Option<String>,
    /// The provider's key. Leave out for servers without authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretSource>,
}

/// Dialect and default address of a hosted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Provider {
    /// OpenAI's API.
    OpenAI,
    /// Anthropic's Messages API.
    Anthropic,
    /// Any server that speaks OpenAI chat completions.
    OpenAICompatible,
}

/// An engine and its weights, run by AIOS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.engine.name == 'VLLM' || !has(self.warm) || !has(self.warm.mode) || self.warm.mode != 'Asleep'",
    "message": "warm.mode Asleep needs engine VLLM, which alone can sleep: set mode Loaded",
}, {
    "rule": "has(self.model) || self.engine.name in ['Custom', 'KServe', 'BentoML']",
    "message": "set model, the weights: engines Custom, KServe and BentoML alone may do without",
}, {
    "rule": "has(self.model) || self.engine.name != 'KServe' || (has(self.engine.kserve) && has(self.engine.kserve.model))",
    "message": "set engine.kserve.model, the name that the server has the model by: there are no weights to take it from",
}, {
    "rule": "has(self.model) || self.engine.name != 'BentoML' || (has(self.engine.bentoml) && has(self.engine.bentoml.model))",
    "message": "set engine.bentoml.model, the name that records are to carry: there are no weights to take it from",
}, {
    "rule": "has(self.model) || !has(self.engine.custom) || has(self.engine.custom.model)",
    "message": "set engine.custom.model, the name that calls are to carry: there are no weights to take it from",
}, {
    "rule": "!(self.engine.name in ['Custom', 'KServe', 'BentoML']) || !(has(self.quantization) || (has(self.adapters) && size(self.adapters) > 0))",
    "message": "leave quantization and adapters out: AIOS cannot tell a server of your own of them, engine.args can",
}]))]
pub struct SelfHosted {
    /// The server that loads the weights.
    pub engine: Engine,
    /// The weights. Engines Custom, KServe and BentoML may do without, or bring their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Weights>,
    /// How the model is split, where one pod cannot hold it.
    #[serde(default)]
    pub shards: Shards,
    /// What the weights must be; a file or an engine that does not fit is refused before it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// LoRA adapters, all applied to every call; engine VLLM applies one. Their fetched files share the
    /// model's cache.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub adapters: Vec<Adapter>,
    /// GPUs of one pod. Without it the engine runs on CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// Groups kept loaded without traffic, so that a lost one is replaced at once.
    #[serde(default)]
    pub warm: Warm,
    /// How a new revision takes over from the old one. Left out, it does as soon as it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The inference server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(self.name == 'Custom') == has(self.custom)",
    "message": "engine Custom needs custom, as in custom: {port: 8000}, and no other engine takes it",
}, {
    "rule": "self.name == 'KServe' || !has(self.kserve)",
    "message": "kserve is for engine KServe: leave it out, or set name KServe",
}, {
    "rule": "self.name == 'BentoML' || !has(self.bentoml)",
    "message": "bentoml is for engine BentoML: leave it out, or set name BentoML",
}, {
    "rule": "!(self.name in ['Custom', 'KServe', 'BentoML']) || has(self.image)",
    "message": "set image, the server of your own: AIOS has none for engines Custom, KServe and BentoML",
}]))]
pub struct Engine {
    /// Which engine.
    pub name: EngineName,
    /// Container image; the platform's default for the engine when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Further arguments, after those that AIOS sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// CPU and memory requests of the engine's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What AIOS must know of engine Custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomEngine>,
    /// What AIOS must know of engine KServe, where it is not as KServe's own runtimes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kserve: Option<KServeEngine>,
    /// What AIOS must know of engine BentoML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bentoml: Option<BentoMLEngine>,
}

/// A server of your own. It runs as any user, with a root file system that is read-only and `/tmp` that
/// is not; `AIOS_WEIGHTS_PATH` is where the weights stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!(int(self.port) in [8443, 9090])",
    "message": "ports 8443 and 9090 are the ingress's in the same pod: let the server listen on another",
}]))]
pub struct CustomEngine {
    /// Port where it answers; the pod's loopback is enough.
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: i32,
    /// Path before `/chat/completions`.
    #[serde(default = "default_api")]
    #[schemars(regex(pattern = r"^(/[^/\s]+)+$"), length(max = 256))]
    pub api_path: String,
    /// Path that answers 200 once it can serve.
    #[serde(default = "default_health")]
    #[schemars(regex(pattern = r"^/[^\s]*$"), length(max = 256))]
    pub health_path: String,
    /// Model name in calls to it; the weights' file name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
}

/// Engines that AIOS knows how to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EngineName {
    /// llama.cpp's `llama-server` with GGUF weights.
    LlamaCpp,
    /// vLLM's `vllm serve` with a folder of weights as Hugging Face's repositories hold them.
    VLLM,
    /// A server of your own that speaks OpenAI's chat completions.
    Custom,
    /// A server of your own that speaks Open Inference Protocol V2, as KServe's runtimes do.
    KServe,
    /// A BentoML service of your own.
    BentoML,
}

/// Requests of the engine's container, as Kubernetes quantities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPU request, as in `500m`.
    #[schemars(regex(pattern = r"^[0-9]+m?$"))]
    pub cpu: String,
    /// Memory request and limit, as in `512Mi`.
    #[schemars(regex(pattern = r"^[0-9]+(Ki|Mi|Gi)$"))]
    pub memory: String,
}

/// How a model is split. A replica is one group of pipeline × ⌈tensor / GPUs of a pod⌉ pods, which
/// are started, replaced and deleted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shards {
    /// Devices that hold a part of every layer.
    #[serde(default = "one_u32")]
    #[schemars(range(min = 1, max = 64))]
    pub tensor: u32,
    /// Stages that hold some of the layers each.
    #[serde(default = "one_u32")]
    #[schemars(range(min = 1, max = 64))]
    pub pipeline: u32,
}

/// GPUs of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// A class of nodes that the platform offers (`gpuClasses` of the chart). Without it pods go to
    /// whatever node has GPUs free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 40))]
    pub class: Option<String>,
    /// `nvidia.com/gpu` of one pod.
    #[schemars(range(min = 1, max = 16))]
    pub count: i32,
}

/// What stays loaded beside the replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Warm {
    /// Groups with weights loaded that take no traffic until a replica fails.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20))]
    pub standby: i32,
    /// How they wait.
    #[serde(default)]
    pub mode: WarmMode,
    /// Times at which a model that scales by demand is up before its first call. The one that asks for the
    /// most groups counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<WarmSchedule>,
}

/// How standby groups wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WarmMode {
    /// Ready to answer at once.
    #[default]
    Loaded,
    /// With the weights in main memory instead of the GPU's, and woken by the first call, in seconds.
    /// Engine VLLM alone can.
    Asleep,
}

/// Scaling by demand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.mode != 'External' || !(has(self.min) || has(self.max) || has(self.targetInFlight) || has(self.targetTokensPerSecond) || has(self.window) || has(self.downDelay))",
    "message": "mode External leaves the number of groups to HPA or KEDA: set only holdFor beside it, or mode Builtin",
}, {
    "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
    "message": "min is above max: lower min or raise max",
}]))]
pub struct Scaling {
    /// Who sets the number of groups.
    #[serde(default)]
    pub mode: ScalingMode,
    /// Fewest groups; 0 when left out: a model that nobody calls sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub min: Option<i32>,
    /// Most groups; when left out as many as `min`, and at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max: Option<i32>,
    /// Calls, under way or held, that one group is to carry; 16 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_in_flight: Option<i32>,
    /// Answer tokens a second that one group is to give. Left out, tokens are no reason to scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub target_tokens_per_second: Option<i32>,
    /// Span over which demand is averaged before groups are added, 1s to 10m; 30s when left out. A
    /// sleeping model wakes at the first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// For how long demand must have been lower before groups are taken away, 1s to 24h; 5m when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_delay: Option<Duration>,
    /// How long a call may wait for a group that takes it, 0s to 15m; 2m when left out. 0s holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_for: Option<Duration>,
}

/// Who sets the number of groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingMode {
    /// The operator, by the demand that sidecars report.
    #[default]
    Builtin,
    /// HPA, KEDA or a person, who write `spec.replicas` through the scale subresource.
    External,
}

/// Bounds of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Tokens of prompt and answer together that the model can hold.
    #[serde(default = "default_context")]
    #[schemars(range(min = 128, max = 10_000_000))]
    pub context_tokens: u32,
    /// Answer tokens when the caller names none.
    #[serde(default = "default_output")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_output_tokens: u32,
    /// Calls under way at once; more wait or are refused.
    #[serde(default = "default_in_flight")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_in_flight: u32,
}

/// Timeouts and retries of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resilience {
    /// From sending the request to the last byte.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// From sending the request to the first token.
    #[serde(default = "default_first_token")]
    pub first_token_timeout: Duration,
    /// Between two signs of life of a stream after its first token.
    #[serde(default = "default_token_gap")]
    pub token_gap_timeout: Duration,
    /// Further tries on the same route before the next one.
    #[serde(default = "default_retries")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: u32,
    /// A second request for calls that are later than most; the first answer counts. Left out, none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
}

/// Which calls are sent a second time. What both requests cost is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hedge {
    /// A call is late when so many percent of the recent ones had their first token, or without a stream their whole
    /// answer, sooner.
    #[serde(default = "default_hedge_percentile")]
    #[schemars(range(min = 50, max = 99))]
    pub after_percentile: u32,
    /// Most of the calls that are sent a second time, in percent.
    #[serde(default = "default_hedge_share")]
    #[schemars(range(min = 1, max = 50))]
    pub max_percent: u32,
}

/// Price of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pricing {
    /// Price of a million prompt tokens.
    pub input_per_million: Decimal,
    /// Price of a million answer tokens.
    pub output_per_million: Decimal,
    /// Price of a million prompt tokens that the provider had in a cache. Without it they cost as others do, and
    /// the cost of calls of hosted models with such tokens is an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_per_million: Option<Decimal>,
    /// Price of a million prompt tokens that the provider wrote into a cache, the dearest that calls ask for. Without
    /// it those of hosted models cost as two others, and the cost of calls with such tokens is an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_per_million: Option<Decimal>,
    /// ISO 4217 code.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
}

/// What the operator has seen of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// Generation these facts are about; -1 until the first visit.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// See docs/conditions.md.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
    /// Model as callers see it: the provider's name, or the weights' file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Groups that exist to take traffic, ready or not. Standby groups come on top.
    #[serde(default)]
    pub replicas: i32,
    /// Groups that scaling of mode Builtin asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// The last ten decisions of scaling of mode Builtin, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub scaling_history: Vec<ScalingEvent>,
    /// The last five times that a group came up from nothing, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub cold_starts: Vec<ColdStart>,
    /// Groups that answer and take traffic.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Groups that are loaded and wait.
    #[serde(default)]
    pub standby_ready: i32,
    /// `ready/desired +standby`, for `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Address inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The InferenceService that runs the engine, where KServe does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_service: Option<String>,
    /// How far the rollout of a new revision is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Box<RolloutStatus>>,
    /// How much of the budget is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<BudgetSpent>>,
}

/// One change of `desiredReplicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingEvent {
    /// When it was decided.
    pub time: Time,
    /// Groups before.
    pub from: i32,
    /// Groups after.
    pub to: i32,
    /// Why.
    pub reason: ScalingReason,
}

/// Why the number of groups changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ScalingReason {
    /// Calls waited for a model that slept.
    CallsHeld,
    /// More calls under way or held than the groups are to carry.
    MoreCalls,
    /// More answer tokens a second than the groups are to give.
    MoreTokens,
    /// Less demand for `downDelay`.
    LessDemand,
    /// No call for `downDelay`.
    Idle,
    /// A run with a deadline, or of a trigger, is about to call.
    RunAhead,
    /// A warm schedule began.
    Schedule,
    /// `min` or `max` changed.
    Bounds,
}

// === impl EngineName ===

impl EngineName {
    /// Whether its server is the tenant's: AIOS knows neither image nor flags.
    pub const fn is_tenants_own(self) -> bool {
        match self {
            Self::Custom | Self::KServe | Self::BentoML => true,
            Self::LlamaCpp | Self::VLLM => false,
        }
    }
}

// === impl Shards ===

impl Default for Shards {
    fn default() -> Self {
        Self {
            tensor: one_u32(),
            pipeline: one_u32(),
        }
    }
}

impl Shards {
    /// Pods of one group, if each has so many GPUs; a pod without any counts as one device.
    pub fn pods(&self, gpus: u32) -> u32 {
        self.pipeline * self.tensor.div_ceil(gpus.max(1))
    }
}

// === impl Scaling ===

impl Scaling {
    /// Fewest groups.
    pub fn fewest(&self) -> i32 {
        self.min.unwrap_or(0)
    }

    /// Most groups, at least one.
    pub fn most(&self) -> i32 {
        self.max.unwrap_or_else(|| self.fewest()).max(1)
    }

    /// Calls that one group is to carry.
    pub fn calls_of_a_group(&self) -> i32 {
        self.target_in_flight.unwrap_or(16)
    }

    /// Span over which demand is averaged.
    pub fn averaged_over(&self) -> Duration {
        self.window.unwrap_or(Duration::from_millis(30_000))
    }

    /// For how long demand must have been lower.
    pub fn down_after(&self) -> Duration {
        self.down_delay.unwrap_or(Duration::from_millis(300_000))
    }

    /// How long a call may wait.
    pub fn held_for(&self) -> Duration {
        self.hold_for.unwrap_or(Duration::from_millis(120_000))
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            context_tokens: default_context(),
            max_output_tokens: default_output(),
            max_in_flight: default_in_flight(),
        }
    }
}

// === impl Resilience ===

impl Default for Resilience {
    fn default() -> Self {
        Self {
            timeout: default_timeout(),
            first_token_timeout: default_first_token(),
            token_gap_timeout: default_token_gap(),
            retries: default_retries(),
            hedge: None,
        }
    }
}

// === impl Hedge ===

impl Hedge {
    /// Whether both numbers are within their bounds.
    pub fn is_bounded(&self) -> bool {
        (50..=99).contains(&self.after_percentile) && (1..=50).contains(&self.max_percent)
    }
}

// === impl ModelDeploymentStatus ===

impl Default for ModelDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Conditions::default(),
            model: None,
            replicas: 0,
            desired_replicas: None,
            scaling_history: Vec::new(),
            cold_starts: Vec::new(),
            ready_replicas: 0,
            standby_ready: 0,
            summary: None,
            selector: None,
            endpoint: None,
            inference_service: None,
            rollout: None,
            budget: None,
        }
    }
}

fn one() -> i32 {
    1
}

fn one_u32() -> u32 {
    1
}

fn default_api() -> String {
    "/v1".to_owned()
}

fn default_health() -> String {
    "/health".to_owned()
}

fn default_context() -> u32 {
    4096
}

fn default_output() -> u32 {
    512
}

fn default_in_flight() -> u32 {
    64
}

fn default_timeout() -> Duration {
    Duration::from_millis(60_000)
}

fn default_first_token() -> Duration {
    Duration::from_millis(30_000)
}

fn default_token_gap() -> Duration {
    Duration::from_millis(30_000)
}

fn default_retries() -> u32 {
    2
}

fn default_hedge_percentile() -> u32 {
    95
}

fn default_hedge_share() -> u32 {
    5
}

#[cfg(test)]
mod tests {
    use super::Shards;

    #[test]
    fn a_group_has_as_many_pods_as_its_devices_need_the_last_perhaps_half_empty() {
        // Tensor, pipeline, GPUs of a pod.
        for ((tensor, pipeline, gpus), pods) in [
            ((1, 1, 0), 1),
            ((1, 1, 8), 1),
            ((2, 3, 0), 6),
            ((4, 1, 2), 2),
            ((3, 1, 2), 2),
            ((5, 1, 4), 2),
            ((3, 2, 2), 4),
            ((8, 2, 3), 6),
            ((4, 2, 4), 2),
        ] {
            let shards = Shards { tensor, pipeline };
            assert_eq!(shards.pods(gpus), pods, "{shards:?} of {gpus}");
        }
    }
}
