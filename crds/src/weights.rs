//! Weights of self-hosted models: where each file comes from, and what proves that it is the right one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reference::SecretSource;

/// Where a model's weights come from, and what proves that they are the right ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = weights_rules()))]
pub struct Weights {
    /// Address of one file: `https://HOST/FILE`, `http://HOST/FILE`, `hf://ORG/REPO/FILE` (Hugging
    /// Face), `pvc://CLAIM/FILE` (on a volume of this namespace) or `oci://IMAGE:TAG/FILE` (in an image).
    /// Engine VLLM loads a folder: `hf://ORG/REPO` (a whole repository), `pvc://CLAIM/FOLDER` or
    /// `oci://IMAGE:TAG/FOLDER`. Engines Custom, KServe and BentoML may load either.
    #[schemars(length(max = 2048))]
    pub uri: String,
    /// Branch, tag or commit of an `hf://` repository; `main` when left out. Of a whole repository it
    /// is a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub revision: Option<String>,
    /// SHA-256 of the file, or of a folder as docs/operations.md says; one that differs is refused.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Bearer token for `https://`, `http://` and `hf://`. It is sent to that host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretSource>,
    /// Volume that keeps fetched files between restarts. `pvc://` and `oci://` files need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<WeightsCache>,
}

/// A LoRA adapter that the engine applies to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = source_rules()))]
pub struct Adapter {
    /// Name in conditions, and with engine VLLM in calls to it.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        length(min = 1, max = 40)
    )]
    pub name: String,
    /// Address of one file or folder, as `model.uri`.
    #[schemars(length(max = 2048))]
    pub uri: String,
    /// Branch, tag or commit of an `hf://` repository; `main` when left out. Of a whole repository it
    /// is a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub revision: Option<String>,
    /// SHA-256 of the file or folder, as of `model.digest`; one that differs is refused.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Bearer token for `https://`, `http://` and `hf://`. It is sent to that host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretSource>,
}

/// The volume that holds fetched files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeightsCache {
    /// Size of the volume, as in `2Gi`. While one model replaces another it holds both.
    #[schemars(regex(pattern = r"^[0-9]+(Mi|Gi|Ti)$"))]
    pub size: String,
    /// Storage class; the cluster's default when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// Whether groups on several nodes share the volume.
    #[serde(default)]
    pub access_mode: AccessMode,
}

/// Who may mount a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// Pods of one node: all groups of the model run there.
    #[default]
    ReadWriteOnce,
    /// Pods of any node; the storage class must offer it.
    ReadWriteMany,
}

/// What the weights must be, checked against engine and weights before an engine starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quantization {
    /// How the weights are quantized.
    pub method: QuantizationMethod,
}

/// Ways to quantize weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum QuantizationMethod {
    /// llama.cpp's types, as `Q4_K_M`; the file's name says which.
    GGUF,
    /// Activation-aware, 4 bits.
    AWQ,
    /// Post-training, by groups of columns.
    GPTQ,
    /// Floating point of 8 bits.
    FP8,
}

impl AccessMode {
    /// The word of the Kubernetes API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// Rules of every file's address.
fn source_rules() -> Vec<Value> {
    vec![
        json!({
            "rule": "self.uri.matches('^(https?|hf|pvc|oci)://[^ ]+$')",
            "message": "begin uri with https://, http://, hf://, pvc:// or oci://, as in hf://ORG/REPO/FILE.gguf or pvc://CLAIM/FILE.gguf",
        }),
        json!({
            "rule": "!has(self.revision) || self.uri.startsWith('hf://')",
            "message": "leave revision out: only hf:// has revisions",
        }),
        json!({
            "rule": "!self.uri.matches('^hf://[^/]+/[^/]+$') || (has(self.revision) && self.revision.matches('^[0-9a-f]{40}$'))",
            "message": "hf://ORG/REPO is a whole repository: set revision to its commit, 40 hex digits; one file is hf://ORG/REPO/FILE",
        }),
        json!({
            "rule": "!has(self.credentials) || self.uri.startsWith('http') || self.uri.startsWith('hf://')",
            "message": "leave credentials out: a pvc:// file needs none, and images are pulled with the pull secrets of the model's ServiceAccount",
        }),
    ]
}

fn weights_rules() -> Vec<Value> {
    let mut rules = source_rules();
    rules.push(json!({
        "rule": "has(self.cache) || self.uri.startsWith('pvc://') || self.uri.startsWith('oci://')",
        "message": "set cache, the volume that keeps the fetched file, as in cache: {size: 2Gi}",
    }));
    rules
}
