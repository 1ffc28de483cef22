//! What another policy would say of documents as they stand: judged and told, never stored.

use std::{collections::BTreeSet, sync::Arc};

use aios_policy::{Collected, CompiledPolicy, PolicyStack, Verdict};
use aios_proto::config::PolicyConfig;
use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::Caller;
use crate::{
    draft::{Batch, judge},
    machine::verdict_rules,
    serve::{auth::Verb, gateway::Gateway, problem::Problem},
    store::StoreError,
};

/// Documents of one answer.
const MOST: u32 = 100;

/// Body of a replay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Takes the place of the policy of its name, or comes after the pipeline's others.
    policy: PolicyConfig,
    /// Id of the document after which to go on.
    after: Option<String>,
}

/// `POST /v1/pipelines/{pipeline}/replay`: the documents of which the verdict would be another.
pub async fn replay(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    body: Result<Json<Replay>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::List, &pipeline).await?;
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let Json(body) = body.map_err(|rejection| Problem::invalid("body", rejection.body_text()))?;
    let policies = &compiled.policies;
    let others = policies.with(Arc::new(read(&body.policy)?));
    let store = &gateway.store;
    let after = body.after.as_deref();
    let listed = store.list(&pipeline, None, None, after, MOST).await?;
    let next = (listed.len() == MOST as usize).then(|| listed.last().map(|last| last.id.clone()));
    let (mut judged, mut changes) = (0_u32, Vec::new());
    for document in listed {
        let state = match store.document(&document.id).await {
            Ok(state) => state,
            // Gone meanwhile, or erased: nothing can be said of it.
            Err(StoreError::NoDocument(_) | StoreError::Erased(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let skeleton = compiled.skeleton_of(&state);
        let (Some(version), Some(material), Some(skeleton)) =
            (&state.version, &state.material, skeleton)
        else {
            continue;
        };
        let evidence: Collected = state.evidence.iter().cloned().collect();
        let mut batch = Batch::new(store, &compiled, &pipeline, &material.variables);
        let mut said = async |stack: &PolicyStack| {
            let (batch, document) = (Some(&mut batch), &version.document);
            judge(stack, batch, material, skeleton, document, &evidence).await
        };
        let before = said(policies).await?;
        let after = said(&others).await?;
        judged += 1;
        changes.extend(change(&state.id, &before.verdict, &after.verdict));
    }
    Ok(Json(
        json!({"judged": judged, "changes": changes, "next": next.flatten()}),
    ))
}

/// A policy that is being tried counts as enforced: that is the question.
fn read(policy: &PolicyConfig) -> Result<CompiledPolicy, Problem> {
    CompiledPolicy::compile(&policy.qualified_name(), &policy.rules, &policy.review).map_err(
        |mistakes| {
            let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Problem::invalid("policy", lines.join("; "))
        },
    )
}

/// What differs, without a word of the document.
fn change(id: &str, before: &Verdict, after: &Verdict) -> Option<Value> {
    let rules = |verdict: &Verdict| verdict_rules(verdict).into_iter().collect::<BTreeSet<_>>();
    let (old, new) = (rules(before), rules(after));
    let is_same = before.action == after.action && old == new;
    (!is_same).then(|| {
        json!({
            "id": id,
            "before": before.action,
            "after": after.action,
            "fire": new.difference(&old).collect::<Vec<_>>(),
            "rest": old.difference(&new).collect::<Vec<_>>(),
        })
    })
}
