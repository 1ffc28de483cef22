//! The last configuration in force, so that a restart serves while the operator is away.

use sqlx::Row;

use super::{error::StoreError, open::Store};

impl Store {
    /// Keeps it.
    pub async fn put_snapshot(&self, body: Vec<u8>) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("INSERT OR REPLACE INTO snapshot (id, body) VALUES (1, ?)")
            .bind(body)
            .execute(&mut *writer)
            .await?;
        Ok(())
    }

    /// The one that was kept.
    pub async fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT body FROM snapshot WHERE id = 1")
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }
}
