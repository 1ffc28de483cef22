//! What became of published documents outside, as a business's systems report and sign it: each event once, and a
//! leaf of the document's that proves it.

use aios_audit::{Happened, Kind, SignedEvent};
use serde_json::json;

use super::{
    database::{Session, query},
    error::StoreError,
    exposures, keys,
    leaves::Line,
    open::Store,
    rows,
};
use crate::machine::{Entry, MachineError, Status};

/// An event whose signature was verified, as a click or a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name of the reporter whose key signed it.
    pub reporter: String,
    /// Who handed it in.
    pub by: String,
    pub happened: Happened,
    pub event: SignedEvent,
}

impl Store {
    /// Records an event; false for a repeat.
    ///
    /// # Errors
    /// When the document is not published or was erased, or the id was used for another event of it.
    pub async fn record_outcome(&self, outcome: &Outcome, now_ms: u64) -> Result<bool, StoreError> {
        let Outcome {
            reporter,
            by,
            happened,
            event,
        } = outcome;
        let document = &happened.document;
        let mut write = self.database.write().await?;
        let loaded = rows::load(&mut write, &self.vault, document).await?;
        let hash = self.vault.hash("outcome", &[document, reporter, &event.id]);
        if let Some(same) = known(&mut write, &hash, happened).await? {
            return if same {
                Ok(false)
            } else {
                Err(StoreError::EventReused)
            };
        }
        let status = loaded.state.status();
        if status != Status::Published {
            let event = "outcomes";
            return Err(MachineError::WrongPhase { event, status }.into());
        }
        query(
            "INSERT INTO outcomes (event, document, name, value, time_ms)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(document)
        .bind(&happened.name)
        .bind(happened.value.map(u64::from))
        .bind(now_ms)
        .execute(&mut write)
        .await?;
        let variants = exposures::of_document(&mut write, document).await?;
        let key = keys::ensure(&mut write, &self.vault, loaded.subject).await?;
        let line = Line {
            pipeline: &loaded.state.pipeline,
            document,
            subject: loaded.subject,
            key: &key,
            seq: loaded.seq,
            time_ms: now_ms,
        };
        let payload = json!({"reporter": reporter, "by": by, "variants": variants, "event": event});
        let kind = Kind::Outcome;
        self.write_leaves(&mut write, &line, vec![Entry::Fact { kind, payload }])
            .await?;
        query("UPDATE documents SET seq = seq + 1 WHERE id = $1")
            .bind(document)
            .execute(&mut write)
            .await?;
        self.commit_and_tell(write).await?;
        Ok(true)
    }
}

/// Whether an event of that id is there, and the same.
async fn known(
    write: &mut Session,
    hash: &[u8; 32],
    happened: &Happened,
) -> Result<Option<bool>, StoreError> {
    let row = query("SELECT name, value FROM outcomes WHERE event = $1")
        .bind(*hash)
        .optional(write)
        .await?;
    let same = |row: super::database::Row| {
        let name: String = row.get(0)?;
        let value = row.maybe_number(1)?;
        Ok(name == happened.name && value == happened.value.map(u64::from))
    };
    row.map(same).transpose()
}
