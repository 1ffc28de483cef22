//! Which models may answer a call, in which order, and why others may not. Pure.

use std::sync::Arc;

use super::call::{Call, Step};
use crate::{
    dialect::openai::{Operation, Request},
    error::{ApiError, Note},
    outcome::Outcome,
    snapshot::{Config, Facts, Model, Pipeline, Route},
};

/// In `model`, says that the pipeline's routes decide.
pub const AUTO: &str = "auto";

/// A model that may answer.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Index in the step's routes; none when the model was called by name.
    pub route: Option<usize>,
    pub model: Arc<Model>,
    /// Most tokens of the answer, for callers that name no cap.
    pub cap: u64,
}

/// Candidates in order; at least one.
#[derive(Clone, Debug)]
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// Routes that were passed over.
    pub passed: Vec<Note>,
}

/// Decides by the configuration in force.
///
/// # Errors
/// What is unknown, `ContextExceeded`, or `RoutesExhausted` when no route applies.
pub fn plan(config: &Config, call: &Call, request: &Request) -> Result<Plan, ApiError> {
    let mut passed = Vec::new();
    let mut candidates = Vec::new();
    let mut roomiest: Option<ApiError> = None;
    for (route, name) in named(config, call, request, &mut passed)? {
        match candidate(config, call, (route, &name), request) {
            Ok(candidate) => candidates.push(candidate),
            Err(unfit) => {
                let (note, error) = *unfit;
                passed.push(note);
                if let Some(error) = error {
                    roomiest = Some(roomier(roomiest, error));
                }
            }
        }
    }
    match (candidates.is_empty(), roomiest) {
        (false, _) => Ok(Plan { candidates, passed }),
        (true, Some(error)) => Err(error),
        (true, None) => Err(ApiError::RoutesExhausted(passed)),
    }
}

/// A model that may answer, or why it may not; the error where it has no room for prompt and answer.
///
/// # Errors
/// As it says.
pub fn candidate(
    config: &Config,
    call: &Call,
    (route, name): (Option<usize>, &str),
    request: &Request,
) -> Result<Candidate, Box<(Note, Option<ApiError>)>> {
    let note = |outcome, detail: String| Note {
        route,
        model: name.to_owned(),
        outcome,
        detail,
    };
    let Some(model) = config.models.get(name) else {
        let why = "no such model is in force".to_owned();
        return Err(Box::new((note(Outcome::ModelUnknown, why), None)));
    };
    if let Err(forbidden) = config.bounds_of(call.owner()).admit(model.place()) {
        return Err(Box::new((note(Outcome::OutOfBounds, forbidden), None)));
    }
    match cap(model, request) {
        Ok(cap) => Ok(Candidate {
            route,
            model: model.clone(),
            cap,
        }),
        Err(error) => {
            let note = note(Outcome::ContextExceeded, error.to_string());
            Err(Box::new((note, Some(error))))
        }
    }
}

/// Names of the models whose routes apply.
fn named(
    config: &Config,
    call: &Call,
    request: &Request,
    passed: &mut Vec<Note>,
) -> Result<Vec<(Option<usize>, String)>, ApiError> {
    let Call::Routed {
        pipeline,
        step,
        labels,
    } = call
    else {
        return by_name(config, request);
    };
    if *step == Step::Check {
        known(config, pipeline)?;
        return by_name(config, request);
    }
    if request.model != AUTO {
        let problem = "must be `auto` in calls of a pipeline, whose routes decide";
        return Err(ApiError::field("model", problem));
    }
    let routes = routes(config, pipeline, *step)?;
    let mut applying = Vec::with_capacity(routes.len());
    let asks = routes.iter().any(Route::reads_tokens);
    let tokens = asks.then_some(request.prompt_tokens);
    Facts::of(labels, tokens, |facts| {
        for (index, route) in routes.iter().enumerate() {
            match applies(route, facts) {
                Ok(()) => applying.push((Some(index), route.model.clone())),
                Err((outcome, detail)) => passed.push(Note {
                    route: Some(index),
                    model: route.model.clone(),
                    outcome,
                    detail,
                }),
            }
        }
    });
    Ok(applying)
}

fn by_name(config: &Config, request: &Request) -> Result<Vec<(Option<usize>, String)>, ApiError> {
    let name = request.model.clone();
    if config.models.contains_key(&name) {
        return Ok(vec![(None, name)]);
    }
    Err(ApiError::ModelUnknown(name))
}

