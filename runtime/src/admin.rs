//! `/healthz`, `/readyz` and `/metrics` of every process.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use prometheus_client::{encoding::text::encode, registry::Registry};

/// Whether the process serves, and why not.
#[derive(Clone)]
pub struct Health(Arc<RwLock<Result<(), String>>>);

/// What the admin endpoints show.
#[derive(Clone)]
pub struct Admin {
    pub health: Health,
    pub registry: Arc<Registry>,
}

/// The endpoints, for a plaintext port inside the pod's network.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Err("starting".to_owned()))))
    }
}

impl Health {
    /// Sets readiness; `why` is shown while not ready.
    pub fn set_ready(&self, ready: bool, why: &str) {
        let state = if ready { Ok(()) } else { Err(why.to_owned()) };
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *current != state {
            tracing::info!(ready, why, "readiness");
            *current = state;
        }
    }

    /// Why the process is not ready, if it is not.
    pub fn not_ready(&self) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .err()
            .cloned()
    }
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.health.not_ready() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(
                "content-type",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
