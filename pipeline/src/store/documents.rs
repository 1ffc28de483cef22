//! Documents: accepted once, changed only by events of the machine, each with its leaves.

use aios_audit::Kind;
use serde_json::{Map, Value, json};
use sqlx::{Connection, Row, SqliteConnection};

use super::{
    error::StoreError,
    idempotency::{self, Idempotency},
    keys,
    leaves::Line,
    open::Store,
    rows::{self, Lane, Loaded, signed, state_place, unsigned},
    stats,
    vault::Subject,
};
use crate::machine::{self, Applied, Entry, Event, PipelineView, RunItem, State};

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
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        let (id, hashes) = self.accept_in(&mut tx, accept, now_ms).await?;
        tx.commit().await?;
        let new = !hashes.is_empty();
        self.grow(&hashes);
        Ok((id, new))
    }

    /// As `accept`, many in one transaction: all or none.
    pub async fn accept_all(&self, all: Vec<Accept>, now_ms: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        let mut hashes = Vec::new();
        for accept in all {
            hashes.extend(self.accept_in(&mut tx, accept, now_ms).await?.1);
        }
        tx.commit().await?;
        self.grow(&hashes);
        Ok(())
    }

    async fn accept_in(
        &self,
        tx: &mut SqliteConnection,
        accept: Accept,
        now_ms: u64,
    ) -> Result<(String, Vec<aios_audit::Hash>), StoreError> {
        let Accept {
            id,
            pipeline,
            creator,
            run,
            pointer,
            subject,
            idempotency,
        } = accept;
        let key = idempotency.hash(&self.vault, &pipeline);
        let request = self
            .vault
            .hash("idempotency/request", &[&serde_json::to_string(&pointer)?]);
        if let Some(first) = idempotency::find(tx, &key, &request).await? {
            return Ok((first, Vec::new()));
        }
        idempotency::remember(tx, &key, &request, &id).await?;
        let subject = subject.unwrap_or_else(|| self.vault.nobody(&id));
        let payload = json!({"pipeline": pipeline, "creator": creator, "pointer": pointer,
            "run": run});
        let state = State::accepted(id.clone(), pipeline, creator, run, pointer, now_ms);
        sqlx::query(
            "INSERT INTO documents (id, pipeline, run_uid, run, item, subject, status, creator, seq,
             created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, 'Accepted', ?, 0, ?, ?)",
        )
        .bind(id.clone())
        .bind(state.pipeline.clone())
        .bind(state.run.as_ref().map(|run| run.uid.clone()))
        .bind(state.run.as_ref().map(|run| run.name.clone()))
        .bind(state.run.as_ref().map(|run| run.item.clone()))
        .bind(subject.0.to_vec())
        .bind(state.creator.clone())
        .bind(signed(now_ms))
        .bind(signed(now_ms))
        .execute(&mut *tx)
        .await?;
        let entries = vec![Entry::Fact {
            kind: Kind::Accepted,
            payload,
        }];
        let hashes = self.save(tx, &state, subject, 0, entries, now_ms).await?;
        Ok((id, hashes))
    }

    /// Reads one document.
    pub async fn document(&self, id: &str) -> Result<State, StoreError> {
        let mut connection = self.reader.acquire().await?;
        Ok(rows::load(&mut connection, &self.vault, id).await?.state)
    }

    /// Times that the gateway tried the present step in vain.
    pub async fn attempts(&self, id: &str) -> Result<u32, StoreError> {
        let mut connection = self.reader.acquire().await?;
        Ok(rows::load(&mut connection, &self.vault, id).await?.attempts)
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
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        let loaded = rows::load(&mut tx, &self.vault, id).await?;
        hold(&loaded, fence)?;
        let Loaded {
            state: before,
            subject,
            seq,
            ..
        } = loaded;
        let measured = stats::measure(&before, &event, now_ms);
        let Applied { state, entries } = machine::apply(before, event, view, now_ms)?;
        let hashes = self
            .save(&mut tx, &state, subject, seq, entries, now_ms)
            .await?;
        stats::record(&mut tx, &state, measured, now_ms).await?;
        if !state.for_worker() {
            release(&mut tx, id).await?;
        }
        tx.commit().await?;
        self.grow(&hashes);
        Ok(state)
    }

    /// Names the person a document is about, once that is known: from here on its content is sealed
    /// under their key.
    pub async fn assign(&self, id: &str, subject: Subject, now_ms: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        let loaded = rows::load(&mut tx, &self.vault, id).await?;
        if loaded.subject != subject {
            sqlx::query("UPDATE documents SET subject = ? WHERE id = ?")
                .bind(subject.0.to_vec())
                .bind(id.to_owned())
                .execute(&mut *tx)
                .await?;
            self.save(
                &mut tx,
                &loaded.state,
                subject,
                loaded.seq,
                Vec::new(),
                now_ms,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn save(
        &self,
        tx: &mut SqliteConnection,
        state: &State,
        subject: Subject,
        seq: u64,
        entries: Vec<Entry>,
        now_ms: u64,
    ) -> Result<Vec<aios_audit::Hash>, StoreError> {
        let key = keys::ensure(tx, &self.vault, subject).await?;
        let about = Line {
            pipeline: &state.pipeline,
            document: &state.id,
            subject,
            key: &key,
            seq,
            time_ms: now_ms,
        };
        let hashes = self.write_leaves(tx, &about, entries).await?;
        let (lane, wake) = Lane::of(state, now_ms);
        let language = state
            .material
            .as_ref()
            .map(|material| material.language.clone());
        sqlx::query(
            "UPDATE documents SET state = ?, status = ?, reason = ?, origin = ?, language = ?,
             seq = ?, lane = ?, wake_ms = ?, attempts = 0, updated_ms = ? WHERE id = ?",
        )
        .bind(key.seal(&state_place(&state.id), &serde_json::to_vec(state)?)?)
        .bind(state.status().as_str())
        .bind(state.reason())
        .bind(state.origin().map(machine::Origin::as_str))
        .bind(language)
        .bind(signed(seq + hashes.len() as u64))
        .bind(lane.map(Lane::as_str))
        .bind(wake.map(signed))
        .bind(signed(now_ms))
        .bind(state.id.clone())
        .execute(tx)
        .await?;
        Ok(hashes)
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
        let rows = sqlx::query(
            "SELECT id, pipeline, run, status, reason, origin, language, created_ms, updated_ms
             FROM documents WHERE pipeline = ?1 AND (?2 IS NULL OR status = ?2)
             AND (?3 IS NULL OR run = ?3) AND (?4 IS NULL OR id > ?4) ORDER BY id LIMIT ?5",
        )
        .bind(pipeline.to_owned())
        .bind(status.map(str::to_owned))
        .bind(run.map(str::to_owned))
        .bind(after.map(str::to_owned))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Listed {
                    id: row.try_get(0)?,
                    pipeline: row.try_get(1)?,
                    run: row.try_get(2)?,
                    status: row.try_get(3)?,
                    reason: row.try_get(4)?,
                    origin: row.try_get(5)?,
                    language: row.try_get(6)?,
                    created_ms: unsigned(row, 7)?,
                    updated_ms: unsigned(row, 8)?,
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
async fn release(tx: &mut SqliteConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE documents SET lease_owner = NULL, lease_until_ms = 0
         WHERE id = ? AND lease_owner LIKE 'worker:%'",
    )
    .bind(id.to_owned())
    .execute(tx)
    .await?;
    Ok(())
}
