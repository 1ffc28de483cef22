//! How many documents a pipeline accepts in a day: counted in the transaction that accepts, so that no
//! two gateways and no crash let one too many in.

use super::{
    database::{Session, query},
    error::StoreError,
    open::Store,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Documents that the pipeline accepted in the present day.
    pub async fn accepted_today(&self, pipeline: &str, now_ms: u64) -> Result<u64, StoreError> {
        let mut session = self.database.read().await?;
        let row = query("SELECT accepted FROM accepted_days WHERE pipeline = $1 AND day = $2")
            .bind(pipeline)
            .bind(now_ms / DAY_MS)
            .optional(&mut session)
            .await?;
        row.map_or(Ok(0), |row| row.number(0))
    }
}

/// Counts one document more.
///
/// # Errors
/// `Quota` where that is one too many: whoever drops the transaction has accepted nothing.
pub async fn count(
    write: &mut Session,
    pipeline: &str,
    quota: Option<u64>,
    now_ms: u64,
) -> Result<(), StoreError> {
    let day = now_ms / DAY_MS;
    let row = query(
        "INSERT INTO accepted_days (pipeline, day, accepted) VALUES ($1, $2, 1)
         ON CONFLICT (pipeline, day) DO UPDATE SET accepted = accepted_days.accepted + 1
         RETURNING accepted",
    )
    .bind(pipeline)
    .bind(day)
    .one(write)
    .await?;
    let accepted = row.number(0)?;
    if accepted == 1 {
        query("DELETE FROM accepted_days WHERE pipeline = $1 AND day < $2")
            .bind(pipeline)
            .bind(day)
            .execute(write)
            .await?;
    }
    match quota {
        Some(quota) if accepted > quota => Err(StoreError::Quota {
            pipeline: pipeline.to_owned(),
            quota,
        }),
        _ => Ok(()),
    }
}
