//! In which order a document goes to routes that share it by weight. Pure.

use http::HeaderValue;

use super::{
    call::{Call, Step},
    hundred,
    route::{Candidate, Plan},
};
use crate::snapshot::{Config, Route};

impl Plan {
    /// Draws the order of routes that stand together and have weights; the others keep their places. A document draws
    /// the same in every pod; a call of none draws by `chance`.
    pub fn weigh(
        &mut self,
        config: &Config,
        call: &Call,
        document: Option<&HeaderValue>,
        chance: impl FnOnce() -> [u8; 16],
    ) {
        let Some((step, routes)) = weighted(config, call) else {
            return;
        };
        let drawn;
        let key = if let Some(document) = document {
            document.as_bytes()
        } else {
            drawn = chance();
            &drawn
        };
        let together = |one: &Candidate, next: &Candidate| are_together(routes, one, next);
        for group in self.candidates.chunk_by_mut(together) {
            if group.len() > 1 {
                let score = |of: &Candidate| score(step, &of.model.name, weight(routes, of), key);
                // Of numbers that are not below zero the bits have their order.
                group.sort_by_cached_key(|of| score(of).to_bits());
            }
        }
    }
}

/// The routes of the call's step, if one of them has a weight.
fn weighted<'a>(config: &'a Config, call: &Call) -> Option<(Step, &'a [Route])> {
    let Call::Routed { pipeline, step, .. } = call else {
        return None;
    };
    let routes = step.of(config.pipelines.get(pipeline)?)?.list.as_slice();
    let has_weight = |route: &Route| route.weight.is_some();
    routes.iter().any(has_weight).then_some((*step, routes))
}

/// Whether no route without a weight stands at them or between them.
fn are_together(routes: &[Route], one: &Candidate, next: &Candidate) -> bool {
    let (Some(from), Some(to)) = (one.route, next.route) else {
        return false;
    };
    let between = routes.get(from..=to).unwrap_or_default();
    !between.is_empty() && between.iter().all(|route| route.weight.is_some())
}

fn weight(routes: &[Route], of: &Candidate) -> u32 {
    let route = of.route.and_then(|route| routes.get(route));
    route.and_then(|route| route.weight).unwrap_or(1)
}

