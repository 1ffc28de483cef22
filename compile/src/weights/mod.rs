//! Weights of a self-hosted model: addresses parsed once, so that whoever fetches or mounts a file
//! cannot meet one that makes no sense.

mod folder;
mod gguf;
mod source;

use aios_crds::{
    model_deployment::{EngineName, SelfHosted},
    reference::{KeyRef, SecretSource},
    weights::QuantizationMethod,
};
use aios_proto::canonical;

use crate::{Diagnostic, checks};

pub use source::{Source, file_name};

/// Every file, or folder in place of one, that an engine loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsPlan {
    /// None for an engine that brings its own.
    pub model: Option<WeightsFile>,
    pub adapters: Vec<WeightsFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsFile {
    /// What people call it: `model` or `adapter NAME`.
    pub name: String,
    pub source: Source,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Key of the bearer token that the source asks for.
    pub credentials: Option<KeyRef>,
    pub format: Format,
}

/// What must stand at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One GGUF file.
    Gguf,
    /// A folder whose `config.json` names this way to quantize, or the folder of an adapter.
    Folder {
        quantization: Option<QuantizationMethod>,
    },
    /// Any file, or any folder where it is mounted.
    Any,
}

impl WeightsPlan {
    /// Every file, the model first.
    pub fn files(&self) -> impl Iterator<Item = &WeightsFile> {
        self.model.iter().chain(&self.adapters)
    }
}

/// Parses the weights of a self-hosted model.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn weights(own: &SelfHosted) -> Result<WeightsPlan, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let first = own.model.as_ref().and_then(|model| {
        file(
            "model".to_owned(),
            "spec.selfHosted.model",
            &Written {
                uri: &model.uri,
                revision: model.revision.as_deref(),
                digest: &model.digest,
                credentials: model.credentials.as_ref(),
                format: format(own),
            },
            &mut found,
        )
    });
    found.extend(quantization(own));
    let names = own.adapters.iter().map(|adapter| adapter.name.as_str());
    let at = |index| format!("spec.selfHosted.adapters[{index}].name");
    found.extend(checks::doubled(names, at));
    let mut adapters = Vec::new();
    for (index, adapter) in own.adapters.iter().enumerate() {
        adapters.extend(file(
            format!("adapter {}", adapter.name),
            &format!("spec.selfHosted.adapters[{index}]"),
            &Written {
                uri: &adapter.uri,
                revision: adapter.revision.as_deref(),
                digest: &adapter.digest,
                credentials: adapter.credentials.as_ref(),
                format: match format(own) {
                    Format::Folder { .. } => Format::Folder { quantization: None },
                    format => format,
                },
            },
            &mut found,
        ));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let plan = WeightsPlan {
        model: first,
        adapters,
    };
    let fetched = plan.files().find(|file| file.source.is_fetched());
    let cache = own.model.as_ref().and_then(|model| model.cache.as_ref());
    if let (Some(file), None) = (fetched, cache) {
        return Err(vec![Diagnostic::new(
            "spec.selfHosted.model.cache",
            format!("{} is fetched and has no volume to go to", file.name),
            "set cache, as in cache: {size: 2Gi}",
        )]);
    }
    Ok(plan)
}

/// What the weights of a model are called in records: the digest of its only file, or one over the
/// digests of model and adapters in their order; none where there are no weights.
pub fn digest(plan: &WeightsPlan) -> Option<String> {
    let model = plan.model.as_ref()?;
    if plan.adapters.is_empty() {
        return Some(model.digest.clone());
    }
    let digests: Vec<&str> = plan.files().map(|file| file.digest.as_str()).collect();
    Some(canonical::digest(digests.join("\n").as_bytes()))
}

/// A file as it stands in the spec.
struct Written<'a> {
    uri: &'a str,
    revision: Option<&'a str>,
    digest: &'a str,
    credentials: Option<&'a SecretSource>,
    format: Format,
}

/// What the engine loads.
fn format(own: &SelfHosted) -> Format {
    match own.engine.name {
        EngineName::LlamaCpp => Format::Gguf,
        EngineName::VLLM => Format::Folder {
            quantization: own.quantization.as_ref().map(|wanted| wanted.method),
        },
        EngineName::Custom | EngineName::KServe | EngineName::BentoML => Format::Any,
    }
}

fn file(
    name: String,
    path: &str,
    written: &Written<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<WeightsFile> {
    let uri = format!("{path}.uri");
    let source = match Source::parse(path, written.uri, written.revision) {
        Ok(source) => source,
        Err(diagnostic) => {
            found.push(diagnostic);
            return None;
        }
    };
    if written.credentials.is_some() && !source.is_fetched() {
        found.push(Diagnostic::new(
            format!("{path}.credentials"),
            format!("`{}` is mounted and not fetched", written.uri),
            "leave credentials out: images are pulled with the pull secrets of the model's \
             ServiceAccount",
        ));
    }
    found.extend(match written.format {
        Format::Gguf => gguf::loadable(&uri, written.uri, &source),
        Format::Folder { .. } => folder::loadable(&uri, written.uri, &source),
        Format::Any => None,
    });
    Some(WeightsFile {
        name,
        source,
        digest: written.digest.to_owned(),
        credentials: written
            .credentials
            .map(|source| source.secret_key_ref.clone()),
        format: written.format,
    })
}

/// Whether engine and file are what `quantization` says. What a folder is, its own `config.json` says.
fn quantization(own: &SelfHosted) -> Option<Diagnostic> {
    let path = "spec.selfHosted.quantization.method";
    let method = own.quantization.as_ref()?.method;
    match (own.engine.name, method) {
        (EngineName::LlamaCpp, QuantizationMethod::GGUF) => {
            gguf::quantized(path, file_name(&own.model.as_ref()?.uri))
        }
        (EngineName::LlamaCpp, other) => Some(Diagnostic::new(
            path,
            format!("engine LlamaCpp loads no {other:?} weights"),
            "use method GGUF with a GGUF file, or leave quantization out",
        )),
        (EngineName::VLLM, QuantizationMethod::GGUF) => Some(Diagnostic::new(
            path,
            "engine VLLM loads GGUF only with a plugin and a tokenizer from elsewhere",
            "use engine LlamaCpp for a GGUF file, or method AWQ, GPTQ or FP8 for a folder",
        )),
        (
            EngineName::VLLM,
            QuantizationMethod::AWQ | QuantizationMethod::GPTQ | QuantizationMethod::FP8,
        )
        | (EngineName::Custom | EngineName::KServe | EngineName::BentoML, _) => None,
    }
}
