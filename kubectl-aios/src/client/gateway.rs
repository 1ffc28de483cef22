use std::{net::SocketAddr, time::Duration};

use aios_policy::Part;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client as HttpClient,
    rt::{TokioExecutor, TokioTimer},
};
use kube::Client;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    auth::{Auth, Credentials},
    connect::{Connector, PORT, host},
    error::{ClientError, Problem},
    types::{
        Accepted, DocumentSummary, DocumentView, Preview, Receipt, Replayed, Uploaded, Variant,
    },
};

/// How long one answer may take to begin; a preview waits for a model.
const ANSWER: Duration = Duration::from_mins(3);
/// Idle connections are closed, before the API server closes the forward.
const IDLE: Duration = Duration::from_mins(1);

/// A namespace's gateway. Connections are kept and shared; cloning is not needed.
pub struct Gateway {
    http: HttpClient<Connector, Full<Bytes>>,
    credentials: Credentials,
    authority: String,
}

/// Which documents to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// A status, as in `Published`.
    pub status: Option<String>,
    /// Name of a WritingRun.
    pub run: Option<String>,
}

impl Gateway {
    /// Reaches Service `aios-gateway` of the namespace through the API server. The connection itself
    /// is made by the first request, and made anew when the pod was replaced.
    ///
    /// # Errors
    /// When the namespace has no CA yet or the caller may not read it.
    pub async fn connect(client: Client, namespace: &str, auth: Auth) -> Result<Self, ClientError> {
        let credentials = Credentials::new(client.clone(), namespace, auth)?;
        let connector = Connector::through_api(client, namespace).await?;
        Ok(Self::new(connector, credentials, namespace))
    }

    /// Reaches a gateway at an address, as a port that was forwarded already. `ca` is PEM; the
    /// certificate must be the namespace's all the same.
    ///
    /// # Errors
    /// When CA or token cannot be used.
    pub fn at(
        address: SocketAddr,
        ca: &str,
        namespace: &str,
        token: &str,
    ) -> Result<Self, ClientError> {
        let connector = Connector::to_address(address, ca, namespace)?;
        Ok(Self::new(connector, Credentials::given(token)?, namespace))
    }

    fn new(connector: Connector, credentials: Credentials, namespace: &str) -> Self {
        Self {
            http: HttpClient::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .build(connector),
            credentials,
            authority: format!("{}:{PORT}", host(namespace)),
        }
    }

    /// Replaces the records of a context: one JSON object a line, all or none.
    pub async fn put_context(
        &self,
        pipeline: &str,
        context: &str,
        ndjson: impl Into<Bytes>,
    ) -> Result<Uploaded, ClientError> {
        let path = format!(
            "/v1/pipelines/{}/context/{}",
            segment(pipeline),
            segment(context)
        );
        let request = Call::new(Method::PUT, path).body(ndjson.into(), "application/x-ndjson");
        self.json(request).await
    }

    /// Starts a document. The same key and pointer lead to the same document.
    pub async fn create_document(
        &self,
        pipeline: &str,
        pointer: &Map<String, Value>,
        idempotency_key: &str,
    ) -> Result<Accepted, ClientError> {
        let mut call = Call::post(pipeline, "documents", &json!({"pointer": pointer}));
        call.idempotency_key = Some(idempotency_key.to_owned());
        self.json(call).await
    }

    /// Writes and judges a document without keeping it.
    pub async fn preview(
        &self,
        pipeline: &str,
        pointer: &Map<String, Value>,
    ) -> Result<Preview, ClientError> {
        self.json(Call::post(
            pipeline,
            "preview",
            &json!({"pointer": pointer}),
        ))
        .await
    }

    /// What another policy would say of the documents after one, at most a hundred.
    pub async fn replay(
        &self,
        pipeline: &str,
        policy: &Value,
        after: Option<&str>,
    ) -> Result<Replayed, ClientError> {
        let body = json!({"policy": policy, "after": after});
        self.json(Call::post(pipeline, "replay", &body)).await
    }

    /// The same over all documents of the pipeline, answer by answer.
    pub async fn replay_all(
        &self,
        pipeline: &str,
        policy: &Value,
    ) -> Result<Replayed, ClientError> {
        let mut all = self.replay(pipeline, policy, None).await?;
        while let Some(after) = all.next.take() {
            let more = self.replay(pipeline, policy, Some(&after)).await?;
            all.judged += more.judged;
            all.changes.extend(more.changes);
            all.next = more.next;
        }
        Ok(all)
    }

    /// Lists documents.
    pub async fn documents(
        &self,
        pipeline: &str,
        filter: &DocumentFilter,
    ) -> Result<Vec<DocumentSummary>, ClientError> {
        let named = [("status", &filter.status), ("run", &filter.run)];
        let query: Vec<_> = named
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", segment(value.as_ref()?))))
            .collect();
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        self.list(
            Call::get(pipeline, &format!("documents{query}")),
            "documents",
        )
        .await
    }

    /// Reads one document with its text.
    pub async fn document(&self, pipeline: &str, id: &str) -> Result<DocumentView, ClientError> {
        self.json(Call::get(pipeline, &format!("documents/{}", segment(id))))
            .await
    }

    /// What waits for a person.
    pub async fn reviews(&self, pipeline: &str) -> Result<Vec<DocumentView>, ClientError> {
        self.list(Call::get(pipeline, "reviews"), "reviews").await
    }

    /// Approves the text of that digest, and no other.
    pub async fn approve(
        &self,
        pipeline: &str,
        id: &str,
        digest: &str,
    ) -> Result<Receipt, ClientError> {
        self.decide(pipeline, id, "approve", &json!({"digest": digest}))
            .await
    }

