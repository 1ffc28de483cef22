//! Leaving without a failed request: clients are told to go before connections are closed.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Version, header::CONNECTION},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tokio_util::sync::CancellationToken;

/// From the shutdown on, answers over HTTP/1.1 end their connection, so that the next request opens
/// one elsewhere. HTTP/2 has its own way, which hyper takes.
pub fn announced(app: Router, shutdown: CancellationToken) -> Router {
    app.layer(from_fn_with_state(shutdown, close))
}

async fn close(
    State(shutdown): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if shutdown.is_cancelled() && version < Version::HTTP_2 {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
