//! The last configuration in force, so that a restart serves while the operator is away.

use super::{database::query, error::StoreError, open::Store};

impl Store {
    /// Keeps it, unless a later one is kept. Gives the sequence of the one that is kept now.
    pub async fn put_snapshot(&self, sequence: u64, body: Vec<u8>) -> Result<u64, StoreError> {
        let mut write = self.database.write().await?;
        query(
            "INSERT INTO snapshot (id, sequence, body) VALUES (1, $1, $2)
             ON CONFLICT (id) DO UPDATE SET sequence = $1, body = $2
             WHERE snapshot.sequence <= $1",
        )
        .bind(sequence)
        .bind(body)
        .execute(&mut write)
        .await?;
        let kept = query("SELECT sequence FROM snapshot WHERE id = 1")
            .one(&mut write)
            .await?
            .number(0)?;
        write.commit().await?;
        Ok(kept)
    }

    /// The sequence of the one that is kept, of whichever gateway.
    pub async fn snapshot_sequence(&self) -> Result<u64, StoreError> {
        let mut session = self.database.read().await?;
        let row = query("SELECT sequence FROM snapshot WHERE id = 1")
            .optional(&mut session)
            .await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    /// The one that was kept.
    pub async fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut session = self.database.read().await?;
        let row = query("SELECT body FROM snapshot WHERE id = 1")
            .optional(&mut session)
            .await?;
        row.map(|row| row.get(0)).transpose()
    }
}
