//! Which variant of a step's experiment a document is written by. Pure.

use http::HeaderValue;

use super::{
    call::{Call, Step},
    hundred,
    route::{self, Plan},
};
use crate::{
    dialect::openai::Request,
    snapshot::{Config, Experiment, Variant},
};

impl Plan {
    /// Puts the model of the document's variant before the routes, and gives the variant's name: also where its
    /// model cannot be asked, for what is compared is what variants were given. None without an experiment, and for
    /// a call of no document, which could not stay with a variant.
    pub fn assign(
        &mut self,
        config: &Config,
        call: &Call,
        document: Option<&HeaderValue>,
        request: &Request,
    ) -> Option<HeaderValue> {
        let Call::Routed { pipeline, step, .. } = call else {
            return None;
        };
        let experiment = step.of(config.pipelines.get(pipeline)?)?;
        let experiment = experiment.experiment.as_ref()?;
        let taken = taken(experiment, *step, document?.as_bytes());
        let Some(variant) = taken else {
            return Some(experiment.control.clone());
        };
        match route::candidate(config, call, (None, &variant.model), request) {
            Ok(candidate) => {
                self.candidates
                    .retain(|other| other.model.name != candidate.model.name);
                self.candidates.insert(0, candidate);
            }
            Err(unfit) => self.passed.insert(0, unfit.0),
        }
        Some(variant.label.clone())
    }
}

