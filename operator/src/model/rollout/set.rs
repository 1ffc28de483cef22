//! What a new revision is asked and judged by: read once, or said what is wrong with it. Pure.

use std::collections::BTreeMap;

use aios_crds::rollout::{Evaluation, EvaluationInput, MAX_INPUTS};
use aios_proto::{canonical, control::Item, evaluation};

/// Longest text of all policies together: they stand in an argument, of which Linux takes 128 KiB.
const MAX_POLICIES: usize = 96 << 10;
/// Hex digits that tell one evaluation of a model from another.
const DIGITS: usize = 10;

/// An evaluation that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    pub inputs: usize,
    /// Of the inputs alone: the Job compares it with what it finds mounted.
    pub inputs_digest: String,
    /// The policies as a JSON list.
    pub policies: String,
    /// Of all that decides.
    pub digest: String,
}

/// Why an evaluation cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// An object that it names does not exist.
    Missing(String),
    /// It is there and will be known in a moment.
    NotYet(String),
    Invalid(String),
}

impl Set {
    /// `texts` are the ConfigMap's data, `policies` the items that judge, in order.
    pub fn new(
        evaluation: &Evaluation,
        texts: &BTreeMap<String, String>,
        policies: &[Item],
    ) -> Result<Self, Flaw> {
        let name = &evaluation.config_map_ref.name;
        let invalid = |what: String| Flaw::Invalid(format!("ConfigMap `{name}`{what}"));
        if texts.is_empty() || texts.len() > MAX_INPUTS {
            let count = texts.len();
            let remedy = format!("holds {count} inputs: give it 1 to {MAX_INPUTS} keys");
            return Err(invalid(format!(" {remedy}")));
        }
        let mut inputs = BTreeMap::new();
        for (key, text) in texts {
            let input = EvaluationInput::parse(text).map_err(|error| {
                let remedy = "write a prompt, or a JSON object with prompt";
                invalid(format!(", key `{key}`: {error}: {remedy}"))
            })?;
            inputs.insert(key.as_str(), input);
        }
        let no_form = |error: serde_json::Error| Flaw::Invalid(error.to_string());
        let inputs_digest =
            evaluation::digest(inputs.iter().map(|(key, input)| (*key, input))).map_err(no_form)?;
        let bodies: Vec<_> = policies
            .iter()
            .map(|item| String::from_utf8_lossy(&item.body))
            .collect();
        let policies = format!("[{}]", bodies.join(","));
        if policies.len() > MAX_POLICIES {
            let bytes = policies.len();
            return Err(Flaw::Invalid(format!(
                "the policies have {bytes} bytes, more than the {MAX_POLICIES} of an evaluation: name fewer \
                 or shorter ones in policyRefs"
            )));
        }
        let decides = (&inputs_digest, &policies, evaluation.min_score_percent);
        let digest = canonical::digest(&canonical::to_vec(&decides).map_err(no_form)?);
        Ok(Self {
            inputs: inputs.len(),
            inputs_digest,
            policies,
            digest,
        })
    }

    /// Names one asking: of these two revisions, before this step.
    pub fn key(&self, stable: &str, candidate: &str, target: i32) -> String {
        let asking = format!("{stable}\n{candidate}\n{target}\n{}", self.digest);
        let digest = canonical::digest(asking.as_bytes());
        digest
            .trim_start_matches("sha256:")
            .chars()
            .take(DIGITS)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::rollout::Evaluation;
    use serde_json::json;

    use super::{Flaw, Set};

    fn evaluation(min: i32) -> Evaluation {
        let spec = json!({"configMapRef": {"name": "inputs"}, "policyRefs": [{"name": "tone"}],
            "minScorePercent": min});
        serde_json::from_value(spec).unwrap()
    }

    fn set(texts: &[(&str, &str)], min: i32) -> Result<Set, Flaw> {
        let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
        Set::new(&evaluation(min), &texts.iter().map(owned).collect(), &[])
    }

    #[test]
    fn another_input_policy_or_bound_is_another_evaluation() {
        let first = set(&[("a", "Write.")], 90).unwrap();
        assert_eq!(first.digest, set(&[("a", "Write.\n")], 90).unwrap().digest);
        assert_ne!(first.digest, set(&[("a", "Write!")], 90).unwrap().digest);
        assert_ne!(first.digest, set(&[("a", "Write.")], 80).unwrap().digest);
        assert_eq!(first.key("x", "y", 5), first.key("x", "y", 5));
        assert_ne!(first.key("x", "y", 5), first.key("x", "y", 25));
        assert_eq!(first.key("x", "y", 5).len(), 10);
    }

    #[test]
    fn what_is_wrong_with_an_evaluation_is_said_with_its_key() {
        let Err(Flaw::Invalid(none)) = set(&[], 90) else {
            panic!("taken")
        };
        assert!(none.contains("holds 0 inputs"), "{none}");
        let Err(Flaw::Invalid(wrong)) = set(&[("refund-de", "{\"prompt\": 7}")], 90) else {
            panic!("taken")
        };
        assert!(wrong.contains("`inputs`, key `refund-de`"), "{wrong}");
    }
}
