use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::Settings;
use super::range::{Wanted, wanted};
use crate::SimulatorError;
use crate::broken::{breaking_body, cut};

const CHUNK: usize = 256 << 10;

struct Store {
    root: PathBuf,
    bearer_token: Option<String>,
    cut_after: Option<u64>,
    cuts_left: AtomicU64,
}

/// Fails if the directory cannot be read.
pub fn router(settings: &Settings) -> Result<Router, SimulatorError> {
    let root = settings
        .dir
        .canonicalize()
        .map_err(|error| SimulatorError::File {
            path: settings.dir.clone(),
            error,
        })?;
    let store = Store {
        root,
        bearer_token: settings.bearer_token.clone(),
        cut_after: settings.cut_after,
        cuts_left: AtomicU64::new(settings.cut_times),
    };
    Ok(Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/{*path}", get(file))
        .with_state(Arc::new(store)))
}

/// GET and HEAD (axum drops the body of a HEAD, so that lengths stay right).
async fn file(
    State(store): State<Arc<Store>>,
    UrlPath(path): UrlPath<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if !store.allows(&headers) {
        return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
    }
    match store.respond(&path, &method, &headers).await {
        Ok(response) => response,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "no such file\n").into_response()
        }
        Err(error) => {
            tracing::warn!(path, %error, "cannot serve");
            (StatusCode::INTERNAL_SERVER_ERROR, "cannot read the file\n").into_response()
        }
    }
}

impl Store {
    fn allows(&self, headers: &HeaderMap) -> bool {
        let sent = text(headers, header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
        self.bearer_token
            .as_deref()
            .is_none_or(|token| sent == Some(token))
    }

    async fn respond(
        &self,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> io::Result<Response> {
        let path = inside(&self.root, path).await?;
        let mut file = File::open(&path).await?;
        let meta = file.metadata().await?;
        let size = meta.len();
        let modified = meta
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let etag = format!("\"{size:x}-{:x}\"", modified.as_nanos());
        let builder = Response::builder()
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ETAG, &etag);

        // A range of a file that changed meanwhile would be glued to foreign bytes.
        let same = text(headers, header::IF_RANGE).is_none_or(|known| known == etag);
        let range = text(headers, header::RANGE).filter(|_| same);
        let (builder, start, length) = match wanted(range, size) {
            Wanted::Whole => (builder.status(StatusCode::OK), 0, size),
            Wanted::Part { start, length } => {
                let content_range = format!("bytes {start}-{}/{size}", start + length - 1);
                let builder = builder
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(header::CONTENT_RANGE, content_range);
                (builder, start, length)
            }
            Wanted::Unsatisfiable => {
                return builder
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, format!("bytes */{size}"))
                    .body(Body::empty())
                    .map_err(io::Error::other);
            }
        };
        let builder = builder.header(header::CONTENT_LENGTH, length);
        if method == Method::HEAD {
            return builder.body(Body::empty()).map_err(io::Error::other);
        }
        file.seek(SeekFrom::Start(start)).await?;
        builder
            .body(self.body(file, length))
            .map_err(io::Error::other)
    }

    fn body(&self, file: File, length: u64) -> Body {
        match self.cut_after.filter(|after| *after < length) {
            Some(after) if self.take_cut() => {
                let bytes = ReaderStream::with_capacity(file.take(after), CHUNK);
                let broken = futures::stream::once(async { Err(cut()) });
                breaking_body(bytes.chain(broken))
            }
            _ => Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK)),
        }
    }

    fn take_cut(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.cuts_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// The real path of a regular file below `root`; anything else does not exist.
async fn inside(root: &Path, path: &str) -> io::Result<PathBuf> {
    let real = tokio::fs::canonicalize(root.join(path))
        .await
        .map_err(|_| missing())?;
    if !real.starts_with(root) || !tokio::fs::metadata(&real).await?.is_file() {
        return Err(missing());
    }
    Ok(real)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
