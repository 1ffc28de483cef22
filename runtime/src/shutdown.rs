//! One token that ends every loop of the process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled on SIGTERM or SIGINT. Needs a Tokio runtime.
pub fn shutdown() -> CancellationToken {
    let token = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let token = token.clone();
        match signal(kind) {
            Ok(mut stream) => {
                tokio::spawn(async move {
                    stream.recv().await;
                    tracing::info!("shutting down");
                    token.cancel();
                });
            }
            Err(error) => tracing::warn!(%error, "no handler for a signal"),
        }
    }
    token
}
