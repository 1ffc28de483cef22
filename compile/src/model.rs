//! Compiles a ModelDeployment, for the egress that calls it and the ingress that stands before it.

use std::time::Duration;

use aios_crds::{
    ModelDeploymentSpec,
    cold_start::Slo,
    model_deployment::{EngineName, Hosted, Provider, Scaling, ScalingMode, SelfHosted},
    rollout::Rollout,
};
use aios_proto::config::{Dialect, HostedAt, ModelConfig, Upstream};

use crate::{
    Diagnostic, checks, engine, schedule, text_engine,
    weights::{self, file_name},
};

/// Port of every ingress.
pub const INGRESS_PORT: u16 = 8443;
/// Port of the engine on its pod's loopback, but for one that names its own.
pub const ENGINE_PORT: u16 = 8080;
/// Longest name of a ModelDeployment: Services, pods and their hashes are named after it.
pub const MAX_MODEL_NAME: usize = 40;

/// Compiles a ModelDeployment.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn model(
    name: &str,
    namespace: &str,
    spec: &ModelDeploymentSpec,
) -> Result<ModelConfig, Vec<Diagnostic>> {
    let mut found: Vec<_> = checks::object_name("ModelDeployment", name, MAX_MODEL_NAME)
        .into_iter()
        .collect();
    found.extend(limits(spec));
    found.extend(budget(spec));
    found.extend(spec.scaling.as_deref().into_iter().flat_map(scaling));
    found.extend(spec.slo.as_deref().and_then(slo));
    found.extend(schedule::checks(spec));
    let backend = match (&spec.hosted, &spec.self_hosted) {
        (Some(hosted), None) => Some(from_hosted(hosted, &mut found)),
        (None, Some(own)) => Some(from_self_hosted(own, &mut found)),
        _ => {
            found.push(Diagnostic::new(
                "spec",
                "neither or both of hosted and selfHosted are set",
                "set exactly one of hosted (a provider's API) and selfHosted (served in this \
                 cluster)",
            ));
            None
        }
    };
    let Some((upstream, digest)) = backend.filter(|_| found.is_empty()) else {
        return Err(found);
    };
    let standby = spec
        .self_hosted
        .as_ref()
        .is_some_and(|own| own.warm.standby > 0);
    Ok(ModelConfig {
        name: name.to_owned(),
        model: model_name(spec).to_owned(),
        digest,
        endpoint: endpoint(&model_service(name), namespace),
        standby_endpoint: standby.then(|| endpoint(&standby_service(name), namespace)),
        upstream,
        hosted: hosted_at(spec),
        limits: spec.limits.clone(),
        resilience: spec.resilience.clone(),
        pricing: spec.pricing.clone(),
        hold_ms: spec.scaling.as_deref().map_or(0, hold_ms),
        demand: spec
            .scaling
            .as_ref()
            .is_some_and(|scaling| scaling.mode == ScalingMode::Builtin),
        next: None,
        budget: spec.budget.as_deref().cloned(),
    })
}

fn budget(spec: &ModelDeploymentSpec) -> Vec<Diagnostic> {
    let Some(budget) = &spec.budget else {
        return Vec::new();
    };
    let mut found: Vec<_> = checks::time_zone("spec.budget", budget)
        .into_iter()
        .collect();
    let priced = spec.pricing.as_ref().map(|pricing| &pricing.currency);
    if let Some(currency) = &budget.currency
        && priced != Some(currency)
    {
        found.push(Diagnostic::new(
            "spec.budget.currency",
            format!("the model has no price in {currency}, so that no call could be paid for"),
            "set spec.pricing in this currency, or count tokens with budget.tokens",
        ));
    }
    found
}

/// Where a provider serves it; none for models of this cluster.
pub fn hosted_at(spec: &ModelDeploymentSpec) -> Option<HostedAt> {
    let hosted = spec.hosted.as_ref()?;
    Some(HostedAt {
        region: hosted.region.clone(),
    })
}

