//! Which calls may be given another's answer, and what must be equal for that. Pure.

use std::time::Duration;

use aios_crds::writing_pipeline::CachedCalls;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    dialect::openai::{Operation, Request},
    egress::call::Call,
    money::Fund,
    snapshot::{Config, Model},
};

/// Digest of all that must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// On which terms a call is given another's answer. The namespace is the process's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pipeline: String,
    /// Digest of the policies that judge its documents.
    policies: String,
    pub ttl: Duration,
}

/// Headers that a model may answer by.
const HEADERS: [&str; 2] = ["anthropic-version", "anthropic-beta"];

impl Key {
    /// Of the same under way for a run that pays: what it has left decides about its own calls alone.
    pub fn paid_by(self, run: Option<&Fund>) -> Self {
        let Some(run) = run else {
            return self;
        };
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(run.name.as_bytes());
        Self(hash.finalize().into())
    }
}

impl Terms {
    /// None where a model must be asked: the step keeps nothing, or not for calls as this one.
    pub fn of(config: &Config, call: &Call, request: &Request) -> Option<Self> {
        let Call::Routed { pipeline, step, .. } = call else {
            return None;
        };
        let known = config.pipelines.get(pipeline)?;
        let cache = step.of(known)?.cache.as_ref()?;
        let answered = cache.calls == CachedCalls::All || is_deterministic(request);
        answered.then(|| Self {
            pipeline: pipeline.clone(),
            policies: known.policies.clone(),
            ttl: cache.ttl.get(),
        })
    }

    /// Of a call to this model with this body; none while a new revision takes some of its calls, whose
    /// answers are to be its own.
    pub fn key(
        &self,
        model: &Model,
        (operation, body): (Operation, &Bytes),
        caller: &HeaderMap,
    ) -> Option<Key> {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        let dialect = serde_json::to_vec(&model.dialect).ok()?;
        for part in [
            self.pipeline.as_bytes(),
            self.policies.as_bytes(),
            model.name.as_bytes(),
            model.upstream_model.as_bytes(),
            model.base_url.as_bytes(),
            model.digest.as_deref().unwrap_or_default().as_bytes(),
            &dialect,
            operation.path().as_bytes(),
            body,
        ] {
            add(part);
        }
        for name in HEADERS {
            for value in caller.get_all(name) {
                add(name.as_bytes());
                add(value.as_bytes());
            }
        }
        let key = Key(hash.finalize().into());
        model.next.is_none().then_some(key)
    }
}

/// Whether the same question is meant to get the same answer.
fn is_deterministic(request: &Request) -> bool {
    #[derive(Deserialize)]
    struct Sampling {
        temperature: Option<Value>,
        seed: Option<Value>,
    }
    if !request.operation.writes() {
        return true;
    }
    let sampling = serde_json::from_slice::<Sampling>(&request.body);
    sampling.is_ok_and(|sampling| {
        let temperature = sampling.temperature.and_then(|value| value.as_f64());
        sampling.seed.is_some() || temperature.is_some_and(|value| value.abs() < f64::EPSILON)
    })
}

