//! The mounted snapshot: a JSON file that the operator writes, so that a worker starts also while the
//! operator is away. Bodies stand as objects; their canonical form gives back the digested bytes.

use std::{fs, io, path::Path};

use aios_proto::{
    canonical,
    control::{Item, ItemKind, Snapshot},
};
use serde::Deserialize;

/// Why the file is left aside.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no snapshot: {0}")]
    Parse(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotFile {
    sequence: u64,
    items: Vec<ItemFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFile {
    /// As in `ITEM_KIND_PIPELINE`.
    kind: String,
    name: String,
    #[serde(default)]
    owner_uid: String,
    #[serde(default)]
    generation: i64,
    format: u32,
    digest: String,
    body: serde_json::Value,
}

/// Reads a snapshot; none when there is no file.
pub fn read(path: &Path) -> Result<Option<Snapshot>, BootstrapError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let file: SnapshotFile = serde_json::from_slice(&text)?;
    let items = file.items.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok(Some(Snapshot {
        sequence: file.sequence,
        items,
    }))
}

fn item(file: ItemFile) -> Result<Item, BootstrapError> {
    let kind = ItemKind::from_str_name(&file.kind).unwrap_or(ItemKind::Unspecified);
    Ok(Item {
        kind: kind.into(),
        name: file.name,
        owner_uid: file.owner_uid,
        generation: file.generation,
        format: file.format,
        digest: file.digest,
        body: canonical::to_vec(&file.body)?,
    })
}
