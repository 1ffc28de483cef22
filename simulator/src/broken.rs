//! Bodies that break the connection on purpose.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};

/// A body whose bytes are on the wire before its error breaks the connection: the server flushes
/// only when a body has nothing ready, and drops what it has not flushed.
pub fn breaking_body<S>(frames: S) -> Body
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    Body::from_stream(frames.then(async |frame| {
        if frame.is_err() {
            tokio::task::yield_now().await;
        }
        frame
    }))
}

/// The error that ends such a body.
pub fn cut() -> io::Error {
    io::Error::other("injected fault: cut")
}
