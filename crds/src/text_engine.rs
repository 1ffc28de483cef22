//! Engines that take one text and give one: servers of Open Inference Protocol V2, as KServe's runtimes
//! are, and routes of BentoML services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a server of Open Inference Protocol V2 answers, and in which tensors.
/// <https://github.com/kserve/open-inference-protocol>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.port) || !(int(self.port) in [8443, 9090])",
    "message": "ports 8443 and 9090 are the ingress's in the same pod: let the server listen on another",
}, {
    "rule": "!has(self.grpcPort) || !(int(self.grpcPort) in [8443, 9090])",
    "message": "ports 8443 and 9090 are the ingress's in the same pod: let the server's gRPC listen on another",
}]))]
pub struct KServeEngine {
    /// Port of its REST API; the pod's loopback is enough.
    #[serde(default = "kserve_port")]
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: i32,
    /// Port of its gRPC API, over which texts then go. Whether it is ready, it still tells over REST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65_535))]
    pub grpc_port: Option<i32>,
    /// Model name in its paths; the weights' file name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$"),
        length(max = 256)
    )]
    pub model: Option<String>,
    /// Tensor that takes the prompt: BYTES of shape [1].
    #[serde(default = "kserve_input")]
    #[schemars(length(min = 1, max = 256))]
    pub input: String,
    /// Tensor that holds the answer, one element of BYTES; when left out, the only one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub output: Option<String>,
    /// Settings of a call that go along as parameters of the request. Others are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub settings: Vec<CallSetting>,
}

/// Which route of a BentoML service answers, and in which JSON fields.
/// <https://docs.bentoml.com/en/latest/reference/bentoml/api.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.port) || !(int(self.port) in [8443, 9090])",
    "message": "ports 8443 and 9090 are the ingress's in the same pod: let the server listen on another",
}]))]
pub struct BentoMLEngine {
    /// Port where `bentoml serve` answers; AIOS sets it, on the pod's loopback.
    #[serde(default = "bentoml_port")]
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: i32,
    /// What records call the model; the weights' file name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Path of the API method.
    #[serde(default = "bentoml_route")]
    #[schemars(regex(pattern = r"^(/[-A-Za-z0-9._~]+)+$"), length(max = 256))]
    pub route: String,
    /// Field that takes the prompt.
    #[serde(default = "bentoml_input")]
    #[schemars(length(min = 1, max = 256))]
    pub input: String,
    /// Field of the answer that holds its text; when left out, the answer is nothing but text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub output: Option<String>,
    /// Settings of a call that go along as fields of the same name. Others are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub settings: Vec<CallSetting>,
}

/// A setting of a call, by its name in OpenAI's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallSetting {
    /// Cap of the answer. A caller's `max_completion_tokens` is sent under this name, too.
    MaxTokens,
    /// Randomness.
    Temperature,
    /// Share of the likeliest tokens that are sampled from.
    TopP,
    /// Number of the likeliest tokens that are sampled from.
    TopK,
    /// Seed of the randomness.
    Seed,
    /// Penalty of what was said at all.
    PresencePenalty,
    /// Penalty of what was said often.
    FrequencyPenalty,
}

// === impl KServeEngine ===

impl Default for KServeEngine {
    fn default() -> Self {
        Self {
            port: kserve_port(),
            grpc_port: None,
            model: None,
            input: kserve_input(),
            output: None,
            settings: Vec::new(),
        }
    }
}

// === impl BentoMLEngine ===

impl Default for BentoMLEngine {
    fn default() -> Self {
        Self {
            port: bentoml_port(),
            model: None,
            route: bentoml_route(),
            input: bentoml_input(),
            output: None,
            settings: Vec::new(),
        }
    }
}

// === impl CallSetting ===

impl CallSetting {
    /// Its name in OpenAI's API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::TopK => "top_k",
            Self::Seed => "seed",
            Self::PresencePenalty => "presence_penalty",
            Self::FrequencyPenalty => "frequency_penalty",
        }
    }
}

/// Where KServe's model servers listen.
fn kserve_port() -> i32 {
    8080
}

/// As KServe's runtimes number their tensors.
fn kserve_input() -> String {
    "input-0".to_owned()
}

/// Where `bentoml serve` listens.
fn bentoml_port() -> i32 {
    3000
}

fn bentoml_route() -> String {
    "/generate".to_owned()
}

fn bentoml_input() -> String {
    "prompt".to_owned()
}
