//! Signing secrets: read from Kubernetes when they are needed, never kept in configuration.

use std::{collections::BTreeMap, time::Duration};

use aios_crds::reference::KeyRef;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use moka::future::Cache;

/// Why a secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("Secret `{0}` has no key `{1}`")]
    Missing(String, String),
    #[error("Secret `{0}` cannot be read: {1}")]
    Unavailable(String, String),
    #[error("Secret `{0}`, key `{1}`: write `whsec_` and base64 of 24 to 64 bytes")]
    Malformed(String, String),
}

/// Where secrets come from.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The bytes under a key.
    async fn get(&self, reference: &KeyRef) -> Result<Vec<u8>, SecretError>;
}

/// Secrets of the namespace, cached shortly so that a rotation is seen soon.
pub struct KubeSecrets {
    api: Api<Secret>,
    cache: Cache<(String, String), Vec<u8>>,
}

impl KubeSecrets {
    /// Reads Secrets of one namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        let cache = Cache::builder()
            .max_capacity(256)
            .time_to_live(Duration::from_secs(30))
            .build();
        Self {
            api: Api::namespaced(client, namespace),
            cache,
        }
    }
}

#[async_trait]
impl Secrets for KubeSecrets {
    async fn get(&self, reference: &KeyRef) -> Result<Vec<u8>, SecretError> {
        let KeyRef { name, key } = reference;
        let at = (name.clone(), key.clone());
        if let Some(bytes) = self.cache.get(&at).await {
            return Ok(bytes);
        }
        let secret = self
            .api
            .get(name)
            .await
            .map_err(|error| SecretError::Unavailable(name.clone(), error.to_string()))?;
        let bytes = secret
            .data
            .and_then(|mut data| data.remove(key))
            .ok_or_else(|| SecretError::Missing(name.clone(), key.clone()))?
            .0;
        self.cache.insert(at, bytes.clone()).await;
        Ok(bytes)
    }
}

/// Secrets given once: without a cluster, as in tests.
#[derive(Clone, Debug, Default)]
pub struct FixedSecrets(pub BTreeMap<(String, String), Vec<u8>>);

#[async_trait]
impl Secrets for FixedSecrets {
    async fn get(&self, reference: &KeyRef) -> Result<Vec<u8>, SecretError> {
        let KeyRef { name, key } = reference;
        self.0
            .get(&(name.clone(), key.clone()))
            .cloned()
            .ok_or_else(|| SecretError::Missing(name.clone(), key.clone()))
    }
}
