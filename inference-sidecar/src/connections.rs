//! Connections to one address of a model's ingress, kept and used again: the least that stands between a call
//! and HTTP/1.1. A general client reads addresses anew, copies requests for redirects and retries, and starts a
//! task for each call; here none of that is wanted.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use aios_runtime::chain;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use http_body::Frame;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::{error::ApiError, lock::lock};

/// Connections unused for longer are closed, below the idle limits of common servers.
const IDLE: Duration = Duration::from_secs(50);

/// How often they are looked at. A timer that is always near also spares every call the waking of the runtime for
/// its own, which is farther.
const SWEEP: Duration = Duration::from_secs(1);

/// Who is lost with its node does not say so: after such a silence it is asked whether it is still there, and once
/// more a second.
const SILENCE: Duration = Duration::from_secs(2);
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A connection breaks when nothing that was sent arrives for so long. As long a network may take to heal.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_secs(5);

type Line = SendRequest<Full<Bytes>>;

/// The connections to one address.
pub struct Connections {
    to: Uri,
    /// Whose certificate is asked for.
    of: String,
    host: HeaderValue,
    /// Before the path of every call.
    prefix: String,
    connector: HttpsConnector<HttpConnector>,
    connect_timeout: Duration,
    idle: Mutex<Idle>,
    calls: AtomicUsize,
}

/// A call under way; dropping it ends it.
struct Call(Arc<Connections>);

/// Connections that wait for a call.
#[derive(Default)]
struct Idle {
    /// The latest used is the last.
    lines: VecDeque<(Line, Instant)>,
    /// Whether a task closes those that nobody used for long.
    is_swept: bool,
}

/// The body of an answer: read to its end, its connection is used again; dropped before, it is closed.
pub struct Body {
    incoming: Incoming,
    /// With its connection, until it was read.
    call: Option<(Call, Line)>,
    /// Whether the connection was there before its call.
    pub over_kept: bool,
}

// === impl Connections ===

impl Connections {
    /// Connects when first used. Who answers there shows a certificate of the host in address `of`, and is called by
    /// its name.
    ///
    /// # Errors
    /// What is wrong with an address.
    pub fn new(
        (address, of): (&str, &str),
        tls: Option<&ClientConfig>,
        connect_timeout: Duration,
    ) -> Result<Self, http::Error> {
        let to: Uri = address.parse()?;
        let named: Uri = of.parse()?;
        let authority = named.authority().map_or("", |authority| authority.as_str());
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(ASK_EVERY));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(UNHEARD));
        let mut builder = HttpsConnectorBuilder::new()
            .with_tls_config(trusting(tls))
            .https_or_http();
        let host = named.host().unwrap_or_default();
        let host = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        if let Ok(host) = host {
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(host));
        }
        Ok(Self {
            host: HeaderValue::from_str(authority)?,
            prefix: to.path().trim_end_matches('/').to_owned(),
            to,
            of: of.to_owned(),
            connector: builder.enable_http1().wrap_connector(connector),
            connect_timeout,
            idle: Mutex::default(),
            calls: AtomicUsize::new(0),
        })
    }

    /// Whether certificates of the host in this address are asked for.
    pub fn are_of(&self, of: &str) -> bool {
        self.of == of
    }

    /// Calls under way, until their answers are read.
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Whether nobody would miss them.
    pub fn is_idle(&self) -> bool {
        self.calls() == 0 && lock(&self.idle).lines.is_empty()
    }

    /// Posts JSON to a path.
    ///
    /// # Errors
    /// `UpstreamUnreachable` as long as nothing was sent, then `UpstreamGone`.
    pub async fn post(
        self: &Arc<Self>,
        path: &'static str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, ApiError> {
        headers.insert(header::HOST, self.host.clone());
        let kind = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, kind);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(path)?;
        *request.headers_mut() = headers;
        let call = Call::begin(self.clone());
        loop {
            let (mut line, is_new) = match self.kept() {
                Some(line) => (line, false),
                None => (self.dial().await?, true),
            };
            match line.try_send_request(request).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| Body {
                        incoming,
                        call: Some((call, line)),
                        over_kept: !is_new,
                    }));
                }
                // The server had closed a kept connection before anything was sent on it.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(ApiError::UpstreamGone(chain(error.error()))),
                },
            }
        }
    }

    fn uri(&self, path: &'static str) -> Result<Uri, ApiError> {
        if self.prefix.is_empty() {
            return Ok(Uri::from(PathAndQuery::from_static(path)));
        }
        let path = format!("{}{path}", self.prefix);
        path.parse()
            .map_err(|error| ApiError::UpstreamUnreachable(chain(&error)))
    }

    /// The connection that was used last, of those that take a request now.
    fn kept(&self) -> Option<Line> {
        let mut idle = lock(&self.idle);
        idle.leave_old(Instant::now());
        let at = idle.lines.iter().rposition(|(line, _)| line.is_ready())?;
        idle.lines.remove(at).map(|(line, _)| line)
    }

    fn keep(self: &Arc<Self>, line: Line) {
        if line.is_closed() {
            return;
        }
        let mut idle = lock(&self.idle);
        idle.lines.push_back((line, Instant::now()));
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    async fn dial(&self) -> Result<Line, ApiError> {
        let mut connector = self.connector.clone();
        let dialled = timeout(self.connect_timeout, async {
            let stream = connector.call(self.to.clone()).await;
            let stream = stream.map_err(|error| chain(error.as_ref()))?;
            let shaken = http1::handshake(stream).await;
            shaken.map_err(|error| chain(&error))
        });
        let dialled = dialled.await;
        let too_late = |_| format!("no connection within {:?}", self.connect_timeout);
        let (line, connection) = dialled
            .map_err(too_late)
            .flatten()
            .map_err(ApiError::UpstreamUnreachable)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = chain(&error), "connection ended");
            }
        });
        Ok(line)
    }
}