/// Model name in requests to the upstream: the provider's, or the weights' file name. vLLM has a model
/// with an adapter under the adapter's name.
pub fn model_name(spec: &ModelDeploymentSpec) -> &str {
    match (&spec.hosted, &spec.self_hosted) {
        (Some(hosted), _) => &hosted.model,
        (None, Some(own)) => match (own.engine.name, own.adapters.first()) {
            (EngineName::VLLM, Some(adapter)) => &adapter.name,
            _ => own_name(own),
        },
        (None, None) => "",
    }
}

fn own_name(own: &SelfHosted) -> &str {
    let engine = &own.engine;
    let custom = engine.custom.as_ref().map(|engine| &engine.model);
    let kserve = engine.kserve.as_ref().map(|engine| &engine.model);
    let bentoml = engine.bentoml.as_ref().map(|engine| &engine.model);
    let named = custom.or(kserve).or(bentoml).and_then(Option::as_deref);
    let weights = own.model.as_ref().map(|model| file_name(&model.uri));
    named.or(weights).unwrap_or_default()
}

/// Where the engine answers, on its pod's loopback, and how it is spoken to.
fn engine_upstream(own: &SelfHosted) -> Upstream {
    let openai = |port: i32, path: &str| Upstream {
        dialect: Dialect::OpenAI,
        base_url: format!("http://127.0.0.1:{port}{path}"),
    };
    match (own.engine.name, &own.engine.custom) {
        (EngineName::KServe, _) => text_engine::open_inference(own.engine.kserve.as_ref()),
        (EngineName::BentoML, _) => text_engine::bentoml(own.engine.bentoml.as_ref()),
        (_, Some(custom)) => openai(custom.port, &custom.api_path),
        (_, None) => openai(ENGINE_PORT.into(), "/v1"),
    }
}

/// Where an engine answers 200 once it can serve; none where it is `/health` beside the API.
pub fn engine_health(own: &SelfHosted) -> Option<String> {
    let engine = &own.engine;
    match engine.name {
        EngineName::Custom => {
            let custom = engine.custom.as_ref()?;
            let (port, path) = (custom.port, &custom.health_path);
            Some(format!("http://127.0.0.1:{port}{path}"))
        }
        EngineName::KServe => Some(text_engine::open_inference_health(
            engine.kserve.as_ref(),
            own_name(own),
        )),
        EngineName::BentoML => Some(text_engine::bentoml_health(engine.bentoml.as_ref())),
        EngineName::LlamaCpp | EngineName::VLLM => None,
    }
}

/// Name of the Service before the groups that take traffic.
pub fn model_service(name: &str) -> String {
    format!("{name}-model")
}

/// Name of the Service before standby groups.
pub fn standby_service(name: &str) -> String {
    format!("{name}-standby")
}

/// Name of the Service before groups of a revision on trial.
pub fn next_service(name: &str) -> String {
    format!("{name}-next")
}

/// Address of the ingresses of a revision on trial.
pub fn next_endpoint(name: &str, namespace: &str) -> String {
    endpoint(&next_service(name), namespace)
}

fn endpoint(service: &str, namespace: &str) -> String {
    format!("https://{service}.{namespace}.svc:{INGRESS_PORT}")
}

fn limits(spec: &ModelDeploymentSpec) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let (limits, resilience) = (&spec.limits, &spec.resilience);
    if limits.max_output_tokens >= limits.context_tokens {
        found.push(Diagnostic::new(
            "spec.limits.maxOutputTokens",
            format!(
                "{} answer tokens leave no room for a prompt in a context of {}",
                limits.max_output_tokens, limits.context_tokens
            ),
            "lower maxOutputTokens, or raise contextTokens if the model can hold more",
        ));
    }
    if resilience.timeout.get().is_zero() {
        found.push(Diagnostic::new(
            "spec.resilience.timeout",
            "no call can end within 0s",
            "name a span such as 60s",
        ));
    } else if resilience.first_token_timeout > resilience.timeout {
        found.push(Diagnostic::new(
            "spec.resilience.firstTokenTimeout",
            format!(
                "{} is longer than the whole call may take ({})",
                resilience.first_token_timeout, resilience.timeout
            ),
            "make it at most spec.resilience.timeout",
        ));
    }
    if resilience.token_gap_timeout.get().is_zero() {
        found.push(Diagnostic::new(
            "spec.resilience.tokenGapTimeout",
            "no stream can go on within 0s",
            "name a span such as 30s",
        ));
    }
    found
}