fn known<'a>(config: &'a Config, name: &str) -> Result<&'a Arc<Pipeline>, ApiError> {
    let pipeline = config.pipelines.get(name);
    pipeline.ok_or_else(|| ApiError::PipelineUnknown(name.to_owned()))
}

fn routes<'a>(config: &'a Config, name: &str, step: Step) -> Result<&'a [Route], ApiError> {
    let pipeline = known(config, name)?;
    let routes = step.of(pipeline).map(|routes| routes.list.as_slice());
    routes.ok_or_else(|| ApiError::StepUnknown {
        pipeline: name.to_owned(),
        step: step.as_str().to_owned(),
    })
}

fn applies(route: &Route, facts: &Facts<'_>) -> Result<(), (Outcome, String)> {
    match route.applies(facts) {
        Ok(true) => Ok(()),
        Ok(false) => Err((Outcome::NotApplicable, "its condition is false".to_owned())),
        Err(error) => Err((Outcome::ConditionFailed, error)),
    }
}

/// The cap of the answer, if prompt and answer fit the model. Prompt tokens are an estimate.
fn cap(model: &Model, request: &Request) -> Result<u64, ApiError> {
    let room = model.context_tokens.saturating_sub(request.prompt_tokens);
    let asked = match request.operation {
        Operation::Chat | Operation::Messages => request.max_output.unwrap_or(1),
        Operation::Embeddings | Operation::Moderations => 0,
    };
    if asked > room || request.prompt_tokens > model.context_tokens {
        return Err(ApiError::ContextExceeded {
            model: model.name.clone(),
            prompt: request.prompt_tokens,
            output: asked,
            context: model.context_tokens,
        });
    }
    Ok(model.max_output_tokens.min(room))
}

