//! The only reads: ConfigMaps that rules keep their lists in.

use aios_compile::{Resolved, references};
use aios_crds::policy_set::Rule;

use crate::{apply::Applier, error::Result};

/// The ConfigMaps that the rules name, as far as they are there.
pub async fn found(rules: &[Rule], namespace: &str, applier: &Applier) -> Result<Resolved> {
    let names = references::of_rules(rules).config_maps;
    let config_maps = applier.config_maps(namespace, &names).await?;
    Ok(Resolved {
        config_maps,
        ..Resolved::default()
    })
}
