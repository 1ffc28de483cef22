//! A snapshot as JSON: the mounted bootstrap and the sidecars' cache between restarts. Bodies stand
//! as objects; their canonical form gives back the bytes that the digest is of.

use serde::{Deserialize, Serialize};

use crate::{
    canonical,
    control::{Item, ItemKind, Snapshot},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotFile {
    sequence: u64,
    items: Vec<ItemFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFile {
    /// As in `ITEM_KIND_MODEL`.
    kind: String,
    name: String,
    #[serde(default)]
    owner_uid: String,
    #[serde(default)]
    generation: i64,
    format: u32,
    digest: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    engine: String,
    body: serde_json::Value,
}

/// Reads the file's text.
///
/// # Errors
/// When the text is no snapshot.
pub fn decode(text: &[u8]) -> Result<Snapshot, serde_json::Error> {
    let file: SnapshotFile = serde_json::from_slice(text)?;
    let items = file
        .items
        .into_iter()
        .map(to_item)
        .collect::<Result<_, _>>()?;
    Ok(Snapshot {
        sequence: file.sequence,
        items,
    })
}

/// The file's text.
///
/// # Errors
/// When a body is no JSON.
pub fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, serde_json::Error> {
    let items = snapshot
        .items
        .iter()
        .map(from_item)
        .collect::<Result<_, _>>()?;
    serde_json::to_vec(&SnapshotFile {
        sequence: snapshot.sequence,
        items,
    })
}

fn to_item(file: ItemFile) -> Result<Item, serde_json::Error> {
    let kind = ItemKind::from_str_name(&file.kind).unwrap_or(ItemKind::Unspecified);
    Ok(Item {
        kind: kind.into(),
        name: file.name,
        owner_uid: file.owner_uid,
        generation: file.generation,
        format: file.format,
        digest: file.digest,
        engine: file.engine,
        body: canonical::to_vec(&file.body)?.into(),
    })
}

fn from_item(item: &Item) -> Result<ItemFile, serde_json::Error> {
    Ok(ItemFile {
        kind: item.kind().as_str_name().to_owned(),
        name: item.name.clone(),
        owner_uid: item.owner_uid.clone(),
        generation: item.generation,
        format: item.format,
        digest: item.digest.clone(),
        engine: item.engine.clone(),
        body: serde_json::from_slice(&item.body)?,
    })
}
