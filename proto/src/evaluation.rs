//! What the Job that asks a new revision tells the operator, as the termination message of its container:
//! names of inputs and rules, never a word of an answer.

use aios_crds::rollout::EvaluationInput;
use serde::{Deserialize, Serialize};

use crate::canonical;

/// Longest termination message of a container (Kubernetes, `terminationMessagePath`).
pub const MAX_MESSAGE: usize = 4096;
/// Inputs that a report names.
const NAMED: usize = 5;

/// What an evaluation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationReport {
    pub inputs: u32,
    /// Answers of the new revision that passed.
    pub passed: u32,
    /// Answers of the old revision that passed; none if it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// The first inputs that the new revision answered worse or, if it answered none worse, not well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fell: Vec<Fallen>,
}

/// An input that was not answered well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fallen {
    pub input: String,
    /// Whether the old revision's answer passed.
    pub passed_before: bool,
    /// What became of the new revision's answer, as in `blocked by rule no-promise`.
    pub now: String,
}

/// One input, asked of both revisions. `Err` says why an answer did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub input: String,
    pub now: Result<(), String>,
    /// None if there is no old revision.
    pub before: Option<Result<(), String>>,
}

impl EvaluationReport {
    pub fn of(compared: &[Compared]) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let failed: Vec<&Compared> = compared.iter().filter(|one| one.now.is_err()).collect();
        let passed_before = |one: &Compared| one.before.as_ref().is_some_and(Result::is_ok);
        let worse: Vec<&Compared> = failed
            .iter()
            .copied()
            .filter(|one| passed_before(one))
            .collect();
        let named = if worse.is_empty() { &failed } else { &worse };
        let before = compared.iter().filter(|one| passed_before(one)).count();
        Self {
            inputs: count(compared.len()),
            passed: count(compared.len() - failed.len()),
            before: compared
                .iter()
                .any(|one| one.before.is_some())
                .then(|| count(before)),
            fell: named
                .iter()
                .take(NAMED)
                .map(|one| Fallen {
                    input: one.input.clone(),
                    passed_before: passed_before(one),
                    now: short(one.now.as_ref().err().map_or("", String::as_str)),
                })
                .collect(),
        }
    }

    /// Percent of the inputs that the new revision answered well, rounded down.
    pub fn score(&self) -> i32 {
        percent(self.passed, self.inputs)
    }

    /// Percent of the inputs that the old revision answered well, rounded down.
    pub fn baseline(&self) -> Option<i32> {
        self.before.map(|before| percent(before, self.inputs))
    }
}

/// Digest over the inputs by their names: the Job tells by it that it read what the operator did.
///
/// # Errors
/// When an input has no JSON form.
pub fn digest<'a>(
    inputs: impl IntoIterator<Item = (&'a str, &'a EvaluationInput)>,
) -> Result<String, serde_json::Error> {
    let inputs: std::collections::BTreeMap<_, _> = inputs.into_iter().collect();
    Ok(canonical::digest(&canonical::to_vec(&inputs)?))
}

fn percent(part: u32, whole: u32) -> i32 {
    let percent = u64::from(part) * 100 / u64::from(whole.max(1));
    i32::try_from(percent).unwrap_or(100)
}

/// Names of rules are bounded, several of them and words of others are not.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    let end = text.floor_char_boundary(MOST);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Compared, EvaluationReport, MAX_MESSAGE};

    fn compared(input: &str, now: bool, before: Option<bool>) -> Compared {
        let verdict = |passed: bool| {
            if passed {
                Ok(())
            } else {
                Err("blocked by rule no-promise".to_owned())
            }
        };
        Compared {
            input: input.into(),
            now: verdict(now),
            before: before.map(verdict),
        }
    }

    #[test]
    fn inputs_that_fell_are_named_before_those_that_never_passed() {
        let report = EvaluationReport::of(&[
            compared("a", true, Some(true)),
            compared("b", false, Some(false)),
            compared("refund-de", false, Some(true)),
        ]);
        assert_eq!((report.score(), report.baseline()), (33, Some(66)));
        assert_eq!(report.fell.len(), 1);
        assert_eq!(
            (report.fell[0].input.as_str(), report.fell[0].passed_before),
            ("refund-de", true)
        );
        assert_eq!(report.fell[0].now, "blocked by rule no-promise");
    }

    #[test]
    fn without_an_old_revision_what_does_not_pass_is_named() {
        let report = EvaluationReport::of(&[compared("a", false, None), compared("b", true, None)]);
        assert_eq!((report.score(), report.baseline()), (50, None));
        assert_eq!(report.fell[0].input, "a");
    }

    #[test]
    fn a_report_fits_a_termination_message_however_long_its_names_are() {
        let long = Compared {
            input: "i".repeat(253),
            now: Err("é".repeat(9000)),
            before: Some(Ok(())),
        };
        let report = EvaluationReport::of(&vec![long; 64]);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.len() <= MAX_MESSAGE, "{}", text.len());
        let again: EvaluationReport = serde_json::from_str(&text).unwrap();
        assert_eq!(again, report);
    }
}
