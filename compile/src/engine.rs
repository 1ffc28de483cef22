//! What each engine can be asked for. What it cannot do is refused here, not found out by a pod.

use aios_crds::model_deployment::{EngineName, SelfHosted, WarmMode};

use crate::Diagnostic;

/// What of `spec.selfHosted` the engine cannot do.
pub fn checks(own: &SelfHosted) -> Vec<Diagnostic> {
    let mut found = reserved(own);
    found.extend(sleepless(own));
    match own.engine.name {
        EngineName::VLLM => {
            found.extend(uneven(own));
            found.extend(second_adapter(own));
        }
        EngineName::Custom | EngineName::KServe | EngineName::BentoML => {
            found.extend(tenants_own(own));
        }
        EngineName::LlamaCpp => {}
    }
    if !own.engine.name.is_tenants_own() && own.model.is_none() {
        found.push(Diagnostic::new(
            "spec.selfHosted.model",
            format!("engine {:?} has no weights to load", own.engine.name),
            "set model, as in model: {uri: hf://ORG/REPO/FILE.gguf, digest: sha256:…}",
        ));
    }
    found.extend(misplaced(own));
    found
}

/// Flags that AIOS sets: a second value would win silently in some engines and fail in others.
fn flags(engine: EngineName) -> &'static [&'static str] {
    match engine {
        EngineName::LlamaCpp => &[
            "-m",
            "--model",
            "--host",
            "--port",
            "-c",
            "--ctx-size",
            "-np",
            "--parallel",
            "--lora",
            "--lora-scaled",
        ],
        EngineName::VLLM => &[
            "--model",
            "--served-model-name",
            "--host",
            "--port",
            "--uds",
            "--api-key",
            "--max-model-len",
            "--max-num-seqs",
            "--tensor-parallel-size",
            "-tp",
            "--pipeline-parallel-size",
            "-pp",
            "--distributed-executor-backend",
            "--nnodes",
            "-n",
            "--node-rank",
            "-r",
            "--master-addr",
            "--master-port",
            "--headless",
            "--enable-lora",
            "--lora-modules",
            "--enable-sleep-mode",
        ],
        EngineName::Custom | EngineName::KServe | EngineName::BentoML => &[],
    }
}

fn reserved(own: &SelfHosted) -> Vec<Diagnostic> {
    let engine = own.engine.name;
    let args = own.engine.args.iter().enumerate();
    args.filter_map(|(index, arg)| {
        let written = arg.split('=').next().unwrap_or_default();
        // vLLM reads `--max_model_len` as `--max-model-len`; llama.cpp has no flag with an underscore.
        let flag = written.replace('_', "-");
        flags(engine).contains(&flag.as_str()).then(|| {
            Diagnostic::new(
                format!("spec.selfHosted.engine.args[{index}]"),
                format!("`{written}` is set by AIOS"),
                "leave it out: context and parallel calls follow spec.limits, devices follow \
                 spec.selfHosted.shards, adapters follow spec.selfHosted.adapters, weights and \
                 address are AIOS's",
            )
        })
    })
    .collect()
}

/// Ports of the ingress, which shares the engine's network.
const TAKEN: [i32; 2] = [8443, 9090];

/// What AIOS must be told of a server that it does not know.
fn tenants_own(own: &SelfHosted) -> Vec<Diagnostic> {
    let engine = own.engine.name;
    let mut found = Vec::new();
    let mut wrong = |path: &str, message: String, remedy: &str| {
        found.push(Diagnostic::new(
            format!("spec.selfHosted.{path}"),
            message,
            remedy,
        ));
    };
    if own.engine.image.is_none() {
        let message = format!("AIOS has no image of engine {engine:?}");
        wrong("engine.image", message, "set image, the server of your own");
    }
    match told(own) {
        None => wrong(
            "engine.custom",
            format!("nothing says where engine {engine:?} answers"),
            "set custom, as in custom: {port: 8000, healthPath: /health}",
        ),
        Some(told) if TAKEN.contains(&told.port) => wrong(
            &format!("engine.{}.port", told.field),
            "the ingress listens there, in the same pod".to_owned(),
            "let the server listen on another port, as 8000",
        ),
        Some(told) if !told.is_named && own.model.is_none() => wrong(
            &format!("engine.{}.model", told.field),
            "there are no weights to take the model's name from".to_owned(),
            "set the name that calls are to carry",
        ),
        Some(_) => {}
    }
    if own.shards.tensor * own.shards.pipeline > 1 {
        wrong(
            "shards",
            format!("engine {engine:?} is one pod, and AIOS cannot tell it to divide a model"),
            "leave shards out; what divides a model in one pod goes into engine.args",
        );
    }
    let untold = || format!("AIOS cannot tell engine {engine:?} of it");
    if own.quantization.is_some() {
        wrong("quantization", untold(), "leave it out, or use engine.args");
    }
    if !own.adapters.is_empty() {
        wrong("adapters", untold(), "leave them out, or use engine.args");
    }
    found
}

