//! Asks a model to judge a text, as OpenAI's moderations are asked: by its name, on behalf of the
//! pipeline whose document it is.

use std::collections::BTreeMap;

use aios_policy::{Answer, FULL_SCORE, MAX_CATEGORIES};
use serde::Deserialize;
use serde_json::json;

use super::egress::{Egress, EgressError, answered, paid, text_of};
use crate::machine::{RunItem, Step};

/// Longest name of a category.
const MAX_NAME: usize = 64;

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    pub pipeline: &'a str,
    /// Of a document of a run.
    pub run: Option<&'a RunItem>,
    pub document: &'a str,
    /// Name of the ModelDeployment.
    pub model: &'a str,
    pub text: &'a str,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Digest of the weights, or the deployment's name for hosted models.
    pub by: String,
    pub answer: Answer,
}

#[derive(Deserialize)]
struct Moderation {
    results: Vec<ModerationResult>,
}

#[derive(Deserialize)]
struct ModerationResult {
    flagged: bool,
    category_scores: BTreeMap<String, f64>,
}

impl Egress {
    /// Asks, and waits for the answer.
    pub async fn judge(&self, judge: Judge<'_>) -> Result<Judged, EgressError> {
        let body = json!({"model": judge.model, "input": judge.text});
        let request = self
            .post("/v1/moderations")
            .header("aios-pipeline", judge.pipeline)
            .header("aios-step", Step::Check.as_str())
            .header("aios-document", judge.document)
            .json(&body);
        let (headers, bytes) = answered(paid(request, judge.run)).await?;
        let answer = read(&bytes)
            .ok_or_else(|| EgressError::Exhausted("the answer is no moderation".to_owned()))?;
        let by = text_of(&headers, "aios-model-digest");
        Ok(Judged {
            by: by.unwrap_or_else(|| judge.model.to_owned()),
            answer,
        })
    }
}

/// Exactly one text was asked about; scores are within 0 and 1.
fn read(body: &[u8]) -> Option<Answer> {
    let moderation: Moderation = serde_json::from_slice(body).ok()?;
    let [result] = <[_; 1]>::try_from(moderation.results).ok()?;
    let ModerationResult {
        flagged,
        category_scores,
    } = result;
    if category_scores.len() > MAX_CATEGORIES {
        return None;
    }
    let scores = category_scores.into_iter().map(|(name, score)| {
        let is_name = name.len() <= MAX_NAME && (0.0..=1.0).contains(&score);
        is_name.then(|| (name, millionths(score)))
    });
    Some(Answer::Moderation {
        flagged,
        scores: scores.collect::<Option<_>>()?,
    })
}

/// Of a number within 0 and 1: rounded once, here, so that no verdict depends on a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn millionths(score: f64) -> u32 {
    (score * f64::from(FULL_SCORE)).round() as u32
}

#[cfg(test)]
mod tests {
    use aios_policy::Answer;
    use serde_json::{Value, json};

    use super::read;

    fn of(results: &Value) -> Option<Answer> {
        let body = json!({"id": "modr-1", "model": "judge", "results": results});
        read(body.to_string().as_bytes())
    }

    #[test]
    fn scores_are_read_as_millionths() {
        let scores = json!({"hate": 0.000_000_4, "violence": 0.4, "self-harm/intent": 1});
        let read = of(
            &json!([{"flagged": true, "categories": {"hate": true}, "category_scores": scores}]),
        );
        let Some(Answer::Moderation { flagged, scores }) = read else {
            panic!("not read")
        };
        assert!(flagged);
        let scores: Vec<_> = scores.into_iter().collect();
        let expected = [
            ("hate", 0),
            ("self-harm/intent", 1_000_000),
            ("violence", 400_000),
        ];
        assert_eq!(
            scores,
            expected.map(|(name, score)| (name.to_owned(), score))
        );
    }

    #[test]
    fn anything_else_is_no_moderation() {
        let score = |score: Value| json!([{"flagged": false, "category_scores": {"hate": score}}]);
        for results in [
            json!([]),
            json!([{"flagged": false}]),
            json!([{"category_scores": {}}]),
            score(json!(1.1)),
            score(json!(-0.1)),
            score(json!("0.1")),
            score(json!(null)),
            json!([{"flagged": false, "category_scores": {}}, {"flagged": false, "category_scores": {}}]),
        ] {
            assert_eq!(of(&results), None, "{results}");
        }
    }
}