    /// Rejects the text of that digest.
    pub async fn reject(
        &self,
        pipeline: &str,
        id: &str,
        digest: &str,
        reason: &str,
    ) -> Result<Receipt, ClientError> {
        let body = json!({"digest": digest, "reason": reason});
        self.decide(pipeline, id, "reject", &body).await
    }

    /// Replaces the text of that digest; approvals of it are void, and it is judged anew.
    pub async fn edit(
        &self,
        pipeline: &str,
        id: &str,
        digest: &str,
        parts: &[Part],
    ) -> Result<Receipt, ClientError> {
        let body = json!({"digest": digest, "parts": parts});
        self.decide(pipeline, id, "edit", &body).await
    }

    /// Moves a parked document on.
    pub async fn publish(&self, pipeline: &str, id: &str) -> Result<Receipt, ClientError> {
        self.decide(pipeline, id, "publish", &json!({})).await
    }

    /// The pipeline in numbers; one run of it if a run is named.
    pub async fn stats(&self, pipeline: &str, run: Option<&str>) -> Result<Value, ClientError> {
        let query = run
            .map(|run| format!("?run={}", segment(run)))
            .unwrap_or_default();
        self.json(Call::get(pipeline, &format!("stats{query}")))
            .await
    }

    /// How the documents of each variant of the pipeline's experiments fared.
    pub async fn experiments(&self, pipeline: &str) -> Result<Vec<Variant>, ClientError> {
        self.list(Call::get(pipeline, "experiments"), "variants")
            .await
    }

    /// The signed head of the namespace's log.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        let call = Call::new(Method::GET, "/v1/audit/checkpoint".to_owned());
        let what = call.what();
        let bytes = collect(self.send(call).await?).await?;
        String::from_utf8(bytes.into()).map_err(|error| ClientError::Answer {
            what,
            error: error.to_string(),
        })
    }

    /// Writes the whole log as a bundle for offline verification. Returns its bytes.
    pub async fn bundle(&self, to: &mut (impl AsyncWrite + Unpin)) -> Result<u64, ClientError> {
        let call = Call::new(Method::GET, "/v1/audit/bundle".to_owned());
        let mut body = self.send(call).await?.into_body();
        let mut written = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ClientError::Transport(error.to_string()))?;
            if let Some(bytes) = frame.data_ref() {
                to.write_all(bytes).await?;
                written += bytes.len() as u64;
            }
        }
        to.flush().await?;
        Ok(written)
    }

    /// Destroys a person's keys: their records and texts can never be read again.
    pub async fn erase_subject(&self, subject: &str) -> Result<Value, ClientError> {
        let path = format!("/v1/subjects/{}", segment(subject));
        let call = Call::new(Method::DELETE, path);
        let what = call.what();
        let bytes = collect(self.send(call).await?).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        read(&bytes, what)
    }

    async fn decide(
        &self,
        pipeline: &str,
        id: &str,
        verb: &str,
        body: &Value,
    ) -> Result<Receipt, ClientError> {
        let path = format!("documents/{}/{verb}", segment(id));
        self.json(Call::post(pipeline, &path, body)).await
    }

    async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let what = call.what();
        read(&collect(self.send(call).await?).await?, what)
    }

    /// A list under its name.
    async fn list<T: DeserializeOwned>(
        &self,
        call: Call,
        member: &str,
    ) -> Result<Vec<T>, ClientError> {
        let what = call.what();
        let mut answer: Map<String, Value> = self.json(call).await?;
        let list = answer.remove(member).unwrap_or_default();
        serde_json::from_value(list).map_err(|error| ClientError::Answer {
            what,
            error: format!("`{member}`: {error}"),
        })
    }

    async fn send(&self, call: Call) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("https://{}{}", self.authority, call.path))
            .header(header::AUTHORIZATION, self.credentials.header().await?)
            .header(header::ACCEPT, "application/json, */*;q=0.5");
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = call.body.map(|(bytes, kind)| {
            request = std::mem::take(&mut request).header(header::CONTENT_TYPE, kind);
            bytes
        });
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| ClientError::Transport(error.to_string()))?;
        let response = tokio::time::timeout(ANSWER, self.http.request(request))
            .await
            .map_err(|_| ClientError::TimedOut(ANSWER.as_secs()))?
            .map_err(|error| failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = collect(response).await?;
        Err(ClientError::Refused(Box::new(Problem::read(status, &body))))
    }
}

/// A request before it is signed.
struct Call {
    method: Method,
    path: String,
    body: Option<(Bytes, &'static str)>,
    idempotency_key: Option<String>,
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
            idempotency_key: None,
        }
    }

    fn get(pipeline: &str, rest: &str) -> Self {
        Self::new(
            Method::GET,
            format!("/v1/pipelines/{}/{rest}", segment(pipeline)),
        )
    }

    fn post(pipeline: &str, rest: &str, body: &Value) -> Self {
        Self::new(
            Method::POST,
            format!("/v1/pipelines/{}/{rest}", segment(pipeline)),
        )
        .body(body.to_string().into(), "application/json")
    }

    fn body(mut self, bytes: Bytes, kind: &'static str) -> Self {
        self.body = Some((bytes, kind));
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = response.into_body().collect().await;
    Ok(body
        .map_err(|error| ClientError::Transport(error.to_string()))?
        .to_bytes())
}

fn read<T: DeserializeOwned>(bytes: &[u8], what: String) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Answer {
        what,
        error: error.to_string(),
    })
}

/// The connector's own error where there is one: it has the remedy.
fn failed(error: &hyper_util::client::legacy::Error) -> ClientError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(known) = cause.downcast_ref::<ClientError>() {
            return ClientError::Transport(known.to_string());
        }
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    ClientError::Transport(text)
}

/// Percent-encodes a path segment or query value (RFC 3986, unreserved characters stay).
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write;
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
