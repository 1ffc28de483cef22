//! What every room of the gateway shares.

use std::sync::Arc;

use super::{auth::Authorizer, metrics::Metrics};
use crate::{
    calls::CallLog, clock::now_ms, compiled::Pipeline, draft::Egress, enforced::Enforced,
    fault::Faults, publish::Connector, store::Store,
};

/// The gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

/// What a gateway is made of.
pub struct GatewayParts {
    pub namespace: String,
    pub store: Store,
    pub enforced: Arc<Enforced>,
    pub egress: Egress,
    pub connector: Connector,
    pub authorizer: Arc<dyn Authorizer>,
    pub faults: Faults,
}

struct Inner {
    parts: GatewayParts,
    metrics: Metrics,
}

impl Gateway {
    pub fn new(parts: GatewayParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            metrics: Metrics::default(),
        }))
    }

    /// A pipeline that is in force.
    pub fn pipeline(&self, name: &str) -> Option<Arc<Pipeline>> {
        self.enforced.load().pipelines.get(name).cloned()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl CallLog for Gateway {
    async fn record(&self, batches: Vec<Vec<u8>>) -> Result<(), String> {
        let recorded = self.store.record_calls(&batches, now_ms()).await;
        recorded.map_err(|error| error.to_string())
    }
}

impl std::ops::Deref for Gateway {
    type Target = GatewayParts;

    fn deref(&self) -> &GatewayParts {
        &self.0.parts
    }
}