/// Each variant takes its percent of a hundred places, in order. Experiment and step are hashed with the document's id,
/// so that those of one variant are not together again in the next experiment, or in the next step.
fn taken<'a>(experiment: &'a Experiment, step: Step, document: &[u8]) -> Option<&'a Variant> {
    let place = hundred::place(&hundred::digest(&experiment.name, step, document));
    let mut end = 0;
    experiment.variants.iter().find(|variant| {
        end += variant.percent;
        place < end
    })
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

    fn config(name: &str) -> Config {
        divided(
            name,
            &json!([
                {"name": "bold", "model": "bold", "percent": 20},
                {"name": "calm", "model": "gone", "percent": 30}]),
        )
    }

    fn divided(name: &str, variants: &Value) -> Config {
        let mut pipeline = tests::pipeline("p", &json!([{"model": "usual"}]));
        for step in ["draft", "final"] {
            pipeline["models"][step] = json!({"routes": [{"model": "usual"}],
                "experiment": {"name": name, "variants": variants}});
        }
        let items = vec![
            tests::item(ItemKind::Model, "usual", &tests::model("usual")),
            tests::item(ItemKind::Model, "bold", &tests::model("bold")),
            tests::item(ItemKind::Pipeline, "p", &pipeline),
        ];
        let snapshot = Snapshot { sequence: 1, items };
        apply(&Config::default(), &snapshot, &Scope::Egress)
            .config
            .unwrap()
    }

    /// The variant, and the models in the order in which they are tried.
    fn assigned(config: &Config, document: Option<&str>) -> (Option<String>, Vec<String>) {
        in_step(config, Step::Draft, document)
    }

    fn in_step(
        config: &Config,
        step: Step,
        document: Option<&str>,
    ) -> (Option<String>, Vec<String>) {
        let call = Call::Routed {
            pipeline: "p".into(),
            step,
            labels: Labels::new(),
        };
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": "x"}]});
        let request = Request::parse(Operation::Chat, body.to_string().into()).unwrap();
        let mut plan = plan(config, &call, &request).unwrap();
        let document = document.map(|id| HeaderValue::from_str(id).unwrap());
        let variant = plan.assign(config, &call, document.as_ref(), &request);
        let models = plan.candidates.iter().map(|each| each.model.name.clone());
        let variant = variant.map(|label| label.to_str().unwrap().to_owned());
        (variant, models.collect())
    }

    #[test]
    fn documents_are_divided_as_the_percents_say_and_stay_where_they_are() {
        let config = config("tone");
        let mut counts = BTreeMap::<String, u32>::new();
        for number in 0..2000 {
            let document = format!("d-{number}");
            let (variant, _) = assigned(&config, Some(&document));
            assert_eq!(assigned(&config, Some(&document)).0, variant, "{document}");
            *counts.entry(variant.unwrap()).or_default() += 1;
        }
        for (variant, percent) in [("tone/bold", 20), ("tone/calm", 30), ("tone/control", 50)] {
            let far = counts[variant].abs_diff(percent * 20);
            assert!(far < 100, "{variant}: {counts:?}");
        }
    }

    fn bold(config: &Config, step: Step, number: u32) -> bool {
        let (variant, _) = in_step(config, step, Some(&format!("d-{number}")));
        variant.unwrap().ends_with("/bold")
    }

    #[test]
    fn another_name_divides_documents_anew() {
        let (one, other) = (config("tone"), config("tone-2"));
        let both =
            |number: &u32| bold(&one, Step::Draft, *number) && bold(&other, Step::Draft, *number);
        let both = (0..2000).filter(both).count();
        assert!((20..140).contains(&both), "{both} of about 80");
    }

    #[test]
    fn each_step_divides_documents_for_itself() {
        let config = config("tone");
        let both = |number: &u32| {
            bold(&config, Step::Draft, *number) && bold(&config, Step::Final, *number)
        };
        let both = (0..2000).filter(both).count();
        assert!((20..140).contains(&both), "{both} of about 80");
    }

    #[test]
    fn a_document_stays_where_it_is_in_whatever_order_variants_are_written() {
        let turned = json!([
            {"name": "calm", "model": "gone", "percent": 30},
            {"name": "bold", "model": "bold", "percent": 20}]);
        let (one, other) = (config("tone"), divided("tone", &turned));
        for number in 0..200 {
            let document = format!("d-{number}");
            assert_eq!(
                assigned(&one, Some(&document)),
                assigned(&other, Some(&document))
            );
        }
    }

    #[test]
    fn the_variants_model_is_tried_first_and_the_routes_after_it() {
        let config = config("tone");
        for number in 0..200 {
            let (variant, models) = assigned(&config, Some(&format!("d-{number}")));
            let expected: &[&str] = match variant.as_deref() {
                Some("tone/bold") => &["bold", "usual"],
                // Its model is not in force.
                Some("tone/calm" | "tone/control") => &["usual"],
                other => panic!("{other:?}"),
            };
            assert_eq!(models, expected);
        }
    }

    #[test]
    fn a_variant_is_held_to_the_models_that_policies_allow() {
        let law = tests::item(
            ItemKind::ClusterPolicy,
            "law",
            &json!({"name": "law", "scope": "Cluster", "rules": [], "review": {},
                "data": {"models": "PrivateOnly"}}),
        );
        let mut bold = tests::model("bold");
        bold["hosted"] = json!({"region": "us"});
        let mut pipeline = tests::pipeline("p", &json!([{"model": "usual"}]));
        pipeline["policies"] = json!([{"scope": "Cluster", "name": "law", "digest": law.digest}]);
        pipeline["models"]["draft"]["experiment"] = json!({"name": "tone",
            "variants": [{"name": "bold", "model": "bold", "percent": 100}]});
        let items = vec![
            law,
            tests::item(ItemKind::Model, "usual", &tests::model("usual")),
            tests::item(ItemKind::Model, "bold", &bold),
            tests::item(ItemKind::Pipeline, "p", &pipeline),
        ];
        let applied = apply(
            &Config::default(),
            &Snapshot { sequence: 1, items },
            &Scope::Egress,
        );
        assert!(applied.acks.iter().all(|ack| ack.accepted), "{applied:?}");
        let (variant, models) = assigned(&applied.config.unwrap(), Some("d"));
        assert_eq!(variant.as_deref(), Some("tone/bold"));
        assert_eq!(models, ["usual"]);
    }

    #[test]
    fn a_call_of_no_document_is_in_no_experiment() {
        let (variant, models) = assigned(&config("tone"), None);
        assert_eq!((variant, models), (None, vec!["usual".to_owned()]));
    }
}
