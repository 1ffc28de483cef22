//! Leaving without a failed request: clients are told to go before connections are closed.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Version, header::CONNECTION},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a gateway that leaves goes on answering.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// At least; zero for one that others wait for.
    pub least: Duration,
    /// Then on, until no request came for so long: Services lead elsewhere for everybody.
    pub quiet: Duration,
    /// But no longer than this: routes of a busy control plane are seconds late, never minutes.
    pub late: Duration,
}

impl Patience {
    pub const fn of(least: Duration) -> Self {
        Self {
            least,
            quiet: Duration::from_secs(2),
            late: Duration::from_secs(20),
        }
    }
}

/// Requests that still come after the shutdown began.
#[derive(Clone, Debug)]
pub struct Drain {
    shutdown: CancellationToken,
    asked: watch::Sender<()>,
}

impl Drain {
    pub fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            asked: watch::Sender::new(()),
        }
    }

    /// From the shutdown on, answers over HTTP/1.1 end their connection, so that the next request
    /// opens one elsewhere. HTTP/2 has its own way, which hyper takes.
    pub fn announced(&self, app: Router) -> Router {
        app.layer(from_fn_with_state(self.clone(), close))
    }

    /// Waits until nobody asks any more.
    pub async fn emptied(&self, patience: Patience) {
        if patience.least.is_zero() {
            return;
        }
        sleep(patience.least).await;
        let mut asked = self.asked.subscribe();
        let quiet =
            async { while let Ok(Ok(())) = timeout(patience.quiet, asked.changed()).await {} };
        if timeout(patience.late, quiet).await.is_err() {
            tracing::warn!("requests still come: they are refused from now on");
        }
    }
}

async fn close(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    let leaves = || drain.shutdown.is_cancelled();
    if leaves() {
        drain.asked.send_replace(());
    }
    let version = request.version();
    let mut response = next.run(request).await;
    if leaves() && version < Version::HTTP_2 {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use tower::ServiceExt;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);
    const NEVER: Duration = Duration::from_hours(1);

    fn served() -> (Drain, Router, CancellationToken) {
        let shutdown = CancellationToken::new();
        let drain = Drain::new(shutdown.clone());
        let app = drain.announced(Router::new().route("/", get(|| async { "here" })));
        (drain, app, shutdown)
    }

    async fn asked(app: &Router) -> Response {
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn connections_are_ended_from_the_shutdown_on() {
        let (_, app, shutdown) = served();
        assert!(!asked(&app).await.headers().contains_key(CONNECTION));
        shutdown.cancel();
        assert_eq!(asked(&app).await.headers()[CONNECTION], "close");
    }

    #[tokio::test]
    async fn it_ends_once_nobody_asks() {
        let (drain, _, shutdown) = served();
        shutdown.cancel();
        let patience = Patience {
            least: SOON,
            quiet: SOON,
            late: NEVER,
        };
        drain.emptied(patience).await;
    }

    #[tokio::test]
    async fn one_who_never_stops_does_not_keep_the_process() {
        let (drain, app, shutdown) = served();
        shutdown.cancel();
        let client = tokio::spawn(async move {
            loop {
                asked(&app).await;
                tokio::task::yield_now().await;
            }
        });
        let patience = Patience {
            least: SOON,
            quiet: NEVER,
            late: SOON,
        };
        drain.emptied(patience).await;
        client.abort();
    }

    #[tokio::test]
    async fn whoever_still_comes_is_waited_for() {
        let (drain, app, shutdown) = served();
        shutdown.cancel();
        let patience = Patience {
            least: SOON,
            quiet: NEVER,
            late: NEVER,
        };
        let leaving = tokio::spawn(async move { drain.emptied(patience).await });
        assert_eq!(asked(&app).await.status(), 200);
        assert!(!leaving.is_finished());
        leaving.abort();
    }
}
