//! Whose values stand in a text: keyed hashes of what tells people apart in a pipeline's records, made
//! when a rule first asks for them, gone with the records.

use std::collections::BTreeMap;

use aios_policy::{Asked, Identifiers};
use serde_json::{Map, Value, json};

use super::{
    contexts::record_place,
    database::{Session, query},
    error::StoreError,
    keys,
    open::Store,
    rows::subject,
    vault::Subject,
};

/// Values of one look-up.
const LOOKED_UP: usize = 1024;

/// Who a record is about; the record itself where nothing says so.
pub type Owner = [u8; 32];

impl Store {
    /// Owners of what the records behind a pointer hold.
    pub fn owners(
        &self,
        pipeline: &str,
        person: Option<Subject>,
        records: &[(&str, String)],
    ) -> Vec<Owner> {
        let keys = records
            .iter()
            .map(|(context, key)| self.vault.hash("record", &[pipeline, context, key]));
        keys.chain(person.map(|person| person.0)).collect()
    }

    /// Those of the values that belong to exactly one owner, who is none of `own`.
    pub async fn others(
        &self,
        pipeline: &str,
        own: &[Owner],
        asked: &Asked,
    ) -> Result<Asked, StoreError> {
        let mut session = self.database.read().await?;
        let mut theirs = Asked::new();
        for (id, values) in asked {
            let hashed: BTreeMap<Vec<u8>, &String> = values
                .iter()
                .map(|value| (self.identity(id, value).to_vec(), value))
                .collect();
            let hashes: Vec<_> = hashed.keys().collect();
            for some in hashes.chunks(LOOKED_UP) {
                let some: Vec<u8> = some.iter().copied().flatten().copied().collect();
                for (hash, owner) in single(&mut session, pipeline, some).await? {
                    if let Some(value) = hashed.get(&hash)
                        && !own.iter().any(|one| one.as_slice() == owner)
                    {
                        let of_rule = theirs.entry(id.clone()).or_default();
                        of_rule.insert((*value).clone());
                    }
                }
            }
        }
        Ok(theirs)
    }

    /// Makes the values of the pipeline's records known to `others`, once for as long as those stand.
    pub async fn identify(
        &self,
        pipeline: &str,
        identifiers: &Identifiers,
    ) -> Result<(), StoreError> {
        let rule = self.vault.hash("identified", &[identifiers.id()]);
        if is_identified(&mut self.database.read().await?, pipeline, rule).await? {
            return Ok(());
        }
        let mut write = self.database.write().await?;
        if is_identified(&mut write, pipeline, rule).await? {
            return Ok(());
        }
        let rows = query("SELECT name, subject, key, record FROM contexts WHERE pipeline = $1")
            .bind(pipeline)
            .all(&mut write)
            .await?;
        for row in &rows {
            let (context, about): (String, _) = (row.get(0)?, subject(row, 1)?);
            let key: Vec<u8> = row.get(2)?;
            let Some(sealing) = keys::find(&mut write, &self.vault, about).await? else {
                continue;
            };
            let plain = sealing.open(&record_place(&key), &row.get::<Vec<u8>>(3)?)?;
            let record: Map<String, Value> = serde_json::from_slice(&plain)?;
            let personal = about != self.vault.impersonal(pipeline, &context);
            let owner = if personal { about.0.to_vec() } else { key };
            for value in identifiers.values(&json!({context: record})) {
                query(
                    "INSERT INTO identities (pipeline, value, owner) VALUES ($1, $2, $3)
                     ON CONFLICT (pipeline, value, owner) DO NOTHING",
                )
                .bind(pipeline)
                .bind(self.identity(identifiers.id(), &value))
                .bind(owner.clone())
                .execute(&mut write)
                .await?;
            }
        }
        query("INSERT INTO identified (pipeline, rule) VALUES ($1, $2)")
            .bind(pipeline)
            .bind(rule)
            .execute(&mut write)
            .await?;
        write.commit().await
    }

    fn identity(&self, id: &str, value: &str) -> [u8; 32] {
        self.vault.hash("identity", &[id, value])
    }
}

/// The pipeline's records change: values are to be taken anew.
pub async fn forget(write: &mut Session, pipeline: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM identities WHERE pipeline = $1",
        "DELETE FROM identified WHERE pipeline = $1",
    ] {
        query(sql).bind(pipeline).execute(write).await?;
    }
    Ok(())
}

/// The person is erased: what was theirs is nobody's.
pub async fn erase(write: &mut Session, person: Subject) -> Result<(), StoreError> {
    query("DELETE FROM identities WHERE owner = $1")
        .bind(person.0)
        .execute(write)
        .await?;
    Ok(())
}

async fn is_identified(
    session: &mut Session,
    pipeline: &str,
    rule: [u8; 32],
) -> Result<bool, StoreError> {
    let row = query("SELECT 1 FROM identified WHERE pipeline = $1 AND rule = $2")
        .bind(pipeline)
        .bind(rule)
        .optional(session)
        .await?;
    Ok(row.is_some())
}

/// Values of one owner, with that owner, among hashes of 32 bytes that stand one behind the other: one
/// query for all of them, and each asks the index for its first and its last owner only.
async fn single(
    session: &mut Session,
    pipeline: &str,
    hashes: Vec<u8>,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let rows = query(
        "WITH RECURSIVE asked (place, value) AS (
           SELECT 1, substr($2, 1, 32)
           UNION ALL
           SELECT place + 32, substr($2, place + 32, 32) FROM asked
           WHERE place + 32 <= length($2)
         ), owned (value, first, last) AS (
           SELECT value,
             (SELECT owner FROM identities WHERE pipeline = $1 AND identities.value = asked.value
              ORDER BY owner LIMIT 1),
             (SELECT owner FROM identities WHERE pipeline = $1 AND identities.value = asked.value
              ORDER BY owner DESC LIMIT 1)
           FROM asked
         )
         SELECT value, first FROM owned WHERE first = last",
    )
    .bind(pipeline)
    .bind(hashes)
    .all(session)
    .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}
