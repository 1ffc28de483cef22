use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Settings;
use super::delivery::{Counts, Delivery, Outcome, Post, Received};
use super::faults::{Fault, Faults, Mode};
use super::signature::{Refusal, Secret, verify};
use super::store::Store;
use crate::SimulatorError;

const BODY_LIMIT: usize = 16 << 20;

struct Receiver {
    secrets: Vec<Secret>,
    tolerance: u64,
    /// Held while a line is written, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    store: Store,
    faults: Faults,
}

/// Fails if the journal cannot be read.
pub fn router(settings: &Settings) -> Result<Router, SimulatorError> {
    let store = match &settings.data {
        Some(path) => Store::open(path).map_err(|error| SimulatorError::File {
            path: path.clone(),
            error,
        })?,
        None => Store::default(),
    };
    let receiver = Receiver {
        secrets: settings.secrets.clone(),
        tolerance: settings.tolerance_seconds,
        inner: Mutex::new(Inner {
            store,
            faults: Faults::default(),
        }),
    };
    Ok(Router::new()
        .route("/deliveries", post(deliver).get(list))
        .route("/deliveries/{*id}", post(deliver).get(read_back))
        .route("/counts", get(counts))
        .route(
            "/faults",
            post(add_fault).get(list_faults).delete(clear_faults),
        )
        .route("/health", get(async || "ok\n"))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Arc::new(receiver)))
}

/// What the sender learns about its delivery.
#[derive(Serialize)]
struct Receipt<'a> {
    id: &'a str,
    digest: &'a str,
    duplicate: bool,
}

async fn deliver(
    State(desk): State<Arc<Receiver>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = since_epoch();
    let verified = verify(
        &desk.secrets,
        desk.tolerance,
        now.as_secs(),
        &headers,
        &body,
    );
    let id = match verified {
        Ok(id) => id.to_owned(),
        Err(refusal) => return desk.reject(refusal),
    };
    let received = read_post(id, &uri, &headers, &body, now);
    let (result, fault) = desk.record(&received);
    let outcome = match result {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return problem(StatusCode::INTERNAL_SERVER_ERROR, "injected fault"),
        Err(error) => {
            tracing::error!(%error, "cannot write the journal");
            return problem(StatusCode::INSUFFICIENT_STORAGE, "cannot write the journal");
        }
    };
    match fault {
        Some(Fault {
            mode: Mode::DropResponse,
            ..
        }) => return broken(),
        Some(Fault {
            mode: Mode::Delay,
            delay_ms,
            ..
        }) => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        _ => {}
    }
    let receipt = |duplicate| Receipt {
        id: &received.id,
        digest: &received.digest,
        duplicate,
    };
    match outcome {
        Outcome::New => (StatusCode::CREATED, Json(receipt(false))).into_response(),
        Outcome::Duplicate => Json(receipt(true)).into_response(),
        Outcome::Conflict => problem(
            StatusCode::CONFLICT,
            "this webhook-id was delivered with another body",
        ),
    }
}

impl Receiver {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reject(&self, refusal: Refusal) -> Response {
        if let Err(error) = self.lock().store.record(Post::Rejected) {
            tracing::error!(%error, "cannot write the journal");
        }
        let status = if refusal.is_authentication() {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        problem(status, &refusal.to_string())
    }

    /// Records the POST unless a fault forbids it; then there is no outcome.
    fn record(&self, received: &Received) -> (io::Result<Option<Outcome>>, Option<Fault>) {
        let mut inner = self.lock();
        let fault = inner.faults.take_post(&received.id, &received.body);
        let post = match &fault {
            Some(fault) if fault.mode == Mode::Error500 => Post::Failed,
            _ => Post::Received(received.clone()),
        };
        (inner.store.record(post), fault)
    }
}

async fn read_back(State(receiver): State<Arc<Receiver>>, Path(id): Path<String>) -> Response {
    let mut inner = receiver.lock();
    if inner.faults.take_read_back(&id) {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "injected fault");
    }
    match inner.store.get(&id) {
        Some(delivery) => Json(delivery).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no delivery with this webhook-id"),
    }
}

async fn list(State(receiver): State<Arc<Receiver>>) -> Json<Vec<Delivery>> {
    Json(receiver.lock().store.deliveries().to_vec())
}

async fn counts(State(receiver): State<Arc<Receiver>>) -> Json<Counts> {
    Json(receiver.lock().store.counts())
}

async fn add_fault(State(receiver): State<Arc<Receiver>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Fault>(&body) {
        Ok(fault) => {
            receiver.lock().faults.add(fault);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, &format!("not a fault: {error}")),
    }
}

async fn list_faults(State(receiver): State<Arc<Receiver>>) -> Json<Vec<Fault>> {
    Json(receiver.lock().faults.active().to_vec())
}

async fn clear_faults(State(receiver): State<Arc<Receiver>>) -> StatusCode {
    receiver.lock().faults.clear();
    StatusCode::NO_CONTENT
}

fn read_post(id: String, uri: &Uri, headers: &HeaderMap, body: &[u8], now: Duration) -> Received {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    Received {
        id,
        digest: format!("sha256:{}", hex::encode(Sha256::digest(body))),
        path: uri.path().to_owned(),
        content_type: content_type.map(str::to_owned),
        body: String::from_utf8_lossy(body).into_owned(),
        time_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    }
}

/// A body that fails at its first poll: over HTTP/1.1 not even the status line is flushed. HTTP/2 may
/// have sent the head by then, so the status is one that no sender takes for success.
fn broken() -> Response {
    let nothing = futures::stream::once(async { Err::<Bytes, _>(io::Error::other("dropped")) });
    (StatusCode::GATEWAY_TIMEOUT, Body::from_stream(nothing)).into_response()
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