/// The refusal that names the larger context helps the caller more.
fn roomier(known: Option<ApiError>, other: ApiError) -> ApiError {
    let context = |error: &ApiError| match error {
        ApiError::ContextExceeded { context, .. } => *context,
        _ => 0,
    };
    match known {
        Some(known) if context(&known) >= context(&other) => known,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use aios_proto::control::{ItemKind, Snapshot};
    use serde_json::json;

    use super::{super::call::Call, plan};
    use crate::{
        ApiError,
        dialect::openai::{Operation, Request},
        snapshot::{Config, Scope, apply, tests},
    };

    fn config() -> Config {
        let mut small = tests::model("small");
        small["limits"] = json!({"contextTokens": 128, "maxOutputTokens": 64, "maxInFlight": 1});
        let routes = json!([
            {"model": "small", "when": "language == 'de'"},
            {"model": "gone"},
            {"model": "large"},
        ]);
        let items = vec![
            tests::item(ItemKind::Model, "small", &small),
            tests::item(ItemKind::Model, "large", &tests::model("large")),
            tests::item(ItemKind::Pipeline, "p", &tests::pipeline("p", &routes)),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        apply(&Config::default(), &snapshot, &Scope::Egress)
            .config
            .unwrap()
    }

    fn call(language: &str) -> Call {
        let labels = serde_json::from_value(json!({ "language": language })).unwrap();
        Call::Routed {
            pipeline: "p".into(),
            step: super::Step::Draft,
            labels,
        }
    }

    fn request(model: &str, prompt_bytes: usize) -> Request {
        let body = json!({"model": model, "messages": [
            {"role": "user", "content": "x".repeat(prompt_bytes)}]});
        Request::parse(Operation::Chat, body.to_string().into()).unwrap()
    }

    fn names(call: &Call, request: &Request) -> Vec<(Option<usize>, String, u64)> {
        let plan = plan(&config(), call, request).unwrap();
        plan.candidates
            .iter()
            .map(|c| (c.route, c.model.name.clone(), c.cap))
            .collect()
    }

    #[test]
    fn routes_that_apply_are_tried_in_order() {
        let both = [(Some(0), "small".into(), 64), (Some(2), "large".into(), 64)];
        assert_eq!(names(&call("de"), &request("auto", 4)), both);
        assert_eq!(
            names(&call("en"), &request("auto", 4)),
            [(Some(2), "large".into(), 64)]
        );
    }

    #[test]
    fn each_step_has_routes_of_its_own() {
        let mut pipeline = tests::pipeline("two", &json!([{"model": "small"}]));
        pipeline["models"]["final"] = json!({"routes": [
            {"model": "small", "when": "language == 'de'"}, {"model": "large"}]});
        let items = vec![
            tests::item(ItemKind::Model, "small", &tests::model("small")),
            tests::item(ItemKind::Model, "large", &tests::model("large")),
            tests::item(ItemKind::Pipeline, "two", &pipeline),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        let config = apply(&Config::default(), &snapshot, &Scope::Egress)
            .config
            .unwrap();
        let models = |step, language: &str| -> Vec<String> {
            let call = Call::Routed {
                pipeline: "two".into(),
                step,
                labels: serde_json::from_value(json!({ "language": language })).unwrap(),
            };
            let plan = plan(&config, &call, &request("auto", 4)).unwrap();
            plan.candidates
                .iter()
                .map(|c| c.model.name.clone())
                .collect()
        };
        assert_eq!(models(super::Step::Draft, "en"), ["small"]);
        assert_eq!(models(super::Step::Final, "en"), ["large"]);
        assert_eq!(models(super::Step::Final, "de"), ["small", "large"]);
    }

    #[test]
    fn a_prompt_goes_to_the_next_route_with_enough_context() {
        assert_eq!(
            names(&call("de"), &request("auto", 600)),
            [(Some(2), "large".into(), 64)]
        );
    }

    #[test]
    fn a_route_may_be_for_long_prompts_alone() {
        let routes = json!([{"model": "small", "when": "tokens > 100"}, {"model": "large"}]);
        let items = vec![
            tests::item(ItemKind::Model, "small", &tests::model("small")),
            tests::item(ItemKind::Model, "large", &tests::model("large")),
            tests::item(ItemKind::Pipeline, "p", &tests::pipeline("p", &routes)),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        let applied = apply(&Config::default(), &snapshot, &Scope::Egress);
        let config = applied.config.unwrap();
        let first = |prompt_bytes| {
            let plan = plan(&config, &call("en"), &request("auto", prompt_bytes)).unwrap();
            plan.candidates[0].model.name.clone()
        };
        assert_eq!((first(40), first(800)), ("large".into(), "small".into()));
    }

    #[test]
    fn a_class_of_data_goes_to_its_models_and_what_has_none_to_the_next() {
        let routes = json!([
            {"model": "hosted", "when": "labels.dataClass == \"public\""}, {"model": "own"}]);
        let items = vec![
            tests::item(ItemKind::Model, "hosted", &tests::model("hosted")),
            tests::item(ItemKind::Model, "own", &tests::model("own")),
            tests::item(ItemKind::Pipeline, "p", &tests::pipeline("p", &routes)),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        let applied = apply(&Config::default(), &snapshot, &Scope::Egress);
        let config = applied.config.unwrap();
        for (labels, expected) in [
            (json!({"dataClass": "public"}), "hosted"),
            (json!({"dataClass": "confidential"}), "own"),
            (json!({}), "own"),
        ] {
            let call = Call::Routed {
                pipeline: "p".into(),
                step: super::Step::Draft,
                labels: serde_json::from_value(labels.clone()).unwrap(),
            };
            let plan = plan(&config, &call, &request("auto", 4)).unwrap();
            assert_eq!(plan.candidates[0].model.name, expected, "{labels}");
        }
    }

    #[test]
    fn the_injected_cap_never_passes_the_context() {
        assert_eq!(
            names(&Call::Named, &request("small", 400)),
            [(None, "small".into(), 24)]
        );
    }

    #[test]
    fn a_prompt_too_long_for_all_is_refused_with_the_largest_context() {
        let error = plan(&config(), &call("de"), &request("auto", 100_000)).unwrap_err();
        assert_eq!(error.code(), "context_length_exceeded");
        assert!(error.to_string().contains("4096"), "{error}");
    }

    /// Models `own` of this cluster, `eu` and `us` at providers; pipeline `p` tries them in turn. What the
    /// platform says of models, and the tenant's policy of the pipeline.
    fn bounded(platform: &serde_json::Value, own: &serde_json::Value) -> Config {
        let mut eu = tests::model("eu");
        eu["hosted"] = json!({"region": "eu"});
        let mut us = tests::model("us");
        us["hosted"] = json!({"region": "us"});
        let policy = |kind, name: &str, scope: &str, data| {
            let body =
                json!({"name": name, "scope": scope, "rules": [], "review": {}, "data": data});
            tests::item(kind, name, &body)
        };
        let platform = policy(ItemKind::ClusterPolicy, "law", "Cluster", platform);
        let own = policy(ItemKind::Policy, "house", "Namespace", own);
        let routes = json!([{"model": "us"}, {"model": "eu"}, {"model": "own"}]);
        let mut pipeline = tests::pipeline("p", &routes);
        pipeline["policies"] = json!([
            {"scope": "Cluster", "name": "law", "digest": platform.digest},
            {"scope": "Namespace", "name": "house", "digest": own.digest},
        ]);
        let items = vec![
            platform,
            own,
            tests::item(ItemKind::Model, "eu", &eu),
            tests::item(ItemKind::Model, "us", &us),
            tests::item(ItemKind::Model, "own", &tests::model("own")),
            tests::item(ItemKind::Pipeline, "p", &pipeline),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        let applied = apply(&Config::default(), &snapshot, &Scope::Egress);
        assert!(applied.acks.iter().all(|ack| ack.accepted), "{applied:?}");
        applied.config.unwrap()
    }

    #[test]
    fn texts_never_go_to_a_model_that_a_policy_keeps_them_from() {
        let models = |platform: &serde_json::Value, own: &serde_json::Value| {
            let plan = plan(&bounded(platform, own), &call("en"), &request("auto", 4)).unwrap();
            let named = plan.candidates.iter().map(|c| c.model.name.clone());
            named.collect::<Vec<_>>()
        };
        let (open, private) = (json!({}), json!({"models": "PrivateOnly"}));
        let europe = json!({"regions": ["eu"]});
        assert_eq!(models(&open, &open), ["us", "eu", "own"]);
        assert_eq!(models(&europe, &open), ["eu", "own"]);
        assert_eq!(models(&open, &europe), ["eu", "own"]);
        assert_eq!(models(&json!({"regions": ["us"]}), &europe), ["own"]);
        assert_eq!(models(&private, &europe), ["own"]);
    }

    #[test]
    fn a_call_that_names_its_model_is_held_to_what_the_platform_says() {
        let private = json!({"models": "PrivateOnly"});
        let asked = |platform: &serde_json::Value| {
            let config = bounded(platform, &private);
            plan(&config, &Call::Named, &request("us", 4))
        };
        assert!(asked(&json!({})).is_ok(), "the tenant's is its pipeline's");
        let refused = asked(&private).unwrap_err();
        assert_eq!(refused.code(), "routes_exhausted");
        assert_eq!(
            refused.body()["error"]["attempts"][0]["outcome"],
            "out_of_bounds"
        );
        assert!(refused.to_string().contains("`law`"), "{refused}");
    }

    #[test]
    fn a_policy_in_dry_run_keeps_texts_from_no_model() {
        let body = json!({"name": "law", "scope": "Cluster", "rules": [], "review": {}, "dryRun": true,
            "data": {"models": "PrivateOnly"}});
        let mut hosted = tests::model("us");
        hosted["hosted"] = json!({});
        let items = vec![
            tests::item(ItemKind::ClusterPolicy, "law", &body),
            tests::item(ItemKind::Model, "us", &hosted),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        let config = apply(&Config::default(), &snapshot, &Scope::Egress).config;
        assert!(plan(&config.unwrap(), &Call::Named, &request("us", 4)).is_ok());
    }

    #[test]
    fn what_is_unknown_is_named() {
        let refused = |call: &Call, model| plan(&config(), call, &request(model, 1)).unwrap_err();
        assert_eq!(
            refused(&Call::Named, "auto"),
            ApiError::ModelUnknown("auto".into())
        );
        assert_eq!(refused(&call("en"), "large").code(), "invalid_field");
        let step = |pipeline: &str, step| Call::Routed {
            pipeline: pipeline.into(),
            step,
            labels: crate::snapshot::Labels::new(),
        };
        assert_eq!(
            refused(&step("q", super::Step::Draft), "auto").code(),
            "pipeline_not_found"
        );
        assert_eq!(
            refused(&step("p", super::Step::Final), "auto").code(),
            "step_not_found"
        );
    }
}
