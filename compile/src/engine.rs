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
        EngineName::Custom => found.extend(custom(own)),
        EngineName::LlamaCpp => {}
    }
    if own.engine.name != EngineName::Custom {
        found.extend(not_custom(own));
    }
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
        EngineName::Custom => &[],
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

fn custom(own: &SelfHosted) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut wrong = |path: &str, message: &str, remedy: &str| {
        found.push(Diagnostic::new(
            format!("spec.selfHosted.{path}"),
            message,
            remedy,
        ));
    };
    if own.engine.image.is_none() {
        let remedy = "set image, the server of your own";
        wrong("engine.image", "AIOS has no image of engine Custom", remedy);
    }
    match &own.engine.custom {
        None => wrong(
            "engine.custom",
            "nothing says where engine Custom answers",
            "set custom, as in custom: {port: 8000, healthPath: /health}",
        ),
        Some(custom) if TAKEN.contains(&custom.port) => wrong(
            "engine.custom.port",
            "the ingress listens there, in the same pod",
            "let the server listen on another port, as 8000",
        ),
        Some(custom) if custom.model.is_none() && own.model.is_none() => wrong(
            "engine.custom.model",
            "there are no weights to take the model's name from",
            "set the name that calls are to carry",
        ),
        Some(_) => {}
    }
    if own.shards.tensor * own.shards.pipeline > 1 {
        wrong(
            "shards",
            "engine Custom is one pod, and AIOS cannot tell it to divide a model",
            "leave shards out; what divides a model in one pod goes into engine.args",
        );
    }
    let untold = "AIOS cannot tell engine Custom of it";
    if own.quantization.is_some() {
        wrong("quantization", untold, "leave it out, or use engine.args");
    }
    if !own.adapters.is_empty() {
        wrong("adapters", untold, "leave them out, or use engine.args");
    }
    found
}

fn not_custom(own: &SelfHosted) -> Vec<Diagnostic> {
    let engine = own.engine.name;
    let mut found = Vec::new();
    if own.engine.custom.is_some() {
        found.push(Diagnostic::new(
            "spec.selfHosted.engine.custom",
            format!("engine {engine:?} is known to AIOS"),
            "leave custom out, or use engine Custom",
        ));
    }
    if own.model.is_none() {
        found.push(Diagnostic::new(
            "spec.selfHosted.model",
            format!("engine {engine:?} has no weights to load"),
            "set model, as in model: {uri: hf://ORG/REPO/FILE.gguf, digest: sha256:…}",
        ));
    }
    found
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
