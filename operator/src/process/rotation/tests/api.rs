//! An API server with one Secret, which knows every token.

use std::sync::{Arc, Mutex};

use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    ca::{self, Kept},
    testing::{
        reviews,
        server::{Head, Server, refusal},
    },
};

pub struct Api {
    pub client: Client,
    secret: Arc<Mutex<Value>>,
}

impl Api {
    pub fn start(namespace: &str) -> Self {
        let secret = Arc::<Mutex<Value>>::default();
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let kept = secret.clone();
        let server = Server::start(move |request, sent| {
            if request.path().ends_with("/tokenreviews") {
                (201, reviews::review(sent))
            } else if request.path().starts_with(&path) {
                answer(&mut kept.lock().unwrap(), request, sent)
            } else if request.path().ends_with("/configmaps") {
                let none = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {},
                    "items": []});
                (200, none)
            } else {
                (201, sent.clone())
            }
        });
        Self {
            client: server.client,
            secret,
        }
    }

    /// A person asks for another CA.
    pub fn ask(&self, word: &str) {
        let mut secret = self.secret.lock().unwrap();
        secret["metadata"]["annotations"]["aios.dev/rotate-ca"] = json!(word);
        versioned(&mut secret);
    }

    pub fn kept(&self) -> Kept {
        let secret = self.secret.lock().unwrap().clone();
        ca::read(&serde_json::from_value::<Secret>(secret).unwrap()).unwrap()
    }
}

fn answer(secret: &mut Value, request: &Head, sent: &Value) -> (u16, Value) {
    let version = secret["metadata"]["resourceVersion"].clone();
    if request.query().contains("watch=true") {
        // Who has not seen the last version is told of it; others are to come again.
        let last = format!("resourceVersion={}", version.as_str().unwrap_or_default());
        return if request.query().split('&').any(|part| part == last) {
            refusal(503, "ServiceUnavailable")
        } else {
            (200, json!({"type": "MODIFIED", "object": secret}))
        };
    }
    match *request.method() {
        Method::POST => {
            *secret = sent.clone();
            versioned(secret);
            (201, secret.clone())
        }
        Method::PUT if sent["metadata"]["resourceVersion"] == version => {
            *secret = sent.clone();
            versioned(secret);
            (200, secret.clone())
        }
        Method::PUT => refusal(409, "Conflict"),
        _ if secret.is_null() => refusal(404, "NotFound"),
        _ if request.path().ends_with("/secrets") => {
            let list = json!({"kind": "SecretList", "apiVersion": "v1", "items": [secret.clone()],
                "metadata": {"resourceVersion": version}});
            (200, list)
        }
        _ => (200, secret.clone()),
    }
}

fn versioned(secret: &mut Value) {
    let version = secret["metadata"]["resourceVersion"].as_str();
    let version: u64 = version.map_or(0, |version| version.parse().unwrap());
    secret["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}
