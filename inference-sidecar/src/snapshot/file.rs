//! A snapshot as a JSON file: the mounted bootstrap and the cache between restarts. Bodies stand as
//! objects; their canonical form gives back the bytes that the digest is of.

use std::{fs, io, path::Path};

use aios_proto::{
    canonical,
    control::{Item, ItemKind, Snapshot},
};
use serde::{Deserialize, Serialize};

/// Why a file is left aside.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("is no snapshot: {0}")]
    Parse(#[from] serde_json::Error),
}

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
    body: serde_json::Value,
}

/// Reads a snapshot; none when there is no file.
///
/// # Errors
/// When the file cannot be read or is no snapshot.
pub fn read(path: &Path) -> Result<Option<Snapshot>, FileError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let file: SnapshotFile = serde_json::from_slice(&text)?;
    let items = file
        .items
        .into_iter()
        .map(to_item)
        .collect::<Result<_, _>>()?;
    Ok(Some(Snapshot {
        sequence: file.sequence,
        items,
    }))
}

/// Writes a snapshot so that a crash leaves the old file or the new one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<(), FileError> {
    let items = snapshot
        .items
        .iter()
        .map(from_item)
        .collect::<Result<_, _>>()?;
    let file = SnapshotFile {
        sequence: snapshot.sequence,
        items,
    };
    let partial = path.with_extension("partial");
    fs::write(&partial, serde_json::to_vec(&file)?)?;
    Ok(fs::rename(&partial, path)?)
}

fn to_item(file: ItemFile) -> Result<Item, FileError> {
    Ok(Item {
        kind: ItemKind::from_str_name(&file.kind)
            .unwrap_or(ItemKind::Unspecified)
            .into(),
        name: file.name,
        owner_uid: file.owner_uid,
        generation: file.generation,
        format: file.format,
        digest: file.digest,
        body: canonical::to_vec(&file.body)?,
    })
}

fn from_item(item: &Item) -> Result<ItemFile, FileError> {
    Ok(ItemFile {
        kind: item.kind().as_str_name().to_owned(),
        name: item.name.clone(),
        owner_uid: item.owner_uid.clone(),
        generation: item.generation,
        format: item.format,
        digest: item.digest.clone(),
        body: serde_json::from_slice(&item.body)?,
    })
}
