//! The configuration that data planes start with while the operator is away: the last complete
//! snapshot, as JSON with the bodies as objects.

use aios_proto::{
    canonical,
    control::{Item, ItemKind, Snapshot},
};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};
use serde_json::{Value, json};

use crate::{
    names::{BOOTSTRAP, Component},
    pods::SNAPSHOT,
    tenant::{build::meta, fetch::Found},
};

/// Bytes that surely fit into a ConfigMap, whose limit is a mebibyte.
const LIMIT: usize = 900_000;

/// `None` leaves what was written before: nothing incomplete is ever written.
pub fn config_map(namespace: &str, owners: &[OwnerReference], found: &Found) -> Option<ConfigMap> {
    let offered = found.offered.as_ref()?;
    let live = found
        .bootstrap
        .as_ref()
        .and_then(|map| map.data.as_ref()?.get(SNAPSHOT));
    let text = text(offered, live)?;
    Some(ConfigMap {
        metadata: meta(namespace, BOOTSTRAP, Component::Tenant, owners),
        data: Some([(SNAPSHOT.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}

/// A new sequence with the same items is no reason to write. What does not fit is cut down to
/// what sidecars need, the models; a namespace too large for that starts with the operator.
fn text(offered: &Snapshot, live: Option<&String>) -> Option<String> {
    let all: Vec<Value> = offered.items.iter().filter_map(file).collect();
    let written: Option<Value> = live.and_then(|text| serde_json::from_str(text).ok());
    if let (Some(live), Some(written)) = (live, written)
        && written.get("items").and_then(Value::as_array) == Some(&all)
    {
        return Some(live.clone());
    }
    let print = |items: Vec<Value>| {
        let file = json!({"sequence": offered.sequence, "items": items});
        String::from_utf8(canonical::to_vec(&file).ok()?)
            .ok()
            .filter(|text| text.len() <= LIMIT)
    };
    print(all).or_else(|| {
        let models = offered
            .items
            .iter()
            .filter(|item| item.kind() == ItemKind::Model);
        print(models.filter_map(file).collect())
    })
}

fn file(item: &Item) -> Option<Value> {
    let body: Value = serde_json::from_slice(&item.body).ok()?;
    Some(json!({
        "kind": item.kind().as_str_name(),
        "name": item.name,
        "ownerUid": item.owner_uid,
        "generation": item.generation,
        "format": item.format,
        "digest": item.digest,
        "body": body,
    }))
}
