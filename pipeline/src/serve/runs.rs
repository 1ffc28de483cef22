//! Runs become documents: all of a run's items at once, each accepted once.

use std::time::Duration;

use aios_proto::config::RunConfig;
use serde_json::{Map, Value};

use super::{deadline, gateway::Gateway};
use crate::{
    clock::now_ms,
    compiled::{Pipeline, lookup, scalar},
    machine::{Event, RefuseReason, RunItem},
    store::{Accept, Fence, Idempotency, Records, RunRow, StoreError, Subject},
};

/// While another gateway of the namespace has newer configuration.
const BEHIND: Duration = Duration::from_secs(2);

/// Accepts what is new, and refuses what is left of runs that are gone or past their deadline. Returns
/// the time until it is to be called again, whatever else happens.
///
/// # Errors
/// When the store fails.
pub async fn reconcile(gateway: &Gateway) -> Result<Option<Duration>, StoreError> {
    let configuration = gateway.enforced.load();
    // A run that is not in older configuration may be new, and not deleted.
    if gateway.store.snapshot_sequence().await? > configuration.sequence {
        return Ok(Some(BEHIND));
    }
    for run in configuration.runs.values() {
        let known = gateway.store.run(&run.uid).await?;
        let accepted = known.as_ref().is_some_and(|row| row.accepted);
        if accepted {
            if known.is_some_and(|row| row.suspended != run.suspend) {
                note(gateway, run, true, String::new()).await?;
            }
            continue;
        }
        match accept(gateway, run).await {
            Ok(()) => {}
            Err(Refusal::Run(why)) => {
                if known.is_none_or(|row| row.error != why) {
                    note(gateway, run, false, why).await?;
                }
            }
            Err(Refusal::Store(error)) => return Err(error),
        }
    }
    for uid in gateway.store.open_runs().await? {
        if !configuration.runs.contains_key(&uid) {
            abandon(gateway, &uid).await?;
        }
    }
    deadline::hold(gateway, now_ms()).await
}

