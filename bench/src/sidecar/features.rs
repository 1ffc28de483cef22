//! What each feature costs: the same egress with one feature alone, beside one without it. What all of them add is
//! held against what everything together costs.

use serde::Serialize;
use serde_json::{Value, json};

use super::turn::Turn;
use crate::{
    measure::median,
    report::{Bound, Target, aligned, number},
};

/// The sum of the parts is off the whole by no more than this part of it.
const EXPLAINED: f64 = 0.15;

/// A part of `everything-on.json` that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Retries, and a standby address.
    Retries,
    /// Holding while a model sleeps, and telling that it is asked for.
    Holding,
    /// A next revision, which takes a part of the calls.
    Revision,
    /// Routes with conditions, labels, and a record of each call.
    Pipeline,
    /// Trace context.
    Trace,
    Experiment,
    /// A price, and a reservation in the pipeline's budget.
    Money,
    Cache,
    Prompts,
    Answers,
}

use Feature::{
    Answers, Cache, Experiment, Holding, Money, Pipeline, Prompts, Retries, Revision, Trace,
};

/// An egress that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// What it is held against; none for what stands for itself.
    base: Option<&'static str>,
    pub features: &'static [Feature],
}

const OFF: &str = "off";
const PIPELINE: &str = "pipeline, record";
const ON: &str = "everything on";

/// Whole answers.
pub const PLAIN: [Case; 12] = [
    case(OFF, None, &[]),
    case("retries, standby", Some(OFF), &[Retries]),
    case("holding, demand", Some(OFF), &[Holding]),
    case("next revision", Some(OFF), &[Revision]),
    case(PIPELINE, Some(OFF), &[Pipeline]),
    case("trace context", Some(PIPELINE), &[Pipeline, Trace]),
    case("experiment", Some(PIPELINE), &[Pipeline, Experiment]),
    case("price, budget", Some(PIPELINE), &[Pipeline, Money]),
    case("cache", Some(PIPELINE), &[Pipeline, Cache]),
    case("policy on prompts", Some(PIPELINE), &[Pipeline, Prompts]),
    case("policy on answers", Some(PIPELINE), &[Pipeline, Answers]),
    case(
        ON,
        None,
        &[
            Retries, Holding, Revision, Pipeline, Trace, Experiment, Money, Cache, Prompts, Answers,
        ],
    ),
];

/// Streams; the last has a rule that only the whole text can be judged by.
pub const STREAMED: [Case; 2] = [
    case("policy off", None, &[Pipeline]),
    case("policy, windowed", None, &[Pipeline, Answers]),
];
pub const WHOLE_TEXT: &str = "policy, whole text";

const fn case(
    name: &'static str,
    base: Option<&'static str>,
    features: &'static [Feature],
) -> Case {
    Case {
        name,
        base,
        features,
    }
}

/// A turn of one case.
#[derive(Debug, Serialize)]
pub struct Cost {
    pub part: &'static str,
    pub round: usize,
    pub case: &'static str,
    pub turn: Turn,
}

/// Leaves of the file what these features need.
pub fn only(mut file: Value, features: &[Feature]) -> Value {
    let has = |feature| features.contains(&feature);
    for model in list(&mut file, "models") {
        if !has(Retries) {
            model["standbyEndpoint"] = Value::Null;
            model["resilience"]["retries"] = json!(0);
        }
        let fields = [(Holding, "holdMs"), (Holding, "demand"), (Revision, "next")];
        for (_, field) in fields.into_iter().filter(|(feature, _)| !has(*feature)) {
            remove(model, field);
        }
        if !has(Money) {
            model["pricing"] = Value::Null;
        }
    }
    let sides = [(Prompts, "Prompt"), (Answers, "Answer")];
    let judged: Vec<_> = sides.into_iter().filter(|(side, _)| has(*side)).collect();
    let judged: Vec<_> = judged.into_iter().map(|(_, name)| name).collect();
    for policy in list(&mut file, "policies") {
        for rule in list(policy, "rules") {
            rule["calls"] = json!(judged);
        }
    }
    for pipeline in list(&mut file, "pipelines") {
        let draft = &mut pipeline["models"]["draft"];
        for (feature, field) in [(Experiment, "experiment"), (Cache, "cache")] {
            if !has(feature) {
                remove(draft, field);
            }
        }
        if !has(Money) {
            remove(pipeline, "budget");
        }
        if judged.is_empty() {
            pipeline["policies"] = json!([]);
        }
    }
    if judged.is_empty() {
        file["policies"] = json!([]);
    }
    if !has(Pipeline) {
        file["pipelines"] = json!([]);
        file["headers"] = json!({});
        file["model"] = json!("writer");
    }
    if !has(Trace)
        && let Some(headers) = file.get_mut("headers")
    {
        remove(headers, "traceparent");
    }
    file
}

