//! What a caller says in headers: for which pipeline, step and document it calls.

use std::sync::Arc;

use aios_crds::budget::InvalidUnit;
use http::HeaderMap;

use crate::{
    error::ApiError,
    money::Fund,
    snapshot::{Labels, Pipeline, Routes},
};

/// How the model is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// By the routes of a pipeline's step.
    Routed {
        pipeline: String,
        step: Step,
        labels: Labels,
    },
    /// By its name in the body.
    Named,
}

/// Steps that call models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Draft,
    Final,
    /// A text is judged: by the model that the body names, whatever the routes are.
    Check,
}

const MAX_LABELS: usize = 16;

impl Call {
    /// Reads `aios-pipeline`, `aios-step` and `aios-labels`. Without the first the rest means nothing.
    ///
    /// # Errors
    /// `InvalidHeader` with the header's name.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(pipeline) = text(headers, "aios-pipeline")? else {
            return Ok(Self::Named);
        };
        let step = match text(headers, "aios-step")?.as_deref() {
            None | Some("draft") => Step::Draft,
            Some("final") => Step::Final,
            Some("check") => Step::Check,
            Some(_) => return Err(wrong("aios-step", "must be draft, final or check")),
        };
        Ok(Self::Routed {
            pipeline,
            step,
            labels: labels(headers)?,
        })
    }
}

/// The run whose budget pays, too: `aios-run` names it, `aios-run-budget` what it counts.
///
/// # Errors
/// `InvalidHeader` with the header's name.
pub fn run(headers: &HeaderMap) -> Result<Option<Arc<Fund>>, ApiError> {
    const BUDGET: &str = "aios-run-budget";
    let Some(unit) = text(headers, BUDGET)? else {
        return Ok(None);
    };
    let unit = unit.parse();
    let unit = unit.map_err(|error: InvalidUnit| wrong(BUDGET, &error.to_string()))?;
    let name = text(headers, "aios-run")?;
    let name = name.ok_or_else(|| wrong("aios-run", "must name the run whose budget pays"))?;
    Ok(Some(Fund::of_run(name, unit)))
}

impl Call {
    /// For whom it is: a pipeline, or nobody in particular.
    pub fn owner(&self) -> &str {
        match self {
            Self::Routed { pipeline, .. } => pipeline,
            Self::Named => "",
        }
    }
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
            Self::Check => "check",
        }
    }

    /// Its models in a pipeline; none where the draft is final, and where the caller names one.
    pub fn of(self, pipeline: &Pipeline) -> Option<&Routes> {
        match self {
            Self::Draft => Some(&pipeline.draft),
            Self::Final => pipeline.finish.as_ref(),
            Self::Check => None,
        }
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if !text.is_empty() => Ok(Some(text.to_owned())),
        _ => Err(wrong(name, "must be visible ASCII")),
    }
}

/// JSON may hold any UTF-8, which a header carries as opaque bytes.
fn labels(headers: &HeaderMap) -> Result<Labels, ApiError> {
    const NAME: &str = "aios-labels";
    let Some(value) = headers.get(NAME) else {
        return Ok(Labels::new());
    };
    let mut labels: Labels = serde_json::from_slice(value.as_bytes())
        .map_err(|error| wrong(NAME, &format!("must be a JSON object: {error}")))?;
    // A label whose variable is missing: conditions ask with `has(labels.NAME)`.
    labels.retain(|_, value| !value.is_null());
    if labels.len() > MAX_LABELS {
        return Err(wrong(NAME, &format!("holds more than {MAX_LABELS} labels")));
    }
    match labels
        .iter()
        .find(|(_, value)| value.is_array() || value.is_object())
    {
        Some((label, _)) => Err(wrong(
            NAME,
            &format!("`{label}` must be a text, a number or a boolean"),
        )),
        None => Ok(labels),
    }
}

fn wrong(name: &'static str, problem: &str) -> ApiError {
    ApiError::InvalidHeader {
        name,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;

    use super::{Call, Step, run};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        pairs
            .iter()
            .map(|(name, text)| (name.parse().unwrap(), value(text)))
            .collect()
    }

    #[test]
    fn a_call_of_a_pipeline_is_read() {
        let headers = headers(&[
            ("aios-pipeline", "p"),
            ("aios-step", "final"),
            (
                "aios-labels",
                r#"{"language":"de","city":"Köln","gone":null}"#,
            ),
        ]);
        let Call::Routed {
            pipeline,
            step,
            labels,
        } = Call::from_headers(&headers).unwrap()
        else {
            panic!("not routed")
        };
        assert_eq!((pipeline.as_str(), step), ("p", Step::Final));
        assert_eq!(labels["city"], "Köln");
        assert!(!labels.contains_key("gone"));
    }

    #[test]
    fn without_a_pipeline_the_model_is_named_in_the_body() {
        assert_eq!(Call::from_headers(&HeaderMap::new()), Ok(Call::Named));
    }

    #[test]
    fn a_run_pays_where_its_budget_is_named_and_nothing_else_is_taken_for_one() {
        let of = |pairs: &[(&'static str, &str)]| run(&headers(pairs));
        assert_eq!(of(&[("aios-run", "batch")]), Ok(None));
        let fund = of(&[("aios-run", "batch"), ("aios-run-budget", "EUR")]).unwrap();
        assert_eq!(fund.unwrap().owner(), "run `batch`");
        for pairs in [
            [("aios-run", "batch"), ("aios-run-budget", "euros")].as_slice(),
            &[("aios-run-budget", "EUR")],
        ] {
            assert_eq!(of(pairs).unwrap_err().code(), "invalid_header");
        }
    }

    #[rstest]
    #[case::pipeline(&[("aios-pipeline", "é")], "aios-pipeline")]
    #[case::empty(&[("aios-pipeline", "")], "aios-pipeline")]
    #[case::step(&[("aios-pipeline", "p"), ("aios-step", "review")], "aios-step")]
    #[case::json(&[("aios-pipeline", "p"), ("aios-labels", "{")], "aios-labels")]
    #[case::list(&[("aios-pipeline", "p"), ("aios-labels", "[]")], "aios-labels")]
    #[case::nested(&[("aios-pipeline", "p"), ("aios-labels", r#"{"a":{}}"#)], "aios-labels")]
    fn a_wrong_header_is_refused_by_name(
        #[case] pairs: &[(&'static str, &str)],
        #[case] name: &str,
    ) {
        let error = Call::from_headers(&headers(pairs)).unwrap_err();
        assert_eq!(error.code(), "invalid_header");
        assert_eq!(error.body()["error"]["param"], name);
    }
}
