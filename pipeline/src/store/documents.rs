//! Documents: accepted once, changed only by events of the machine, each with its leaves.

use super::{
    database::{Session, query},
    error::StoreError,
    exposures::{self, Seen},
    fired,
    idempotency::{self, Idempotency},
    keys,
    leaves::Line,
    open::Store,
    quotas,
    rows::{self, Lane, Loaded, state_place},
    stats,
    vault::Subject,
};
use crate::machine::{self, Applied, Entry, Event, PipelineView, RunItem, State};
use aios_audit::Kind;
use serde_json::{Map, Value, json};

/// A new document.
#[derive(Clone, Debug)]
pub struct Accept {
    pub id: String,
    pub pipeline: String,
    pub creator: String,
    pub run: Option<RunItem>,
    pub pointer: Map<String, Value>,
    /// The person it is about, if the pointer leads to them already.
    pub subject: Option<Subject>,
    pub idempotency: Idempotency,
    /// Documents that the pipeline accepts in a day.
    pub quota: Option<u64>,
}

/// Who may change the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A person's decision: the machine alone says whether it applies.
    Open,
    /// The holder of a lease, as long as nobody took it over.
    Lease { owner: String, token: u64 },
}

/// A document in a list; nothing personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub pipeline: String,
    pub run: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub origin: Option<String>,
    pub language: Option<String>,
    pub created_ms: u64,
    pub updated_ms: u64,
}

impl Store {
    /// Accepts a document, or finds the one that this intent led to before. The flag says whether
    /// it is new.
    pub async fn accept(&self, accept: Accept, now_ms: u64) -> Result<(String, bool), StoreError> {
        let mut write = self.database.write().await?;
        let (id, new) = self.accept_in(&mut write, accept, now_ms).await?;
        if new {
            self.commit_and_tell(write).await?;
        }
        Ok((id, new))
    }

