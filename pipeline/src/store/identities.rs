//! Whose values stand in a text: keyed hashes of what tells people apart in a pipeline's records, made
//! when a rule first asks for them, gone with the records.

use std::collections::BTreeMap;

use aios_crds::writing_pipeline::ContextSource;
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
use crate::compiled::scalar;

/// Values of one look-up.
const LOOKED_UP: usize = 1024;

/// Who a record is about; what a pointer says of it where nothing else does.
pub type Owner = [u8; 32];

/// The records of a pipeline, and by which fields of a pointer its documents reach them.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub pipeline: &'a str,
    pub contexts: &'a [ContextSource],
}

impl Records<'_> {
    /// Field and value of the pointers that lead to a record.
    fn pointer(&self, context: &str, record: &Map<String, Value>) -> Option<(&str, String)> {
        let mut sources = self.contexts.iter();
        let source = &sources.find(|source| source.name == context)?.upload;
        let key = record.get(&source.key).and_then(scalar)?;
        Some((&source.pointer, key))
    }

    /// Values that were taken while records were reached otherwise are other values.
    fn paths(&self) -> String {
        let paths = self.contexts.iter().map(|ContextSource { name, upload }| {
            let (pointer, key) = (&upload.pointer, &upload.key);
            format!("{name} {pointer} {key}\n")
        });
        paths.collect()
    }
}

impl Store {
    /// Owners of what the records behind a pointer hold, by its fields.
    pub fn owners(
        &self,
        pipeline: &str,
        person: Option<Subject>,
        pointer: &[(&str, String)],
    ) -> Vec<Owner> {
        let fields = pointer.iter();
        let pointed = fields.map(|(field, key)| self.pointed(pipeline, field, key));
        pointed.chain(person.map(|person| person.0)).collect()
    }

    /// Those of the values that belong to exactly one owner, who is none of `own`.
    pub async fn others(
        &self,
        records: Records<'_>,
        own: &[Owner],
        asked: &Asked,
    ) -> Result<Asked, StoreError> {
        let mut session = self.database.read().await?;
        let mut theirs = Asked::new();
        let paths = records.paths();
        for (id, values) in asked {
            let hashed: BTreeMap<Vec<u8>, &String> = values
                .iter()
                .map(|value| (self.identity(id, &paths, value).to_vec(), value))
                .collect();
            let hashes: Vec<_> = hashed.keys().collect();
            for some in hashes.chunks(LOOKED_UP) {
                let some: Vec<u8> = some.iter().copied().flatten().copied().collect();
                for (hash, owner) in single(&mut session, records.pipeline, some).await? {
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
    /// Records of several contexts to which one pointer leads are one owner's: of the person that one of
    /// them is about, if any.
    pub async fn identify(
        &self,
        records: Records<'_>,
        identifiers: &Identifiers,
    ) -> Result<(), StoreError> {
        let (pipeline, paths) = (records.pipeline, records.paths());
        let rule = self.vault.hash("identified", &[identifiers.id(), &paths]);
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
        let mut found = Vec::with_capacity(rows.len());
        let mut people: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for row in &rows {
            let (context, about): (String, _) = (row.get(0)?, subject(row, 1)?);
            let key: Vec<u8> = row.get(2)?;
            let Some(sealing) = keys::find(&mut write, &self.vault, about).await? else {
                continue;
            };
            let plain = sealing.open(&record_place(&key), &row.get::<Vec<u8>>(3)?)?;
            let record: Map<String, Value> = serde_json::from_slice(&plain)?;
            let pointer = records.pointer(&context, &record);
            let pointed = pointer.map(|(field, key)| self.pointed(pipeline, field, &key).to_vec());
            let owner = pointed.unwrap_or(key);
            if about != self.vault.impersonal(pipeline, &context) {
                people.insert(owner.clone(), about.0.to_vec());
            }
            let values = identifiers.values(&json!({context: record})).into_iter();
            let values = values.map(|value| self.identity(identifiers.id(), &paths, &value));
            found.push((owner, values.collect::<Vec<_>>()));
        }
        for (owner, values) in found {
            let owner = people.get(&owner).cloned().unwrap_or(owner);
            for value in values {
                query(
                    "INSERT INTO identities (pipeline, value, owner) VALUES ($1, $2, $3)
                     ON CONFLICT (pipeline, value, owner) DO NOTHING",
                )
                .bind(pipeline)
                .bind(value)
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

    fn identity(&self, id: &str, paths: &str, value: &str) -> [u8; 32] {
        self.vault.hash("identity", &[id, paths, value])
    }

    fn pointed(&self, pipeline: &str, field: &str, key: &str) -> Owner {
        self.vault.hash("pointed", &[pipeline, field, key])
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