/// Gives the policies a rule that only the whole text can be judged by.
pub fn held_to_its_end(mut file: Value) -> Value {
    let rule = json!({"name": "no-annex", "pattern": {"regex": "Annex A(?s:.*)Annex B"},
        "calls": ["Answer"], "action": "Block"});
    for policy in list(&mut file, "policies") {
        if let Some(rules) = policy["rules"].as_array_mut() {
            rules.push(rule.clone());
        }
    }
    file
}

fn list<'a>(of: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    of.get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn remove(of: &mut Value, field: &str) {
    if let Some(object) = of.as_object_mut() {
        object.remove(field);
    }
}

/// What each case costs, and what it adds.
pub fn table(costs: &[Cost]) -> String {
    let head = ["one at a time", "CPU µs", "adds", "own time µs"];
    let mut plain = vec![head.map(str::to_owned)];
    for case in PLAIN {
        let Some(cpu) = cpu(costs, case.name) else {
            continue;
        };
        plain.push([
            case.name.to_owned(),
            number(cpu),
            adds(costs, case).map_or_else(String::new, number),
            of(costs, case.name, |turn| turn.own_time.unwrap_or_default())
                .map_or_else(String::new, number),
        ]);
    }
    let head = ["streams", "CPU µs a token", "added first token µs"];
    let mut streamed = vec![head.map(str::to_owned)];
    for name in streamed_names() {
        let token = of(costs, name, |turn| turn.cpu_per_token);
        let first = of(costs, name, |turn| turn.added_first_token);
        if let (Some(token), Some(first)) = (token, first) {
            streamed.push([name.to_owned(), number(token), number(first)]);
        }
    }
    format!("{}\n{}", aligned(&plain), aligned(&streamed))
}

/// Whether the sum explains the whole; and first tokens under policy, for show.
pub fn targets(costs: &[Cost]) -> Vec<Target> {
    let explained = || {
        let parts: Option<Vec<f64>> = PLAIN
            .into_iter()
            .filter(|case| case.base.is_some())
            .map(|case| adds(costs, case))
            .collect();
        Some(cpu(costs, OFF)? + parts?.into_iter().sum::<f64>())
    };
    let mut targets = Vec::new();
    if !costs.is_empty() {
        let what = "CPU µs a request, off and what each feature adds";
        let sum = explained().filter(|_| cpu(costs, ON).is_some());
        let whole = cpu(costs, ON);
        targets.push(Target::of(what, sum, ON, whole, Bound::Within(EXPLAINED)));
    }
    for name in streamed_names() {
        if let Some(first) = of(costs, name, |turn| turn.added_first_token) {
            let what = format!("added first token µs, {name}");
            targets.push(Target::new(&what, first, "", 0.0, Bound::Shown));
        }
    }
    targets
}

fn streamed_names() -> impl Iterator<Item = &'static str> {
    let names = STREAMED.into_iter().map(|case| case.name);
    names.chain([WHOLE_TEXT])
}

fn adds(costs: &[Cost], case: Case) -> Option<f64> {
    Some(cpu(costs, case.name)? - cpu(costs, case.base?)?)
}

fn cpu(costs: &[Cost], name: &str) -> Option<f64> {
    of(costs, name, |turn| turn.cpu_per_request)
}

/// The median of the turns that count.
fn of(costs: &[Cost], name: &str, measure: impl Fn(&Turn) -> f64) -> Option<f64> {
    let turns = costs.iter().filter(|cost| cost.case == name);
    let turns = turns.map(|cost| &cost.turn);
    let values: Vec<_> = turns
        .filter(|turn| turn.void.is_none())
        .map(measure)
        .collect();
    (!values.is_empty()).then(|| median(values))
}

#[cfg(test)]
mod tests {
    use super::{Cost, ON, PLAIN, targets};
    use crate::sidecar::turn::Turn;

    #[test]
    fn parts_that_do_not_sum_up_to_the_whole_are_a_miss() {
        let costs = |whole: f64| {
            let costs = PLAIN.into_iter().map(|case| {
                let cpu = match (case.name, case.base) {
                    (ON, _) => whole,
                    (_, Some("off")) => 110.0,
                    (_, Some(_)) => 120.0,
                    (_, None) => 100.0,
                };
                let turn = Turn {
                    cpu_per_request: cpu,
                    ..Turn::default()
                };
                Cost {
                    part: "features",
                    round: 1,
                    case: case.name,
                    turn,
                }
            });
            targets(&costs.collect::<Vec<_>>())
        };
        // 100, four that add 10 to it, and six that add 10 to one of those.
        let found = costs(200.0);
        assert!((found[0].ours - 200.0).abs() < f64::EPSILON);
        assert_eq!(found[0].met, Some(true));
        assert_eq!(costs(260.0)[0].met, Some(false));
    }
}
