//! What a tenant's pods trust, and the certificate they show each other.

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use crate::{
    ca::{CA_CRT, Issued},
    names::{CA, Component},
    tenant::build::meta,
};

pub fn config_map(namespace: &str, owners: &[OwnerReference], ca: &str) -> ConfigMap {
    ConfigMap {
        metadata: meta(namespace, CA, Component::Tenant, owners),
        data: Some([(CA_CRT.to_owned(), ca.to_owned())].into()),
        ..ConfigMap::default()
    }
}

/// A certificate and its key, as Kubernetes keeps them.
pub fn tls_secret(metadata: ObjectMeta, issued: &Issued) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata,
        type_: Some("kubernetes.io/tls".into()),
        data: Some(
            [
                ("tls.crt".to_owned(), bytes(&issued.certificate)),
                ("tls.key".to_owned(), bytes(&issued.key)),
            ]
            .into(),
        ),
        ..Secret::default()
    }
}