#[cfg(test)]
mod tests {
    use aios_proto::control::{ItemKind, Snapshot};
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Key, Terms};
    use crate::{
        dialect::openai::{Operation, Request},
        egress::call::{Call, Step},
        snapshot::{Config, Labels, Scope, apply, tests},
    };

    /// The pipelines have a policy against each of the words.
    fn config(cache: &Value, words: &Value, patch: impl Fn(&mut Value)) -> Config {
        let mut model = tests::model("m");
        model["digest"] = json!("sha256:aa");
        patch(&mut model);
        let mut items = vec![tests::item(ItemKind::Model, "m", &model)];
        let mut policies = Vec::new();
        for word in words.as_array().unwrap() {
            let rule = json!({"name": "no-word", "terms": {"list": [word]}, "action": "Review"});
            let body =
                json!({"name": "house", "scope": "Namespace", "rules": [rule], "review": {}});
            let policy = tests::item(ItemKind::Policy, "house", &body);
            policies.push(json!({"scope": "Namespace", "name": "house", "digest": policy.digest}));
            items.push(policy);
        }
        for name in ["p", "q"] {
            let mut pipeline = tests::pipeline(name, &json!([{"model": "m"}]));
            pipeline["models"]["draft"]["cache"] = cache.clone();
            pipeline["policies"] = json!(policies);
            items.push(tests::item(ItemKind::Pipeline, name, &pipeline));
        }
        let applied = apply(
            &Config::default(),
            &Snapshot { sequence: 1, items },
            &Scope::Egress,
        );
        assert!(
            applied.acks.iter().all(|ack| ack.accepted),
            "{:?}",
            applied.acks
        );
        applied.config.unwrap()
    }

    fn call(pipeline: &str) -> Call {
        Call::Routed {
            pipeline: pipeline.into(),
            step: Step::Draft,
            labels: Labels::new(),
        }
    }

    fn request(operation: Operation, extra: &Value) -> Request {
        let mut body = json!({"model": "auto", "input": "x", "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}]});
        for (field, value) in extra.as_object().unwrap() {
            body[field] = value.clone();
        }
        Request::parse(operation, body.to_string().into()).unwrap()
    }

    #[rstest]
    #[case::free(Operation::Chat, json!({}), false)]
    #[case::warm(Operation::Chat, json!({"temperature": 0.7}), false)]
    #[case::text(Operation::Chat, json!({"temperature": "0"}), false)]
    #[case::cold(Operation::Chat, json!({"temperature": 0}), true)]
    #[case::cold_fraction(Operation::Messages, json!({"temperature": 0.0}), true)]
    #[case::seeded(Operation::Chat, json!({"seed": 7, "temperature": 1}), true)]
    #[case::no_seed(Operation::Chat, json!({"seed": null}), false)]
    #[case::vectors(Operation::Embeddings, json!({}), true)]
    fn calls_that_are_to_get_the_same_answer_are_told_from_others(
        #[case] operation: Operation,
        #[case] extra: Value,
        #[case] deterministic: bool,
    ) {
        let request = request(operation, &extra);
        let none = json!([]);
        let narrow = config(&json!({"ttl": "5m"}), &none, |_| {});
        let terms = Terms::of(&narrow, &call("p"), &request);
        assert_eq!(terms.is_some(), deterministic);
        let all = config(&json!({"ttl": "5m", "calls": "All"}), &none, |_| {});
        assert!(Terms::of(&all, &call("p"), &request).is_some());
        assert_eq!(Terms::of(&all, &Call::Named, &request), None);
        let off = config(&Value::Null, &none, |_| {});
        assert_eq!(Terms::of(&off, &call("p"), &request), None);
    }

    #[test]
    fn each_step_says_for_itself_whether_answers_are_used_again() {
        let mut pipeline = tests::pipeline("p", &json!([{"model": "m"}]));
        pipeline["models"]["final"] =
            json!({"routes": [{"model": "m"}], "cache": {"ttl": "7s", "calls": "All"}});
        let items = vec![tests::item(ItemKind::Pipeline, "p", &pipeline)];
        let snapshot = Snapshot { sequence: 1, items };
        let config = apply(&Config::default(), &snapshot, &Scope::Egress).config;
        let config = config.unwrap();
        let request = request(Operation::Chat, &json!({}));
        let of = |step| {
            let call = Call::Routed {
                pipeline: "p".into(),
                step,
                labels: Labels::new(),
            };
            Terms::of(&config, &call, &request).map(|terms| terms.ttl.as_secs())
        };
        assert_eq!((of(Step::Draft), of(Step::Final)), (None, Some(7)));
    }

    struct Asked<'a> {
        pipeline: &'a str,
        words: Value,
        operation: Operation,
        body: &'static str,
        header: (&'static str, &'static str),
    }

    impl Default for Asked<'_> {
        fn default() -> Self {
            Self {
                pipeline: "p",
                words: json!([]),
                operation: Operation::Chat,
                body: "{}",
                header: ("traceparent", "1"),
            }
        }
    }

    fn key(asked: &Asked<'_>, patch: impl Fn(&mut Value)) -> Option<Key> {
        let config = config(&json!({"ttl": "5m", "calls": "All"}), &asked.words, patch);
        let request = request(Operation::Chat, &json!({}));
        let terms = Terms::of(&config, &call(asked.pipeline), &request).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(asked.header.0, HeaderValue::from_static(asked.header.1));
        let body = asked.body.into();
        terms.key(&config.models["m"], (asked.operation, &body), &headers)
    }

    #[test]
    fn whatever_changes_the_answer_or_its_judge_changes_the_key() {
        let usual = key(&Asked::default(), |_| {});
        assert!(usual.is_some());
        let trace = Asked {
            header: ("traceparent", "2"),
            ..Asked::default()
        };
        assert_eq!(key(&trace, |_| {}), usual, "a trace changes nothing");
        assert_eq!(
            key(&Asked::default(), |model| model["pricing"] = json!(null)),
            usual
        );
        let pin = json!(["one"]);
        let again = json!(["another"]);
        let mut keys = vec![
            usual,
            key(
                &Asked {
                    pipeline: "q",
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    words: pin,
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    words: again,
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    operation: Operation::Messages,
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    body: "{ }",
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    header: ("anthropic-beta", "1"),
                    ..Asked::default()
                },
                |_| {},
            ),
            key(
                &Asked {
                    header: ("anthropic-version", "1"),
                    ..Asked::default()
                },
                |_| {},
            ),
            key(&Asked::default(), |model| model["model"] = json!("newer")),
            key(&Asked::default(), |model| {
                model["digest"] = json!("sha256:bb");
            }),
            key(&Asked::default(), |model| model["digest"] = json!(null)),
            key(&Asked::default(), |model| {
                model["upstream"]["dialect"] = json!("Anthropic");
            }),
            key(&Asked::default(), |model| {
                model["upstream"]["baseUrl"] = json!("http://elsewhere/v1");
            }),
        ];
        assert!(keys.iter().all(Option::is_some));
        let count = keys.len();
        keys.sort_by_key(|key| key.map(|key| key.0));
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn while_a_new_revision_takes_calls_every_call_is_a_models_own() {
        let next = json!({"endpoint": "http://127.0.0.1:9", "percent": 5});
        assert_eq!(
            key(&Asked::default(), |model| model["next"] = next.clone()),
            None
        );
    }
}
