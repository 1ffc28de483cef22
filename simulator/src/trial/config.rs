//! The configuration under which an egress plays trials: each has a pipeline of its own, with a budget and a policy
//! against the word that no caller may hear. Pure: JSON as an operator would send it.

use serde_json::{Value, json};

use super::{
    money::{self, PRICES},
    script::{MODELS, Patience, Script},
    words::FORBIDDEN,
};

/// The pipeline of a trial.
pub fn tenant(script: &Script) -> String {
    format!("t{}", script.seed)
}

/// A model of that number, behind so many hops.
pub fn model_name(number: usize, patience: Patience, hops: usize) -> String {
    format!("m{number}-{patience:?}-{hops}").to_lowercase()
}

/// A model, of OpenAI's dialect or of Anthropic's by its number. Its server is at `upstream`, and calls to it go to
/// `endpoint`.
pub fn deployment(
    (number, patience, hops): (usize, Patience, usize),
    endpoint: &str,
    upstream: &str,
) -> Value {
    let (whole, silence) = match patience {
        Patience::Short => ("20s", "300ms"),
        Patience::Long => ("10m", "10m"),
    };
    let dialect = ["OpenAI", "Anthropic"].get(number);
    let [input, output] = PRICES.map(|price| price.to_string());
    json!({
        "name": model_name(number, patience, hops), "model": "up", "digest": "sha256:aa",
        "endpoint": endpoint, "standbyEndpoint": null,
        "upstream": {"dialect": dialect, "baseUrl": format!("{upstream}/v1")},
        "limits": {"contextTokens": 4096, "maxOutputTokens": 64, "maxInFlight": 1000},
        "resilience": {"timeout": whole, "firstTokenTimeout": silence, "tokenGapTimeout": silence, "retries": 2},
        "pricing": {"inputPerMillion": input, "outputPerMillion": output, "currency": "EUR"},
    })
}

/// The pipeline of a trial, with the policy at its digest.
pub fn pipeline(script: &Script, hops: usize, digest: &str) -> Value {
    const MILLION: u64 = 1_000_000;
    let routes = (0..MODELS).map(|number| model_name(number, script.patience(), hops));
    let routes: Vec<_> = routes.map(|model| json!({"model": model})).collect();
    let amount = money::amount(script);
    let amount = format!("{}.{:06}", amount / MILLION, amount % MILLION);
    json!({
        "name": tenant(script), "kind": "Email", "variables": null, "languageVariable": null,
        "subjectVariable": null, "labels": [], "skeletons": [], "context": [], "retrieval": null,
        "models": {"draft": {"routes": routes}}, "publish": [], "execution": {},
        "policies": [{"scope": "Namespace", "name": "house", "digest": digest}],
        "budget": {"amount": amount, "currency": "EUR", "period": "Month"},
    })
}

/// The policy of all trials.
pub fn policy() -> Value {
    json!({"name": "house", "scope": "Namespace", "review": {}, "rules": [
        {"name": "no-rival", "terms": {"list": [FORBIDDEN]}, "calls": ["Answer"], "action": "Block"}]})
}
