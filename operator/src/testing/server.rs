//! A fake API server: answers by a function, and keeps every request.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, request::Parts};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub accept: String,
    pub body: Value,
}

pub struct Server {
    pub client: Client,
    log: Arc<Mutex<Vec<Sent>>>,
}

/// What an answer is made from: method and address.
pub struct Head(Parts);

impl Head {
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    pub fn path(&self) -> &str {
        self.0.uri.path()
    }

    pub fn query(&self) -> &str {
        self.0.uri.query().unwrap_or_default()
    }
}

impl Server {
    /// Answers each request, given with its body, by a status and a body.
    pub fn start(answer: impl Fn(&Head, &Value) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let log = Arc::<Mutex<Vec<Sent>>>::default();
        let (written, answer) = (log.clone(), Arc::new(answer));
        let service = service_fn(move |request: Request<Body>| {
            let (written, answer) = (written.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let head = Head(parts);
                let (status, answer) = answer(&head, &body);
                let accept = head.0.headers.get("accept");
                written.lock().unwrap().push(Sent {
                    path: head.path().to_owned(),
                    query: head.query().to_owned(),
                    accept: accept
                        .map_or("", |value| value.to_str().unwrap())
                        .to_owned(),
                    method: head.0.method,
                    body,
                });
                let bytes = serde_json::to_vec(&answer)?;
                let response = Response::builder().status(status).body(Body::from(bytes))?;
                Ok::<_, BoxError>(response)
            }
        });
        Self {
            client: Client::new(service, "default"),
            log,
        }
    }

    pub fn requests(&self) -> Vec<Sent> {
        self.log.lock().unwrap().clone()
    }

    pub fn methods(&self) -> Vec<Method> {
        let log = self.requests();
        log.into_iter().map(|request| request.method).collect()
    }
}

/// A refusal, as the API server words it.
pub fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "code": code, "message": ""});
    (code, status)
}
