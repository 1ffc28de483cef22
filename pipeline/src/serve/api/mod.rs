//! The intents API: create, preview, approve, publish, audit, and their reads.

mod audit;
mod caller;
mod context;
mod documents;
mod experiments;
mod preview;
mod replay;
mod reviews;
mod view;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post, put},
};

use super::gateway::Gateway;

/// Largest upload: some hundred thousand records.
const LARGEST_BODY: usize = 64 << 20;

/// The API.
pub fn router(gateway: Gateway) -> Router {
    let pipeline = Router::new()
        .route("/context/{name}", put(context::upload))
        .route("/documents", post(documents::create).get(documents::list))
        .route("/preview", post(preview::preview))
        .route("/replay", post(replay::replay))
        .route("/documents/{id}", get(documents::read))
        .route("/documents/{id}/approve", post(reviews::approve))
        .route("/documents/{id}/reject", post(reviews::reject))
        .route("/documents/{id}/edit", post(reviews::edit))
        .route("/documents/{id}/publish", post(reviews::publish))
        .route("/documents/{id}/outcomes", post(experiments::report))
        .route("/experiments", get(experiments::variants))
        .route("/reviews", get(reviews::list))
        .route("/stats", get(documents::stats));
    Router::new()
        .nest("/v1/pipelines/{pipeline}", pipeline)
        .route("/v1/audit/checkpoint", get(audit::checkpoint))
        .route("/v1/audit/bundle", get(audit::bundle))
        .route("/v1/subjects/{id}", delete(audit::erase))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(gateway)
}