/// Closes connections that nobody uses, until there are none.
async fn sweep(connections: Weak<Connections>) {
    loop {
        sleep(SWEEP).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let mut idle = lock(&connections.idle);
        idle.leave_old(Instant::now());
        if idle.lines.is_empty() {
            idle.is_swept = false;
            return;
        }
    }
}

/// Who is trusted: without a CA nobody, which is enough for plaintext.
fn trusting(tls: Option<&ClientConfig>) -> ClientConfig {
    let mut config = tls.cloned().unwrap_or_else(|| {
        ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    });
    config.alpn_protocols.clear();
    config
}

// === impl Idle ===

impl Idle {
    fn leave_old(&mut self, now: Instant) {
        let is_old = |(line, since): &(Line, Instant)| {
            line.is_closed() || now.saturating_duration_since(*since) > IDLE
        };
        while self.lines.front().is_some_and(is_old) {
            self.lines.pop_front();
        }
    }
}

// === impl Call ===

impl Call {
    fn begin(connections: Arc<Connections>) -> Self {
        connections.calls.fetch_add(1, Relaxed);
        Self(connections)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

// === impl Body ===

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        let is_over = frame.is_none() || self.incoming.is_end_stream();
        if is_over && let Some((call, line)) = self.call.take() {
            call.0.keep(line);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";

    /// A server that gives so many answers a connection, and says the head of each request and the end of
    /// each connection.
    struct Server {
        connections: Arc<Connections>,
        accepted: Arc<AtomicUsize>,
        heard: mpsc::UnboundedReceiver<String>,
    }

    impl Server {
        async fn start(path: &str, answer: &'static [u8], answers: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}{path}", listener.local_addr().unwrap());
            let accepted = Arc::new(AtomicUsize::new(0));
            let (say, heard) = mpsc::unbounded_channel();
            let count = accepted.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    count.fetch_add(1, SeqCst);
                    tokio::spawn(answering(stream, answer, answers, say.clone()));
                }
            });
            let to = (address.as_str(), address.as_str());
            let connections = Connections::new(to, None, Duration::from_mins(1)).unwrap();
            Self {
                connections: Arc::new(connections),
                accepted,
                heard,
            }
        }

