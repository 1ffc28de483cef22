//! A tenant's REST interface as it is on the wire: any request, by anybody, and what it answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot reach its subject fails"
)]
// Every suite that includes this file uses another part of it.
#![allow(dead_code)]

use aios_e2e::TestNamespace;
use aios_e2e::testing::Forward;
use k8s_openapi::api::core::v1::ConfigMap;
use reqwest::{Certificate, Client, ClientBuilder, Method};
use serde_json::Value;

/// A namespace's gateway.
pub struct Desk {
    http: Client,
    base: String,
    _forward: Forward,
}

/// An answer, whatever it says.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Null if it is not JSON.
    pub body: Value,
    pub text: String,
}

/// A request in the making.
pub struct Ask {
    request: reqwest::RequestBuilder,
}

impl Desk {
    pub async fn of(namespace: &TestNamespace) -> Self {
        Self::with(namespace, Client::builder()).await
    }

    /// Each request over a connection of its own.
    pub async fn unpooled(namespace: &TestNamespace) -> Self {
        Self::with(namespace, Client::builder().pool_max_idle_per_host(0)).await
    }

    async fn with(namespace: &TestNamespace, client: ClientBuilder) -> Self {
        let forward = namespace
            .forward_service("aios-gateway", 8443)
            .await
            .unwrap();
        let ca = namespace.api::<ConfigMap>().get("aios-ca").await.unwrap();
        let ca = ca.data.unwrap();
        let ca = Certificate::from_pem_bundle(ca["ca.crt"].as_bytes()).unwrap();
        let host = format!("aios-gateway.{}.svc", namespace.name());
        let address = forward.address();
        Self {
            http: client
                .tls_certs_only(ca)
                .resolve(&host, address)
                .build()
                .unwrap(),
            base: format!("https://{host}:{}", address.port()),
            _forward: forward,
        }
    }

    /// Path from `/v1` on.
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        let request = self.http.request(method, format!("{}{path}", self.base));
        Ask { request }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        self.ask(Method::POST, path).json(&body.to_string())
    }
}

impl Ask {
    pub fn token(mut self, token: &str) -> Self {
        self.request = self.request.bearer_auth(token);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_owned())
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// Without another try.
    pub async fn once(self) -> reqwest::Result<Answer> {
        let answer = self.request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        })
    }

    pub async fn answer(self) -> Answer {
        // The way to the pod may still be opening: a connection that failed carried no request.
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        let answer = loop {
            let request = self.request.try_clone().unwrap();
            match request.send().await {
                Ok(answer) => break answer,
                Err(error) if error.is_connect() && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

impl Answer {
    /// A member that is a string; empty if there is none.
    pub fn text_of(&self, member: &str) -> &str {
        self.body
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// # Panics
    /// If it was refused.
    pub fn accepted(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.text
        );
        self
    }
}

/// A token of a ServiceAccount for the gateway's audience.
pub async fn token(namespace: &TestNamespace, account: &str) -> String {
    token_for(namespace, account, "aios").await
}

pub async fn token_for(namespace: &TestNamespace, account: &str, audience: &str) -> String {
    let told = namespace
        .kubectl(&["create", "token", account, "--audience", audience])
        .await
        .unwrap();
    told.trim().to_owned()
}