    pub(super) async fn accept_in(
        &self,
        write: &mut Session,
        accept: Accept,
        now_ms: u64,
    ) -> Result<(String, bool), StoreError> {
        let Accept {
            id,
            pipeline,
            creator,
            run,
            pointer,
            subject,
            idempotency,
            quota,
        } = accept;
        let key = idempotency.hash(&self.vault, &pipeline);
        let request = self
            .vault
            .hash("idempotency/request", &[&serde_json::to_string(&pointer)?]);
        if let Some(first) = idempotency::find(write, &key, &request).await? {
            return Ok((first, false));
        }
        quotas::count(write, &pipeline, quota, now_ms).await?;
        idempotency::remember(write, &key, &request, &id).await?;
        let subject = subject.unwrap_or_else(|| self.vault.nobody(&id));
        let payload = json!({"pipeline": pipeline, "creator": creator, "pointer": pointer,
            "run": run});
        let state = State::accepted(id.clone(), pipeline, creator, run, pointer, now_ms);
        query(
            "INSERT INTO documents (id, pipeline, run_uid, run, item, subject, status, creator, seq,
             created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, 'Accepted', $7, 0, $8, $8)",
        )
        .bind(&id)
        .bind(&state.pipeline)
        .bind(state.run.as_ref().map(|run| run.uid.as_str()))
        .bind(state.run.as_ref().map(|run| run.name.as_str()))
        .bind(state.run.as_ref().map(|run| run.item.as_str()))
        .bind(subject.0)
        .bind(&state.creator)
        .bind(now_ms)
        .execute(write)
        .await?;
        let entries = vec![Entry::Fact {
            kind: Kind::Accepted,
            payload,
        }];
        self.save(write, &state, subject, 0, entries, now_ms)
            .await?;
        Ok((id, true))
    }

    /// Reads one document.
    pub async fn document(&self, id: &str) -> Result<State, StoreError> {
        let mut session = self.database.read().await?;
        Ok(rows::load(&mut session, &self.vault, id).await?.state)
    }

    /// Times that the gateway tried the present step in vain.
    pub async fn attempts(&self, id: &str) -> Result<u32, StoreError> {
        let mut session = self.database.read().await?;
        Ok(rows::load(&mut session, &self.vault, id).await?.attempts)
    }

    /// Applies an event: state, leaves and step times in one transaction.
    pub async fn apply(
        &self,
        id: &str,
        event: Event,
        view: &PipelineView,
        fence: &Fence,
        now_ms: u64,
    ) -> Result<State, StoreError> {
        let mut write = self.database.write().await?;
        let loaded = rows::load(&mut write, &self.vault, id).await?;
        hold(&loaded, fence)?;
        let Loaded {
            state: before,
            subject,
            seq,
            ..
        } = loaded;
        let measured = stats::measure(&before, &event, now_ms);
        let counts = fired::counts(&event);
        let seen = Seen::of(&before, &event);
        let Applied { state, entries } = machine::apply(before, event, view, now_ms)?;
        self.save(&mut write, &state, subject, seq, entries, now_ms)
            .await?;
        stats::record(&mut write, &state, measured, now_ms).await?;
        fired::record(&mut write, counts).await?;
        exposures::note(&mut write, &state, seen, now_ms).await?;
        if !state.for_worker() {
            release(&mut write, id).await?;
        }
        self.commit_and_tell(write).await?;
        Ok(state)
    }

    /// Names the person a document is about, once that is known: from here on its content is sealed
    /// under their key.
    pub async fn assign(&self, id: &str, subject: Subject, now_ms: u64) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        let loaded = rows::load(&mut write, &self.vault, id).await?;
        if loaded.subject != subject {
            query("UPDATE documents SET subject = $1 WHERE id = $2")
                .bind(subject.0)
                .bind(id)
                .execute(&mut write)
                .await?;
            self.save(
                &mut write,
                &loaded.state,
                subject,
                loaded.seq,
                Vec::new(),
                now_ms,
            )
            .await?;
        }
        write.commit().await
    }

    async fn save(
        &self,
        write: &mut Session,
        state: &State,
        subject: Subject,
        seq: u64,
        entries: Vec<Entry>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let key = keys::ensure(write, &self.vault, subject).await?;
        let about = Line {
            pipeline: &state.pipeline,
            document: &state.id,
            subject,
            key: &key,
            seq,
            time_ms: now_ms,
        };
        let leaves = self.write_leaves(write, &about, entries).await?;
        let (lane, wake) = Lane::of(state, now_ms);
        let language = state
            .material
            .as_ref()
            .map(|material| material.language.as_str());
        query(
            "UPDATE documents SET state = $1, status = $2, reason = $3, origin = $4, language = $5,
             seq = $6, lane = $7, wake_ms = $8, attempts = 0, updated_ms = $9 WHERE id = $10",
        )
        .bind(key.seal(&state_place(&state.id), &serde_json::to_vec(state)?)?)
        .bind(state.status().as_str())
        .bind(state.reason())
        .bind(state.origin().map(machine::Origin::as_str))
        .bind(language)
        .bind(seq + leaves)
        .bind(lane.map(Lane::as_str))
        .bind(wake)
        .bind(now_ms)
        .bind(&state.id)
        .execute(write)
        .await?;
        Ok(())
    }

    /// Documents of a pipeline, newest last; `status` and `run` narrow down.
    pub async fn list(
        &self,
        pipeline: &str,
        status: Option<&str>,
        run: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT id, pipeline, run, status, reason, origin, language, created_ms, updated_ms
             FROM documents WHERE pipeline = $1 AND ($2 IS NULL OR status = $2)
             AND ($3 IS NULL OR run = $3) AND ($4 IS NULL OR id > $4) ORDER BY id LIMIT $5",
        )
        .bind(pipeline)
        .bind(status)
        .bind(run)
        .bind(after)
        .bind(limit)
        .all(&mut session)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Listed {
                    id: row.get(0)?,
                    pipeline: row.get(1)?,
                    run: row.get(2)?,
                    status: row.get(3)?,
                    reason: row.get(4)?,
                    origin: row.get(5)?,
                    language: row.get(6)?,
                    created_ms: row.number(7)?,
                    updated_ms: row.number(8)?,
                })
            })
            .collect()
    }
}

fn hold(loaded: &Loaded, fence: &Fence) -> Result<(), StoreError> {
    match fence {
        Fence::Open => Ok(()),
        Fence::Lease { owner, token }
            if loaded.fencing == *token && loaded.lease_owner.as_deref() == Some(owner) =>
        {
            Ok(())
        }
        Fence::Lease { .. } => Err(StoreError::Fenced),
    }
}

/// Ends a worker's lease; the gateway's own ends with its loop.
async fn release(write: &mut Session, id: &str) -> Result<(), StoreError> {
    query(
        "UPDATE documents SET lease_owner = NULL, lease_until_ms = 0
         WHERE id = $1 AND lease_owner LIKE 'worker:%'",
    )
    .bind(id)
    .execute(write)
    .await?;
    Ok(())
}
