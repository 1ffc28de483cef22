//! Sends spans in batches. Nobody waits for it: what does not fit, or does not arrive, is dropped and counted.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use reqwest::{StatusCode, Url, header};
use tokio::{
    sync::mpsc::{self, Receiver},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Span, otlp, span::Ended, span::Kind};
use crate::{client, metrics::Metrics};

/// Spans that wait to be sent.
const QUEUE: usize = 2048;
/// Most spans of a request.
const BATCH: usize = 512;
/// How long a span waits for others.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a collector may take; at the end of the process, too.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where spans go; flags of both roles.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Collector {
    /// Address of an OpenTelemetry collector that takes OTLP over HTTP, as in `http://collector:4318`. Without it
    /// nothing is traced.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<Url>,
}

/// Takes spans that ended.
pub struct Tracer {
    spans: mpsc::Sender<Box<Ended>>,
    metrics: Arc<Metrics>,
}

/// Sends them until the process ends.
pub struct Exporter {
    spans: Receiver<Box<Ended>>,
    http: reqwest::Client,
    url: Url,
    service: &'static str,
    metrics: Arc<Metrics>,
}

impl Collector {
    /// Who takes spans and who sends them; none where nobody collects them.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn start(
        &self,
        service: &'static str,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Option<(Arc<Tracer>, Exporter)>> {
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(None);
        };
        let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
        let mut url = endpoint.clone();
        url.set_path(&path);
        let builder = || reqwest::Client::builder().timeout(PATIENCE);
        let http = client::build(builder, None).context("--otlp-endpoint")?;
        let (send, spans) = mpsc::channel(QUEUE);
        let tracer = Tracer {
            spans: send,
            metrics: metrics.clone(),
        };
        let exporter = Exporter {
            spans,
            http,
            url,
            service,
            metrics: metrics.clone(),
        };
        Ok(Some((Arc::new(tracer), exporter)))
    }
}

// === impl Tracer ===

impl Tracer {
    /// A call was taken from who says in `parent` where it stands; none where whoever began the trace does not
    /// keep it.
    pub fn taken(self: &Arc<Self>, parent: Option<super::Context>, name: String) -> Option<Span> {
        let is_kept = parent.is_none_or(super::Context::is_sampled);
        is_kept.then(|| Span::begin(self.clone(), (parent, Kind::Server), name))
    }

    pub(super) fn ended(&self, span: Box<Ended>) {
        if self.spans.try_send(span).is_err() {
            self.metrics.spans_lost(1);
        }
    }
}

// === impl Exporter ===

impl Exporter {
    /// Sends until shutdown, and then what is left.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                count = self.spans.recv_many(&mut batch, BATCH) => if count == 0 {
                    return;
                },
                () = shutdown.cancelled() => break,
            }
            let until = Instant::now() + PAUSE;
            while batch.len() < BATCH && !shutdown.is_cancelled() {
                let room = BATCH - batch.len();
                let more = timeout_at(until, self.spans.recv_many(&mut batch, room));
                tokio::select! {
                    more = more => if !matches!(more, Ok(1..)) {
                        break;
                    },
                    () = shutdown.cancelled() => {}
                }
            }
            self.send(&batch).await;
        }
        self.rest().await;
    }

    /// Calls under way end within what the process gives them.
    async fn rest(mut self) {
        let mut batch = Vec::new();
        let until = Instant::now() + PATIENCE;
        while let Ok(1..) = timeout_at(until, self.spans.recv_many(&mut batch, BATCH)).await {}
        for spans in batch.chunks(BATCH) {
            self.send(spans).await;
        }
    }

    async fn send(&self, spans: &[Box<Ended>]) {
        if spans.is_empty() {
            return;
        }
        let request = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(otlp::request(spans, self.service));
        let why = match timeout(PATIENCE, request.send()).await {
            Ok(Ok(answer)) if answer.status() == StatusCode::OK => return,
            Ok(Ok(answer)) => answer.status().to_string(),
            Ok(Err(error)) => aios_runtime::chain(&error.without_url()),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(why, spans = spans.len(), "spans are lost");
        self.metrics.spans_lost(spans.len());
    }
}