        async fn post(&self) -> Response<Body> {
            let body = Bytes::from_static(b"{}");
            let posted = self.connections.post("/v1/models", HeaderMap::new(), body);
            posted.await.unwrap()
        }

        async fn whole(&self) -> Bytes {
            let body = self.post().await.into_body();
            body.collect().await.unwrap().to_bytes()
        }

        /// Until it holds of the kept connection, or of none.
        async fn until(&self, holds: fn(Option<&Line>) -> bool) {
            let kept = || {
                holds(
                    lock(&self.connections.idle)
                        .lines
                        .front()
                        .map(|(line, _)| line),
                )
            };
            while !kept() {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn answering(
        mut stream: TcpStream,
        answer: &'static [u8],
        answers: usize,
        say: mpsc::UnboundedSender<String>,
    ) {
        let mut part = [0; 4096];
        let mut read = Vec::new();
        for _ in 0..answers {
            while !read.ends_with(b"\r\n\r\n{}") {
                match stream.read(&mut part).await {
                    Ok(count) if count > 0 => read.extend_from_slice(&part[..count]),
                    _ => return drop(say.send("gone".to_owned())),
                }
            }
            say.send(String::from_utf8(std::mem::take(&mut read)).unwrap())
                .unwrap();
            stream.write_all(answer).await.unwrap();
        }
        drop(stream);
        let _ = say.send("closed".to_owned());
    }

    #[tokio::test]
    async fn a_connection_whose_answer_was_read_is_used_again() {
        let server = Server::start("", ANSWER, usize::MAX).await;
        for _ in 0..3 {
            assert_eq!(server.whole().await, "{}");
            server.until(|line| line.is_some_and(Line::is_ready)).await;
        }
        assert_eq!(server.accepted.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn one_that_the_server_closed_is_dialled_anew() {
        let mut server = Server::start("", ANSWER, 1).await;
        for _ in 0..3 {
            assert_eq!(server.whole().await, "{}");
            while server.heard.recv().await.unwrap() != "closed" {}
            server.until(|line| line.is_none_or(Line::is_closed)).await;
        }
        assert_eq!(server.accepted.load(SeqCst), 3);
    }

    #[tokio::test]
    async fn one_whose_answer_is_not_read_to_its_end_is_closed() {
        let mut server = Server::start("", ENDLESS, usize::MAX).await;
        drop(server.post().await);
        while server.heard.recv().await.unwrap() != "gone" {}
    }

    #[tokio::test]
    async fn a_call_is_under_way_until_its_answer_is_read_or_left() {
        let server = Server::start("", ANSWER, usize::MAX).await;
        let connections = server.connections.clone();
        let answer = server.post().await;
        assert_eq!((connections.calls(), connections.is_idle()), (1, false));
        let other = server.post().await;
        assert_eq!(connections.calls(), 2);
        drop(other);
        assert_eq!(connections.calls(), 1);
        answer.into_body().collect().await.unwrap();
        assert_eq!(connections.calls(), 0);
        assert!(!connections.is_idle(), "a connection is kept");
    }

    #[tokio::test]
    async fn the_path_of_an_address_stands_before_that_of_a_call() {
        let mut server = Server::start("/models/", ANSWER, usize::MAX).await;
        server.whole().await;
        let head = server.heard.recv().await.unwrap();
        assert!(
            head.starts_with("POST /models/v1/models HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("host: 127.0.0.1:"), "{head}");
    }

    #[tokio::test]
    async fn those_that_nobody_uses_are_closed() {
        let mut server = Server::start("", ANSWER, usize::MAX).await;
        server.whole().await;
        let now = Instant::now();
        lock(&server.connections.idle).leave_old(now);
        assert_eq!(lock(&server.connections.idle).lines.len(), 1);
        lock(&server.connections.idle).leave_old(now + 2 * IDLE);
        while server.heard.recv().await.unwrap() != "gone" {}
    }
}