/// What a spec says of a server of the tenant's own.
struct Told {
    /// Name of the engine's field.
    field: &'static str,
    port: i32,
    /// Whether the model has a name there.
    is_named: bool,
}

/// KServe's and BentoML's servers are where they always are, unless the spec says otherwise.
fn told(own: &SelfHosted) -> Option<Told> {
    let (field, port, model) = match own.engine.name {
        EngineName::Custom => {
            let custom = own.engine.custom.as_ref()?;
            ("custom", custom.port, custom.model.clone())
        }
        EngineName::KServe => {
            let kserve = own.engine.kserve.clone().unwrap_or_default();
            ("kserve", kserve.port, kserve.model)
        }
        EngineName::BentoML => {
            let bentoml = own.engine.bentoml.clone().unwrap_or_default();
            ("bentoml", bentoml.port, bentoml.model)
        }
        EngineName::LlamaCpp | EngineName::VLLM => return None,
    };
    Some(Told {
        field,
        port,
        is_named: model.is_some(),
    })
}

/// What is said of another engine than the one that runs.
fn misplaced(own: &SelfHosted) -> Vec<Diagnostic> {
    let engine = own.engine.name;
    let fields = [
        ("custom", own.engine.custom.is_some(), EngineName::Custom),
        ("kserve", own.engine.kserve.is_some(), EngineName::KServe),
        ("bentoml", own.engine.bentoml.is_some(), EngineName::BentoML),
    ];
    fields
        .into_iter()
        .filter(|(_, is_set, of)| *is_set && *of != engine)
        .map(|(field, _, of)| {
            Diagnostic::new(
                format!("spec.selfHosted.engine.{field}"),
                format!("engine {engine:?} is not told by it"),
                format!("leave {field} out, or use engine {of:?}"),
            )
        })
        .collect()
}

fn sleepless(own: &SelfHosted) -> Option<Diagnostic> {
    let engine = own.engine.name;
    (own.warm.mode == WarmMode::Asleep && engine != EngineName::VLLM).then(|| {
        Diagnostic::new(
            "spec.selfHosted.warm.mode",
            format!("engine {engine:?} cannot sleep"),
            "set mode Loaded, or use engine VLLM",
        )
    })
}

/// vLLM gives every pod of a group the same number of devices.
fn uneven(own: &SelfHosted) -> Option<Diagnostic> {
    let gpus = own.gpu.as_ref().map_or(1, |gpu| gpu.count);
    let pods = own
        .shards
        .tensor
        .div_ceil(u32::try_from(gpus).unwrap_or(1).max(1));
    (!own.shards.tensor.is_multiple_of(pods.max(1))).then(|| {
        Diagnostic::new(
            "spec.selfHosted.shards.tensor",
            format!(
                "{} devices cannot be spread evenly over {pods} pods of {gpus} GPUs",
                own.shards.tensor
            ),
            "make it a multiple of spec.selfHosted.gpu.count",
        )
    })
}

/// vLLM has an adapter by its name in the call, and a call has one name.
fn second_adapter(own: &SelfHosted) -> Option<Diagnostic> {
    let second = own.adapters.get(1)?;
    Some(Diagnostic::new(
        "spec.selfHosted.adapters[1]",
        format!(
            "engine VLLM applies one adapter to a call, and `{}` would never be",
            second.name
        ),
        "merge the adapters into one, or into the model's weights",
    ))
}
