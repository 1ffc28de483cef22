//! The HTTP client of both roles. HTTP/1.1 only: a stock HTTP/2 client keeps one connection a host,
//! whose 100 streams would be a hidden ceiling, and closing a connection cancels a call at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_runtime::{chain, tls::ClientTls};
use arc_swap::ArcSwap;
use rustls::{ClientConfig, RootCertStore};

use crate::{error::ApiError, lock::lock};

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
    /// Clients with connections to one address each.
    apart: Mutex<HashMap<String, reqwest::Client>>,
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
        self.current().http.clone()
    }

    /// The same, with connections that only calls to this address use.
    pub fn at(&self, address: &str) -> reqwest::Client {
        let current = self.current();
        let mut apart = lock(&current.apart);
        if let Some(http) = apart.get(address) {
            return http.clone();
        }
        match Built::client(current.config.as_deref(), self.connect_timeout) {
            Ok(http) => {
                apart.insert(address.to_owned(), http.clone());
                http
            }
            Err(error) => {
                tracing::warn!(%error, "connections are shared with other addresses");
                current.http.clone()
            }
        }
    }

    /// The next call to an address dials it anew. Behind a Service a connection leads to one pod for as
    /// long as it is kept: to one whose engine died, too.
    pub fn leave(&self, address: &str) {
        lock(&self.current.load().apart).remove(address);
    }

    fn current(&self) -> Arc<Built> {
        let current = self.current.load_full();
        let Some(tls) = &self.tls else {
            return current;
        };
        let config = tls.config();
        if current
            .config
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &config))
        {
            return current;
        }
        match Built::new(Some(config), self.connect_timeout) {
            Ok(built) => {
                let built = Arc::new(built);
                self.current.store(built.clone());
                built
            }
            Err(error) => {
                tracing::warn!(%error, "keeping the previous TLS files");
                current
            }
        }
    }
}

impl Built {
    fn new(
        config: Option<Arc<ClientConfig>>,
        connect_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: Self::client(config.as_deref(), connect_timeout)?,
            config,
            apart: Mutex::default(),
        })
    }

    fn client(
        config: Option<&ClientConfig>,
        connect_timeout: Duration,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(IDLE)
                .tcp_nodelay(true)
                // A redirect would carry prompts, and keys, to an address that nobody configured.
                .redirect(reqwest::redirect::Policy::none())
        };
        build(builder, config)
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
