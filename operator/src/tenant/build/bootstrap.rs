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
    tenant::build::meta,
};

/// Bytes that surely fit into a ConfigMap, whose limit is a mebibyte.
const LIMIT: usize = 900_000;

/// Data planes take whatever the operator says for newer.
const SEQUENCE: u64 = 1;

/// `None` leaves what was written before.
pub fn config_map(
    namespace: &str,
    owners: &[OwnerReference],
    offered: &Snapshot,
) -> Option<ConfigMap> {
    Some(ConfigMap {
        metadata: meta(namespace, BOOTSTRAP, Component::Tenant, owners),
        data: Some([(SNAPSHOT.to_owned(), text(offered)?)].into()),
        ..ConfigMap::default()
    })
}

/// What does not fit is cut down to what sidecars need, the models; a namespace too large for that
/// starts with the operator.
fn text(offered: &Snapshot) -> Option<String> {
    let print = |items: Vec<Value>| {
        let file = json!({"sequence": SEQUENCE, "items": items});
        String::from_utf8(canonical::to_vec(&file).ok()?)
            .ok()
            .filter(|text| text.len() <= LIMIT)
    };
    print(offered.items.iter().filter_map(file).collect()).or_else(|| {
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