/// Weighted rendezvous hashing: of exponential times with rates as the weights, each is the least in its weight's
/// share, and another weight moves no document between two other routes. The step is hashed, too, so that final
/// wordings are divided apart from drafts.
fn score(step: Step, model: &str, weight: u32, document: &[u8]) -> f64 {
    let [a, b, c, d, ..] = hundred::digest(model, step, document);
    let place = f64::from(u32::from_be_bytes([a, b, c, d]));
    let part = (place + 1.0) / (f64::from(u32::MAX) + 1.0);
    part.ln().abs() / f64::from(weight)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_proto::control::{ItemKind, Snapshot};
    use http::HeaderValue;
    use serde_json::{Value, json};

    use super::super::{
        call::{Call, Step},
        route::plan,
    };
    use crate::{
        dialect::openai::{Operation, Request},
        snapshot::{Config, Labels, Scope, apply, tests},
    };

    const DOCUMENTS: u32 = 4000;

    fn config(routes: &Value) -> Config {
        let mut pipeline = tests::pipeline("p", routes);
        pipeline["models"]["final"] = json!({ "routes": routes });
        let mut items = vec![tests::item(ItemKind::Pipeline, "p", &pipeline)];
        for model in ["one", "two", "three", "last"] {
            items.insert(0, tests::item(ItemKind::Model, model, &tests::model(model)));
        }
        let snapshot = Snapshot { sequence: 1, items };
        apply(&Config::default(), &snapshot, &Scope::Egress)
            .config
            .unwrap()
    }

    /// Models in the order in which a document's call tries them.
    fn order(config: &Config, step: Step, document: Option<&str>, chance: u8) -> Vec<String> {
        let labels: Labels = serde_json::from_value(json!({"language": "en"})).unwrap();
        let call = Call::Routed {
            pipeline: "p".into(),
            step,
            labels,
        };
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": "x"}]});
        let request = Request::parse(Operation::Chat, body.to_string().into()).unwrap();
        let mut plan = plan(config, &call, &request).unwrap();
        let document = document.map(|id| HeaderValue::from_str(id).unwrap());
        plan.weigh(config, &call, document.as_ref(), || [chance; 16]);
        let models = plan.candidates.iter().map(|each| each.model.name.clone());
        models.collect()
    }

    fn orders(routes: &Value) -> Vec<Vec<String>> {
        let config = config(routes);
        let numbers = 0..DOCUMENTS;
        numbers
            .map(|number| order(&config, Step::Draft, Some(&format!("d-{number}")), 0))
            .collect()
    }

    fn share(orders: &[Vec<String>], place: usize, model: &str) -> f64 {
        let there = orders.iter().filter(|order| order[place] == model).count();
        there as f64 / orders.len() as f64
    }

    #[test]
    fn documents_go_to_routes_by_their_weights_and_to_the_others_on_failure() {
        let orders = orders(&json!([
            {"model": "one", "weight": 70}, {"model": "two", "weight": 20},
            {"model": "three", "weight": 10}, {"model": "last"}]));
        for (model, expected) in [("one", 0.7), ("two", 0.2), ("three", 0.1)] {
            let share = share(&orders, 0, model);
            assert!((share - expected).abs() < 0.03, "{model} has {share}");
        }
        // Of those whose first is not `one`, its weight is 70 of 80 and of 90: most turn to it next.
        assert!(share(&orders, 1, "one") > 0.2);
        assert!(
            orders
                .iter()
                .all(|order| order.len() == 4 && order[3] == "last")
        );
    }

    #[test]
    fn a_document_stays_with_its_route_and_another_weight_moves_only_those_that_it_must() {
        let first = |weight: u32| {
            let routes = json!([{"model": "one", "weight": weight},
                {"model": "two", "weight": 10}, {"model": "three", "weight": 10}]);
            orders(&routes)
        };
        let (before, again, after) = (first(10), first(10), first(20));
        assert_eq!(before, again);
        let mut moved = 0;
        for (one, other) in before.iter().zip(&after) {
            if one[0] != other[0] {
                assert_eq!(other[0], "one", "only to the route that has more weight");
                moved += 1;
            }
        }
        // From a third to a half.
        let moved = f64::from(moved) / f64::from(DOCUMENTS);
        assert!((moved - 1.0 / 6.0).abs() < 0.03, "{moved}");
    }

    #[test]
    fn a_route_without_a_weight_keeps_its_place_and_parts_those_around_it() {
        let config = config(&json!([
            {"model": "one", "weight": 1}, {"model": "two", "when": "language == 'de'"},
            {"model": "three", "weight": 1000}]));
        for number in 0..50 {
            let document = format!("d-{number}");
            let order = order(&config, Step::Draft, Some(&document), 0);
            assert_eq!(
                order,
                ["one", "three"],
                "apart, though the one between does not apply"
            );
        }
    }

    #[test]
    fn steps_are_drawn_apart_and_a_call_of_no_document_by_chance() {
        let config = config(&json!([{"model": "one", "weight": 1}, {"model": "two", "weight": 1}]));
        let mut same = BTreeMap::<bool, u32>::new();
        for number in 0..400 {
            let document = format!("d-{number}");
            let of = |step| order(&config, step, Some(&document), 0);
            *same.entry(of(Step::Draft) == of(Step::Final)).or_default() += 1;
        }
        assert!(same[&true] > 120 && same[&false] > 120, "{same:?}");
        let by_chance = |chance| order(&config, Step::Draft, None, chance);
        let firsts: Vec<_> = (0..=255)
            .map(|chance| by_chance(chance)[0].clone())
            .collect();
        let ones = firsts.iter().filter(|first| *first == "one").count();
        assert!((80..=176).contains(&ones), "{ones}");
    }
}
