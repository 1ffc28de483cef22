//! The HTTP client of both roles. HTTP/1.1 only: a stock HTTP/2 client keeps one connection a host,
//! whose 100 streams would be a hidden ceiling, and closing a connection cancels a call at once.

use std::{sync::Arc, time::Duration};

use aios_runtime::tls::ClientTls;
use arc_swap::ArcSwap;
use rustls::{ClientConfig, RootCertStore};

use crate::error::ApiError;

/// Connections unused for longer are closed, below the idle limits of common servers.
const IDLE: Duration = Duration::from_secs(50);

/// A client whose TLS files rotate.
pub struct Client {
    tls: Option<ClientTls>,
    connect_timeout: Duration,
    current: ArcSwap<Built>,
}

struct Built {
    config: Option<Arc<ClientConfig>>,
    http: reqwest::Client,
}

impl Client {
    /// With the given TLS files; without, the system's certificate authorities are trusted.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(tls: Option<ClientTls>, connect_timeout: Duration) -> Result<Self, reqwest::Error> {
        let built = Built::new(tls.as_ref().map(ClientTls::config), connect_timeout)?;
        Ok(Self {
            tls,
            connect_timeout,
            current: ArcSwap::from_pointee(built),
        })
    }

    /// The client for the next call: a new one after the files changed.
    pub fn get(&self) -> reqwest::Client {
        let current = self.current.load();
        let Some(tls) = &self.tls else {
            return current.http.clone();
        };
        let config = tls.config();
        if current
            .config
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &config))
        {
            return current.http.clone();
        }
        match Built::new(Some(config), self.connect_timeout) {
            Ok(built) => {
                let http = built.http.clone();
                self.current.store(Arc::new(built));
                http
            }
            Err(error) => {
                tracing::warn!(%error, "keeping the previous TLS files");
                current.http.clone()
            }
        }
    }
}

impl Built {
    fn new(
        config: Option<Arc<ClientConfig>>,
        connect_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(IDLE)
                .tcp_nodelay(true)
                // A redirect would carry prompts, and keys, to an address that nobody configured.
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self {
            http: build(builder, config.as_deref())?,
            config,
        })
    }
}

/// Builds a client that trusts by `config`, or by the system's certificate authorities. An image
/// without any still reaches plaintext addresses, such as the engine in the same pod.
///
/// # Errors
/// When TLS cannot be set up.
pub fn build(
    builder: impl Fn() -> reqwest::ClientBuilder,
    config: Option<&ClientConfig>,
) -> Result<reqwest::Client, reqwest::Error> {
    if let Some(config) = config {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        return builder().tls_backend_preconfigured(config).build();
    }
    builder().build().or_else(|error| {
        tracing::warn!(error = chain(&error), "no https address can be trusted");
        let nobody = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        builder().tls_backend_preconfigured(nobody).build()
    })
}

/// What a failed exchange means. Addresses are left out: the message may reach callers.
pub fn failed(error: reqwest::Error) -> ApiError {
    let error = error.without_url();
    if error.is_connect() {
        return ApiError::UpstreamUnreachable(chain(&error));
    }
    ApiError::UpstreamBroke(chain(&error))
}

/// An error and what it comes from.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The start of a body, as far as it arrives: for error bodies.
pub async fn read_at_most(mut response: reqwest::Response, limit: usize) -> bytes::Bytes {
    let mut body = bytes::BytesMut::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = limit.saturating_sub(body.len());
        body.extend_from_slice(part.get(..room).unwrap_or(&part));
        if body.len() >= limit {
            break;
        }
    }
    body.freeze()
}
