//! Fetches what a document is made from: records, language, labels, passages.

use std::{collections::BTreeMap, time::Instant};

use serde_json::Value;

use crate::{
    compiled::{Pipeline, lookup, scalar},
    machine::{Event, RefuseReason, Retrieved, State},
    store::{Store, StoreError, Subject},
};

/// What was found, and the person it is about.
pub struct Found {
    pub event: Event,
    pub subject: Option<Subject>,
}

/// Looks everything up. Values never stand in a refusal, only paths.
///
/// # Errors
/// When the store fails.
pub async fn retrieve(
    store: &Store,
    pipeline: &Pipeline,
    state: &State,
) -> Result<Found, StoreError> {
    let started = Instant::now();
    let refused = |reason, detail: String| Found {
        event: Event::Refused { reason, detail },
        subject: None,
    };
    let mut variables = state.pointer.clone();
    for source in &pipeline.config.context {
        let pointer = &source.upload.pointer;
        let Some(key) = state.pointer.get(pointer).and_then(scalar) else {
            let detail = format!("the pointer has no field `{pointer}`");
            return Ok(refused(RefuseReason::InvalidVariables, detail));
        };
        let Some(record) = store.record(&state.pipeline, &source.name, &key).await? else {
            let detail = format!(
                "context `{}` has no record for the pointer's `{pointer}`: upload it first",
                source.name
            );
            return Ok(refused(RefuseReason::InvalidVariables, detail));
        };
        variables.insert(source.name.clone(), Value::Object(record));
    }
    let variables = Value::Object(variables);
    let config = &pipeline.config;
    let subject = config
        .subject_variable
        .as_ref()
        .and_then(|path| lookup(&variables, path))
        .and_then(scalar)
        .map(|id| store.vault().person(&id));
    if let Err(error) = pipeline.check_variables(&variables) {
        let event = Event::Refused {
            reason: RefuseReason::InvalidVariables,
            detail: error.to_string(),
        };
        return Ok(Found { event, subject });
    }
    let first = pipeline
        .skeletons
        .first()
        .map(|skeleton| skeleton.config.language.clone());
    let language = match &config.language_variable {
        Some(path) => lookup(&variables, path).and_then(scalar),
        None => first,
    };
    let Some(skeleton) = language
        .as_deref()
        .and_then(|language| pipeline.skeleton(language))
    else {
        let detail = "no skeleton has the document's language".to_owned();
        let event = Event::Refused {
            reason: RefuseReason::UnsupportedLanguage,
            detail,
        };
        return Ok(Found { event, subject });
    };
    let passages = match pipeline.passages(&variables) {
        Ok(passages) => passages,
        Err(error) => {
            let event = Event::Refused {
                reason: RefuseReason::TemplateFailed,
                detail: error.to_string(),
            };
            return Ok(Found { event, subject });
        }
    };
    let labels: BTreeMap<String, String> = config
        .labels
        .iter()
        .filter_map(|label| {
            let value = lookup(&variables, &label.variable).and_then(scalar)?;
            Some((label.name.clone(), value))
        })
        .collect();
    let event = Event::Retrieved(Retrieved {
        config: pipeline.digest.clone(),
        labels,
        language: skeleton.config.language.clone(),
        passages,
        variables,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    Ok(Found { event, subject })
}
