//! The HTTP clients of both roles: a general one, and one for each address of a model's ingress. HTTP/1.1 only:
//! a stock HTTP/2 client keeps one connection a host, whose 100 streams would be a hidden ceiling, and closing a
//! connection cancels a call at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aios_runtime::{chain, tls::ClientTls};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::BodyExt;
use rustls::{ClientConfig, RootCertStore};

use crate::{connections::Connections, error::ApiError, lock::lock};

/// Connections unused for longer are closed, below the idle limits of common servers.
const IDLE: Duration = Duration::from_secs(50);

/// Files are looked at no more often: a look costs as much as the rest of choosing a connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A client whose TLS files rotate.
pub struct Client {
    tls: Option<ClientTls>,
    connect_timeout: Duration,
    began: Instant,
    /// Milliseconds since then at which the files are looked at again.
    next_look: AtomicU64,
    current: ArcSwap<Built>,
}

struct Built {
    config: Option<Arc<ClientConfig>>,
    http: reqwest::Client,
    /// Connections to one address each.
    apart: Mutex<HashMap<String, Arc<Connections>>>,
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
            began: Instant::now(),
            next_look: AtomicU64::new(0),
            current: ArcSwap::from_pointee(built),
        })
    }

    /// The client for the next call: a new one at most a second after the files changed.
    pub fn get(&self) -> reqwest::Client {
        self.current().http.clone()
    }

    /// Connections that only calls to this address use, where a certificate of the host in `of` is shown. Without
    /// TLS files no https address is trusted.
    ///
    /// # Errors
    /// `UpstreamUnreachable` of what is no address.
    pub fn at(&self, address: &str, of: &str) -> Result<Arc<Connections>, ApiError> {
        let current = self.current();
        let mut apart = lock(&current.apart);
        let known = apart.get(address).filter(|known| known.are_of(of));
        if let Some(connections) = known {
            return Ok(connections.clone());
        }
        let config = current.config.as_deref();
        let connections = Connections::new((address, of), config, self.connect_timeout)
            .map_err(|error| ApiError::UpstreamUnreachable(chain(&error)))?;
        let connections = Arc::new(connections);
        // Addresses of groups come and go.
        apart.retain(|_, kept| !kept.is_idle());
        apart.insert(address.to_owned(), connections.clone());
        Ok(connections)
    }

    /// Calls under way to an address.
    pub fn calls(&self, address: &str) -> usize {
        let current = self.current.load();
        let apart = lock(&current.apart);
        apart
            .get(address)
            .map_or(0, |connections| connections.calls())
    }

    /// The next call to their address dials it anew, unless another has by now. Behind a Service a connection
    /// leads to one pod for as long as it is kept: to one whose engine died, too.
    pub fn leave(&self, left: &Arc<Connections>) {
        lock(&self.current.load().apart).retain(|_, kept| !Arc::ptr_eq(kept, left));
    }

    fn current(&self) -> Arc<Built> {
        let current = self.current.load_full();
        let Some(tls) = self.tls.as_ref().filter(|_| self.is_time_to_look()) else {
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

impl Client {
    fn is_time_to_look(&self) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.began.elapsed());
        let due = self.next_look.load(Relaxed);
        let next = now.saturating_add(millis(LOOK_EVERY));
        now >= due
            && self
                .next_look
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok()
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
    ApiError::UpstreamGone(chain(&error))
}

/// The start of a body, as far as it arrives: for error bodies.
pub async fn read_at_most(response: reqwest::Response, limit: usize) -> Bytes {
    start_of(reqwest::Body::from(response), limit).await
}

/// The same of any body.
pub async fn start_of<B>(mut body: B, limit: usize) -> Bytes
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut start = bytes::BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(part) = frame.into_data() else {
            continue;
        };
        let room = limit.saturating_sub(start.len());
        start.extend_from_slice(part.get(..room).unwrap_or(&part));
        if start.len() >= limit {
            break;
        }
    }
    start.freeze()
}
