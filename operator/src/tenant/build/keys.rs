//! A tenant's keys: made once, immutable, and retained unless every pipeline says `Delete`.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference,
};

use crate::{
    names::{Component, TENANT_KEYS},
    tenant::build::meta,
};

/// Owners and labels. Without data, so that applying it can never touch a key.
pub fn metadata(namespace: &str, owners: &[OwnerReference]) -> Secret {
    Secret {
        metadata: meta(namespace, TENANT_KEYS, Component::Tenant, owners),
        ..Secret::default()
    }
}

/// The Secret with fresh keys: `kek`, 32 bytes; `signing.key`, a 32-byte Ed25519 seed.
pub fn fresh(namespace: &str) -> Result<Secret, &'static str> {
    Ok(Secret {
        type_: Some("Opaque".into()),
        immutable: Some(true),
        data: Some(
            [
                ("kek".to_owned(), random()?),
                ("signing.key".to_owned(), random()?),
            ]
            .into(),
        ),
        ..metadata(namespace, &[])
    })
}

fn random() -> Result<ByteString, &'static str> {
    let mut bytes = vec![0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the system has no randomness to give")?;
    Ok(ByteString(bytes))
}
