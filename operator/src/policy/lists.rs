//! The only reads: ConfigMaps that rules keep their lists in.

use std::collections::BTreeMap;

use aios_compile::{Resolved, references};
use aios_crds::policy_set::Rule;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::{apply::Applier, error::Result};

/// The ConfigMaps that the rules name, as far as they are there.
pub async fn found(rules: &[Rule], namespace: &str, applier: &Applier) -> Result<Resolved> {
    let mut config_maps = BTreeMap::new();
    for name in references::of_rules(rules).config_maps {
        if let Some(map) = applier.get::<ConfigMap>(namespace, &name).await? {
            config_maps.insert(name, map.data.unwrap_or_default());
        }
    }
    Ok(Resolved { config_maps })
}
