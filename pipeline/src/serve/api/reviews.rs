//! The review desk: what waits, and people's decisions.

use aios_policy::{Document, PartKind, VerdictAction};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Caller,
    documents::{bad_query, of_pipeline},
    view,
};
use crate::{
    clock::now_ms,
    draft::{StepError, write_step},
    fault::KillPoint,
    machine::{Effect, Event, State as Machine, apply, verdict_rules},
    serve::{auth::Verb, gateway::Gateway, problem::Problem},
    store::{Fence, StoreError},
};

const MOST: u32 = 1000;

type Body<T> = Result<Json<T>, axum::extract::rejection::JsonRejection>;
type Answer = Result<Json<Value>, Problem>;

/// An approval names the version it is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    digest: String,
}

/// A rejection, with words for the author.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    digest: String,
    reason: String,
}

/// New text for the version of that digest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    digest: String,
    parts: Vec<EditedPart>,
}

/// A part's new text; parts that are left out stay as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditedPart {
    name: String,
    /// As it was read; an edit does not change it.
    kind: Option<PartKind>,
    text: String,
}

/// How a parked document moves on.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Send again although it may have arrived.
    #[serde(default)]
    resend: bool,
}

/// Query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewQuery {
    /// `POLICY/RULE` behind the last verdict, whatever its action.
    rule: Option<String>,
}

impl ReviewQuery {
    fn asks_for(&self, state: &Machine) -> bool {
        let verdict = state
            .version
            .as_ref()
            .and_then(|version| version.verdict.as_ref());
        let named = |rule: &String| verdict.is_some_and(|one| verdict_rules(one).contains(rule));
        self.rule.as_ref().is_none_or(named)
    }
}

/// `GET /v1/pipelines/{pipeline}/reviews?rule=`: what waits for a person, whole.
pub async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    query: Result<Query<ReviewQuery>, QueryRejection>,
) -> Answer {
    caller.may(&gateway, Verb::List, &pipeline).await?;
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let mut reviews = Vec::new();
    for status in ["Review", "Parked"] {
        for listed in gateway
            .store
            .list(&pipeline, Some(status), None, None, MOST)
            .await?
        {
            // It may have been decided or erased since the list was read.
            if let Ok(state) = gateway.store.document(&listed.id).await
                && query.asks_for(&state)
            {
                reviews.push(view::document(&state));
            }
        }
    }
    Ok(Json(json!({"reviews": reviews})))
}

/// `POST …/documents/{id}/approve`.
pub async fn approve(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, id)): Path<(String, String)>,
    body: Body<Approve>,
) -> Answer {
    caller.may(&gateway, Verb::Approve, &pipeline).await?;
    let Approve { digest } = parse(body)?;
    let event = Event::Approved {
        by: caller.0.name,
        digest,
    };
    let answer = decide(&gateway, &pipeline, &id, event).await;
    if answer.is_ok() {
        gateway.faults.hit(KillPoint::ApprovalRecorded);
    }
    answer
}

/// `POST …/documents/{id}/reject`.
pub async fn reject(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, id)): Path<(String, String)>,
    body: Body<Reject>,
) -> Answer {
    caller.may(&gateway, Verb::Approve, &pipeline).await?;
    let Reject { digest, reason } = parse(body)?;
    let event = Event::Rejected {
        by: caller.0.name,
        digest,
        reason,
    };
    decide(&gateway, &pipeline, &id, event).await
}

/// `POST …/documents/{id}/edit`: the edited text is checked again, and another person approves it.
pub async fn edit(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, id)): Path<(String, String)>,
    body: Body<Edit>,
) -> Answer {
    caller.may(&gateway, Verb::Approve, &pipeline).await?;
    let Edit { digest, parts } = parse(body)?;
    let state = of_pipeline(&gateway, &pipeline, &id).await?;
    let version = state.version.as_ref().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "wrong_status", "there is no text yet")
    })?;
    let document = replace(&version.document, parts)?;
    let event = Event::Edited {
        by: caller.0.name,
        digest,
        document,
    };
    refuse_blocked(&gateway, state, &event).await?;
    decide(&gateway, &pipeline, &id, event).await
}

/// An edit that policy would refuse leaves the text as it was.
async fn refuse_blocked(gateway: &Gateway, state: Machine, event: &Event) -> Result<(), Problem> {
    let pipeline = state.pipeline.clone();
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let edited = apply(state, event.clone(), &compiled.view(None), now_ms())
        .map_err(StoreError::from)?
        .state;
    let (effect, store) = (Effect::CheckEdited, &gateway.store);
    let checked = write_step(&effect, &edited, &compiled, &gateway.egress, Some(store)).await;
    let verdict = match checked {
        Ok(Event::Checked(checked)) => checked.verdict,
        Ok(_) => return Ok(()),
        Err(StepError::Store(error)) => return Err(error.into()),
        Err(error) => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "cannot_check",
                error.to_string(),
            ));
        }
    };
    if verdict.action != VerdictAction::Block {
        return Ok(());
    }
    let why = format!(
        "policy refuses this text ({}): change it",
        verdict_rules(&verdict).join(", ")
    );
    let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "policy_blocked", why);
    problem.field = Some("parts".to_owned());
    Err(problem)
}

/// `POST …/documents/{id}/publish`: moves a parked document on after reading back. Repeating it for
/// one that is on its way or published changes nothing.
pub async fn publish(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, id)): Path<(String, String)>,
    body: Option<Json<Publish>>,
) -> Answer {
    caller.may(&gateway, Verb::Publish, &pipeline).await?;
    let state = of_pipeline(&gateway, &pipeline, &id).await?;
    if matches!(state.status().as_str(), "Publishing" | "Published") {
        return Ok(Json(view::document(&state)));
    }
    let resend = body.is_some_and(|Json(publish)| publish.resend);
    let event = Event::Unparked {
        by: caller.0.name,
        resend,
    };
    decide(&gateway, &pipeline, &id, event).await
}

fn parse<T>(body: Body<T>) -> Result<T, Problem> {
    body.map(|Json(body)| body)
        .map_err(|rejection| Problem::invalid("body", rejection.body_text()))
}

async fn decide(gateway: &Gateway, pipeline: &str, id: &str, event: Event) -> Answer {
    let state = of_pipeline(gateway, pipeline, id).await?;
    let compiled = gateway
        .pipeline(pipeline)
        .ok_or_else(|| Problem::no_pipeline(pipeline))?;
    let view = compiled.view_of(&state);
    let after = gateway
        .store
        .apply(id, event, &view, &Fence::Open, now_ms())
        .await?;
    Ok(Json(view::document(&after)))
}

fn replace(current: &Document, parts: Vec<EditedPart>) -> Result<Document, Problem> {
    let mut edited = current.parts().to_vec();
    for (index, part) in parts.into_iter().enumerate() {
        let at = edited
            .iter_mut()
            .find(|known| known.name.as_str() == part.name);
        let Some(known) = at else {
            let names: Vec<_> = current.parts().iter().map(|p| p.name.as_str()).collect();
            let why = format!(
                "there is no part `{}`; there are {}",
                part.name,
                names.join(", ")
            );
            return Err(Problem::invalid(format!("parts[{index}].name"), why));
        };
        if part.kind.is_some_and(|kind| kind != known.kind) {
            let why = format!(
                "part `{}` is {}: leave its kind out",
                part.name,
                known.kind.as_str()
            );
            return Err(Problem::invalid(format!("parts[{index}].kind"), why));
        }
        known.text = part.text;
    }
    Document::new(edited).map_err(|error| Problem::invalid("parts", error.to_string()))
}