/// Why a run is not accepted.
enum Refusal {
    Run(String),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn note(
    gateway: &Gateway,
    run: &RunConfig,
    accepted: bool,
    error: String,
) -> Result<(), StoreError> {
    let row = row(run, accepted, error);
    gateway.store.put_run(&row, now_ms()).await
}

fn row(run: &RunConfig, accepted: bool, error: String) -> RunRow {
    RunRow {
        uid: run.uid.clone(),
        name: run.name.clone(),
        pipeline: run.pipeline.clone(),
        accepted,
        suspended: run.suspend,
        error,
    }
}

async fn accept(gateway: &Gateway, run: &RunConfig) -> Result<(), Refusal> {
    let pipeline = gateway
        .pipeline(&run.pipeline)
        .ok_or_else(|| Refusal::Run(format!("pipeline `{}` is not in force", run.pipeline)))?;
    let is_late = deadline::is_past(run, now_ms());
    if !is_late && let Some(quota) = pipeline.documents_per_day {
        fits(gateway, run, quota).await?;
    }
    let pointers = pointers(gateway, run, &pipeline).await?;
    if pointers.is_empty() {
        return Err(Refusal::Run("the run has no items".to_owned()));
    }
    if is_late {
        let why = "the run or its records came after its deadline";
        return Err(Refusal::Run(why.to_owned()));
    }
    let records = Records {
        pipeline: &run.pipeline,
        contexts: &pipeline.config.context,
    };
    for identifiers in pipeline.policies.identifiers() {
        gateway.store.identify(records, &identifiers).await?;
    }
    let creator = run
        .author
        .clone()
        .unwrap_or_else(|| format!("run:{}", run.name));
    let budget = run.budget.as_ref().map(|budget| budget.unit().to_string());
    let accepts = pointers.into_iter().map(|(item, pointer)| Accept {
        id: uuid::Uuid::now_v7().to_string(),
        pipeline: run.pipeline.clone(),
        creator: creator.clone(),
        run: Some(RunItem {
            name: run.name.clone(),
            uid: run.uid.clone(),
            item: item.clone(),
            budget: budget.clone(),
        }),
        subject: None,
        idempotency: Idempotency::Item {
            run_uid: run.uid.clone(),
            item,
        },
        pointer,
        quota: pipeline.documents_per_day,
    });
    let row = row(run, true, String::new());
    let store = &gateway.store;
    match store.accept_run(&row, accepts.collect(), now_ms()).await {
        // Tried again as time goes on: a run is accepted whole or not at all.
        Err(error @ StoreError::Quota { .. }) => Err(Refusal::Run(error.to_string())),
        accepted => accepted.map_err(Refusal::Store),
    }
}

/// Whether the day has room for the run, without reading its records: a run that waits for another day is
/// looked at often.
async fn fits(gateway: &Gateway, run: &RunConfig, quota: u64) -> Result<(), Refusal> {
    let store = &gateway.store;
    let items = match (&run.input.pointers, &run.input.upload) {
        (Some(pointers), _) => pointers.len() as u64,
        (None, Some(upload)) => store.count_records(&run.pipeline, &upload.context).await?,
        (None, None) => 0,
    };
    let pipeline = run.pipeline.clone();
    if items > quota {
        let why = format!(
            "the run has {items} items, and pipeline `{pipeline}` accepts {quota} documents a day \
             (spec.quotas of its policies): no day has room for them"
        );
        return Err(Refusal::Run(why));
    }
    if store.accepted_today(&pipeline, now_ms()).await? + items > quota {
        let why = StoreError::Quota { pipeline, quota };
        return Err(Refusal::Run(why.to_string()));
    }
    Ok(())
}

type Pointer = Map<String, Value>;

async fn pointers(
    gateway: &Gateway,
    run: &RunConfig,
    pipeline: &Pipeline,
) -> Result<Vec<(String, Pointer)>, Refusal> {
    if let Some(pointers) = &run.input.pointers {
        return Ok(pointers
            .iter()
            .enumerate()
            .map(|(n, p)| (n.to_string(), p.clone()))
            .collect());
    }
    let Some(upload) = &run.input.upload else {
        return Err(Refusal::Run(
            "input names neither pointers nor an upload".to_owned(),
        ));
    };
    let Some(source) = pipeline
        .config
        .context
        .iter()
        .find(|c| c.name == upload.context)
    else {
        let why = format!(
            "pipeline `{}` has no context `{}`",
            run.pipeline, upload.context
        );
        return Err(Refusal::Run(why));
    };
    let records = gateway
        .store
        .records(&run.pipeline, &upload.context)
        .await?;
    if records.is_empty() {
        let why = format!(
            "no records were uploaded for context `{}`: PUT /v1/pipelines/{}/context/{}",
            upload.context, run.pipeline, upload.context
        );
        return Err(Refusal::Run(why));
    }
    let keyed = records.into_iter().filter_map(|record| {
        let key = record.get(&source.upload.key)?.clone();
        let item = scalar(&key)?;
        Some((item, Map::from_iter([(source.upload.pointer.clone(), key)])))
    });
    Ok(keyed.collect())
}

/// Refuses the items of a deleted run that no worker wrote.
async fn abandon(gateway: &Gateway, uid: &str) -> Result<(), StoreError> {
    let detail = "the run was deleted before the document was written";
    for id in gateway.store.worker_items(uid).await? {
        refuse(gateway, &id, &Fence::Open, RefuseReason::RunDeleted, detail).await?;
    }
    Ok(())
}

/// Refuses an item that is not to be written any more, once its pipeline is in force. One that went
/// on meanwhile, here or through another gateway, is left alone.
pub(super) async fn refuse(
    gateway: &Gateway,
    id: &str,
    fence: &Fence,
    reason: RefuseReason,
    detail: &str,
) -> Result<(), StoreError> {
    let state = gateway.store.document(id).await?;
    let Some(pipeline) = gateway.pipeline(&state.pipeline) else {
        return Ok(());
    };
    let view = pipeline.view_of(&state);
    let event = Event::Refused {
        reason,
        detail: detail.to_owned(),
    };
    let now = now_ms();
    match gateway
        .store
        .apply(id, event.clone(), &view, fence, now)
        .await
    {
        Ok(after) => gateway.metrics().applied(&event, after.status()),
        Err(StoreError::Fenced | StoreError::Machine(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The person that a record of `context` is about, if the pipeline says how to tell.
pub fn record_subject(
    gateway: &Gateway,
    pipeline: &Pipeline,
    context: &str,
    record: &Map<String, Value>,
) -> Option<Subject> {
    let path = pipeline.config.subject_variable.as_ref()?;
    let field = path.strip_prefix(context)?.strip_prefix('.')?;
    let id = lookup(&Value::Object(record.clone()), field).and_then(scalar)?;
    Some(gateway.store.vault().person(&id))
}