fn slo(slo: &Slo) -> Option<Diagnostic> {
    let span = slo.cold_start;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    (!bounds.contains(&span.get())).then(|| {
        Diagnostic::new(
            "spec.slo.coldStart",
            format!("{span} is not between 1s and 24h"),
            "name a span from 1s to 24h, as in 5m",
        )
    })
}

fn hold_ms(scaling: &Scaling) -> u64 {
    u64::try_from(scaling.held_for().get().as_millis()).unwrap_or(u64::MAX)
}

/// What the schema cannot bound: spans of time.
fn scaling(scaling: &Scaling) -> Vec<Diagnostic> {
    const SECOND: Duration = Duration::from_secs(1);
    let spans = [
        (
            "window",
            scaling.window,
            SECOND,
            Duration::from_mins(10),
            "10m",
        ),
        (
            "downDelay",
            scaling.down_delay,
            SECOND,
            Duration::from_hours(24),
            "24h",
        ),
        (
            "holdFor",
            scaling.hold_for,
            Duration::ZERO,
            Duration::from_mins(15),
            "15m",
        ),
    ];
    let wrong = spans
        .into_iter()
        .filter_map(|(field, span, least, most, longest)| {
            let span = span.filter(|span| !(least..=most).contains(&span.get()))?;
            let shortest = least.as_secs();
            Some(Diagnostic::new(
                format!("spec.scaling.{field}"),
                format!("{span} is not between {shortest}s and {longest}"),
                format!("name a span from {shortest}s to {longest}"),
            ))
        });
    let mut found: Vec<_> = wrong.collect();
    let sleeps = scaling.mode == ScalingMode::Builtin && scaling.fewest() == 0;
    if sleeps && scaling.held_for().get().is_zero() {
        found.push(Diagnostic::new(
            "spec.scaling.holdFor",
            "a model that sleeps would refuse every call, for none waits long enough to wake it",
            "name a span such as 2m, or set spec.scaling.min to 1",
        ));
    }
    found
}

/// What the schema cannot bound.
fn rollout(rollout: &Rollout) -> Option<Diagnostic> {
    let span = rollout.step_for;
    (span.get() > Duration::from_hours(24)).then(|| {
        Diagnostic::new(
            "spec.selfHosted.rollout.stepFor",
            format!("{span} is longer than 24h"),
            "name a span from 0s to 24h",
        )
    })
}

fn from_hosted(hosted: &Hosted, found: &mut Vec<Diagnostic>) -> (Upstream, Option<String>) {
    let path = "spec.hosted.baseURL";
    let (dialect, default) = match hosted.provider {
        Provider::OpenAI => (Dialect::OpenAI, Some("https://api.openai.com/v1")),
        Provider::Anthropic => (Dialect::Anthropic, Some("https://api.anthropic.com/v1")),
        Provider::OpenAICompatible => (Dialect::OpenAI, None),
    };
    if let Some(url) = &hosted.base_url {
        found.extend(checks::address(path, url));
    }
    let base_url = hosted.base_url.as_deref().or(default).unwrap_or_else(|| {
        found.push(Diagnostic::new(
            path,
            "provider OpenAICompatible has no default address",
            "set baseURL up to and including the version, as in https://models.example.com/v1",
        ));
        ""
    });
    if hosted.credentials.is_none() && default.is_some() && hosted.base_url.is_none() {
        found.push(Diagnostic::new(
            "spec.hosted.credentials",
            format!("{:?} answers nobody without a key", hosted.provider),
            "name the Secret and key that hold it: credentials.secretKeyRef {name, key}",
        ));
    }
    (
        Upstream {
            dialect,
            base_url: base_url.to_owned(),
        },
        None,
    )
}

fn from_self_hosted(own: &SelfHosted, found: &mut Vec<Diagnostic>) -> (Upstream, Option<String>) {
    let digest = match weights::weights(own) {
        Ok(plan) => weights::digest(&plan),
        Err(wrong) => {
            found.extend(wrong);
            None
        }
    };
    found.extend(engine::checks(own));
    found.extend(schedule::schedules(own).err().unwrap_or_default());
    found.extend(own.rollout.iter().filter_map(rollout));
    (engine_upstream(own), digest)
}
