//! Fields that are right each for itself and cannot go together. Pure.

#![allow(clippy::unwrap_used, reason = "a table that cannot be made fails")]

use serde_json::{Value, json};

use crate::place::Named;

/// Fields of one object that are set together.
pub struct Contradiction {
    pub of: Named,
    /// JSON pointers within the spec, and values.
    changes: Vec<(&'static str, Value)>,
    /// What the refusal says, or a condition.
    pub says: &'static str,
    /// Whose condition, if it is taken.
    pub told_by: Named,
}

impl Contradiction {
    pub fn of_object(&self, object: &Value) -> Value {
        let mut object = object.clone();
        for (at, value) in &self.changes {
            let (parent, key) = at.rsplit_once('/').unwrap();
            let parent = object["spec"].pointer_mut(parent).unwrap();
            match value {
                Value::Null => drop(parent.as_object_mut().unwrap().remove(key)),
                value => parent[key] = value.clone(),
            }
        }
        object
    }
}

const HOSTED: Named = ("ModelDeployment", "hosted");
const OWN: Named = ("ModelDeployment", "own");
const CUSTOM: Named = ("ModelDeployment", "custom");
const RULES: Named = ("PolicySet", "rules");
const EVERY: Named = ("PolicySet", "every");
const MANDATE: Named = ("ClusterPolicySet", "mandate");
const LETTERS: Named = ("WritingPipeline", "letters");
const ARTICLES: Named = ("WritingPipeline", "articles");
const RUN: Named = ("WritingRun", "monday");

/// Null takes a field away.
pub fn contradictions() -> Vec<Contradiction> {
    let mut all = models();
    all.extend(served_here());
    all.extend(policies());
    all.extend(pipelines());
    all
}

fn one(
    of: Named,
    changes: impl IntoIterator<Item = (&'static str, Value)>,
    says: &'static str,
) -> Contradiction {
    Contradiction {
        of,
        changes: changes.into_iter().collect(),
        says,
        told_by: of,
    }
}

fn models() -> Vec<Contradiction> {
    vec![
        one(
            HOSTED,
            [("/replicas", json!(2))],
            "replicas above 1 need selfHosted",
        ),
        one(
            HOSTED,
            [("/scaling", json!({"max": 2}))],
            "scaling needs selfHosted",
        ),
        one(
            HOSTED,
            [("/slo", json!({"coldStart": "5m"}))],
            "slo needs selfHosted",
        ),
        one(
            HOSTED,
            [("/selfHosted", json!({"engine": {"name": "VLLM"}}))],
            "set exactly one of hosted",
        ),
        one(
            HOSTED,
            [("/limits/maxOutputTokens", json!(8192))],
            "leave no room for a prompt",
        ),
        one(
            HOSTED,
            [("/resilience/firstTokenTimeout", json!("3m"))],
            "is longer than the whole call may take",
        ),
    ]
}

fn served_here() -> Vec<Contradiction> {
    vec![
        one(OWN, [("/scaling/min", json!(5))], "min is above max"),
        one(
            OWN,
            [("/scaling", json!({"mode": "External"}))],
            "need scaling of mode Builtin",
        ),
        one(
            OWN,
            [
                ("/selfHosted/warm/schedules", Value::Null),
                ("/scaling/mode", json!("External")),
            ],
            "leaves the number of groups to HPA or KEDA",
        ),
        one(
            OWN,
            [("/scaling/min", json!(0))],
            "set scaling.min to 1 or more",
        ),
        one(
            OWN,
            [("/selfHosted/warm/schedules/0/min", json!(9))],
            "are more than spec.scaling.max allows",
        ),
        one(
            OWN,
            [("/selfHosted/warm/mode", json!("Asleep"))],
            "warm.mode Asleep needs engine VLLM",
        ),
        one(
            OWN,
            [("/selfHosted/rollout/steps", json!([50, 10, 100]))],
            "steps must rise",
        ),
        one(
            OWN,
            [("/selfHosted/rollout/steps", json!([10, 50]))],
            "the last step must be 100",
        ),
        one(
            OWN,
            [("/selfHosted/quantization/method", json!("AWQ"))],
            "loads no AWQ weights",
        ),
        one(
            OWN,
            [(
                "/selfHosted/model/uri",
                json!("https://models.example/small-Q4_1.gguf"),
            )],
            "leave revision out",
        ),
        one(
            OWN,
            [
                ("/selfHosted/model/revision", Value::Null),
                (
                    "/selfHosted/model/uri",
                    json!("pvc://models/small-Q4_1.gguf"),
                ),
            ],
            "leave credentials out",
        ),
        one(
            CUSTOM,
            [("/scaling/holdFor", json!("0s"))],
            "a model that sleeps would refuse every call",
        ),
        one(
            CUSTOM,
            [("/selfHosted/quantization", json!({"method": "AWQ"}))],
            "leave quantization and adapters out",
        ),
        one(
            CUSTOM,
            [("/selfHosted/engine/name", json!("LlamaCpp"))],
            "engine Custom needs custom",
        ),
        one(
            CUSTOM,
            [("/selfHosted/engine/custom/port", json!(8443))],
            "let the server listen on another",
        ),
    ]
}

fn policies() -> Vec<Contradiction> {
    let out_of_bounds = Contradiction {
        told_by: LETTERS,
        ..one(
            RULES,
            [("/data", json!({"models": "PrivateOnly"}))],
            "is out of bounds",
        )
    };
    vec![
        one(
            RULES,
            [("/rules/1/action", json!("Redact"))],
            "needs a check with spans",
        ),
        one(
            RULES,
            [("/rules/1/action", json!("Normalize"))],
            "needs a check that can mend",
        ),
        one(
            RULES,
            [("/rules/0/instruction", json!("Say it."))],
            "set action Revise, or leave instruction out",
        ),
        one(
            RULES,
            [("/rules/0/facts", json!({}))],
            "makes exactly one check",
        ),
        one(
            RULES,
            [("/rules/4/length/minWords", json!(200))],
            "no text can be both",
        ),
        one(
            EVERY,
            [("/rules/1/parts", json!(["text"]))],
            "with calls leave out parts",
        ),
        one(
            EVERY,
            [("/rules/1/action", json!("Review"))],
            "with calls set action Warn, Redact or Block",
        ),
        one(
            EVERY,
            [("/rules/8/action", json!("Revise"))],
            "no revision mends it",
        ),
        one(
            EVERY,
            [("/rules/10/terms/stem", json!("English"))],
            "and no stem, which cuts them off",
        ),
        one(
            MANDATE,
            [(
                "/rules/0/terms",
                json!({"listRef": {"configMapKeyRef": {"name": "texts", "key": "de"}}}),
            )],
            "write terms.list out",
        ),
        one(
            MANDATE,
            [(
                "/tests/0/parts",
                json!([{"name": "text", "text": "Hello."}]),
            )],
            "set one of text, parts",
        ),
        one(
            MANDATE,
            [("/tests/0/expect/action", json!("Block"))],
            "expected Block",
        ),
        out_of_bounds,
    ]
}

fn pipelines() -> Vec<Contradiction> {
    vec![
        one(
            LETTERS,
            [("/content/labels/0/name", json!("language"))],
            "`language` is set by AIOS",
        ),
        one(
            LETTERS,
            [(
                "/content/variables/properties/customer/properties/language/enum",
                json!(["en", "de", "fr"]),
            )],
            "no skeleton has that language",
        ),
        one(
            LETTERS,
            [(
                "/content/skeletons/0/parts/1/template",
                json!({"inline": "Written with AI assistance."}),
            )],
            "no part uses slot",
        ),
        one(
            LETTERS,
            [("/context/0/upload/pointer", json!("customer"))],
            "would replace the pointer's field",
        ),
        one(LETTERS, [("/budget/currency", json!("USD"))], "USD"),
        one(
            ARTICLES,
            [(
                "/models/draft/experiment",
                json!({"name": "summer", "variants": [
                    {"name": "a", "model": "own", "percent": 60},
                    {"name": "b", "model": "hosted", "percent": 60}]}),
            )],
            "the variants take more than 100 percent",
        ),
        one(
            ARTICLES,
            [("/models/draft/experiment/variants/0/percent", json!(30))],
            "variants are immutable",
        ),
        one(
            RUN,
            [("/input/upload", json!({"context": "customer"}))],
            "set exactly one of pointers and upload",
        ),
        one(RUN, [("/deadline", Value::Null)], "deadline are immutable"),
    ]
}
