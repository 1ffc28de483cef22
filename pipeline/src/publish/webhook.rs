//! The webhook connector: a signed POST of the document, read back by `GET url/ID`.

use std::{sync::Arc, time::Duration};

use aios_policy::Part;
use aios_proto::{canonical, config::PublisherConfig};
use serde::Serialize;
use serde_json::Value;

use super::{
    secret::{SecretError, Secrets},
    sign,
};
use crate::fault::{Faults, KillPoint};

const TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a request to leave before the process is ended on request; fault injection only.
const LEAVING: Duration = Duration::from_millis(50);

/// Sends to webhooks.
#[derive(Clone)]
pub struct Connector {
    client: reqwest::Client,
    secrets: Arc<dyn Secrets>,
    faults: Faults,
}

/// What is sent: the same bytes at every try.
#[derive(Clone, Debug, Serialize)]
pub struct Parcel<'a> {
    /// The external id.
    pub id: &'a str,
    pub pipeline: &'a str,
    /// Canonical digest over the parts.
    pub digest: &'a str,
    pub language: &'a str,
    pub parts: &'a [Part],
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The target has it.
    Received { status: u16 },
    /// The target does not want it: nothing arrived, and another try would not help.
    Refused { status: u16 },
    /// No request left, or the target was too busy to look at it: try later.
    NotSent(String),
    /// It may have arrived.
    Unknown(String),
}

/// What the target says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Same { status: u16 },
    Other,
    Missing,
    Unknown(String),
}

impl Connector {
    /// A connector that trusts the system's roots and, if given, one more CA (PEM).
    pub fn new(
        secrets: Arc<dyn Secrets>,
        extra_ca: Option<&[u8]>,
        faults: Faults,
    ) -> Result<Self, reqwest::Error> {
        let extra = match extra_ca {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem)?,
            None => Vec::new(),
        };
        let builder = || {
            reqwest::Client::builder()
                .timeout(TIMEOUT)
                .connect_timeout(Duration::from_secs(5))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
        };
        // An image without system roots still reaches what the tenant's CA vouches for.
        let client = builder()
            .tls_certs_merge(extra.clone())
            .build()
            .or_else(|_| builder().tls_certs_only(extra).build())?;
        Ok(Self {
            client,
            secrets,
            faults,
        })
    }

    /// Sends. `now_s` is the signature's time, seconds since 1970.
    pub async fn send(&self, target: &PublisherConfig, parcel: &Parcel<'_>, now_s: u64) -> Sent {
        let body = match canonical::to_vec(parcel) {
            Ok(body) => body,
            Err(error) => return Sent::NotSent(error.to_string()),
        };
        let mut request = self
            .client
            .post(&target.url)
            .header("content-type", "application/json")
            .header("webhook-id", parcel.id)
            .header("webhook-timestamp", now_s)
            .header("idempotency-key", parcel.id)
            .header("aios-digest", parcel.digest);
        match self.key(target).await {
            Ok(Some(key)) => {
                let signature = sign::signature(&key, parcel.id, now_s, &body);
                request = request.header("webhook-signature", signature);
            }
            Ok(None) => {}
            Err(error) => return Sent::NotSent(error.to_string()),
        }
        let sending = tokio::spawn(request.body(body).send());
        if self.faults.armed(KillPoint::RequestSent) {
            tokio::time::sleep(LEAVING).await;
            self.faults.hit(KillPoint::RequestSent);
        }
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(error) => return Sent::Unknown(error.to_string()),
        };
        self.faults.hit(KillPoint::ResponseLost);
        match answer {
            Ok(response) => by_status(response.status().as_u16()),
            Err(error) if error.is_connect() || error.is_builder() => {
                Sent::NotSent(error.without_url().to_string())
            }
            Err(error) => Sent::Unknown(error.without_url().to_string()),
        }
    }

    /// Asks whether it arrived.
    pub async fn read_back(&self, target: &PublisherConfig, parcel: &Parcel<'_>) -> Found {
        let answer = self
            .client
            .get(format!("{}/{}", target.url, parcel.id))
            .send()
            .await;
        let response = match answer {
            Ok(response) => response,
            Err(error) => return Found::Unknown(error.without_url().to_string()),
        };
        let status = response.status().as_u16();
        match status {
            404 => Found::Missing,
            200..=299 => match response.json::<Value>().await {
                Ok(kept) => compare(&kept, parcel, status),
                Err(error) => Found::Unknown(error.without_url().to_string()),
            },
            _ => Found::Unknown(format!("status {status}")),
        }
    }

    async fn key(
        &self,
        target: &PublisherConfig,
    ) -> Result<Option<aws_lc_rs::hmac::Key>, SecretError> {
        let Some(source) = &target.signing_secret else {
            return Ok(None);
        };
        let reference = &source.secret_key_ref;
        let secret = self.secrets.get(reference).await?;
        let key = sign::key(&secret)
            .ok_or_else(|| SecretError::Malformed(reference.name.clone(), reference.key.clone()))?;
        Ok(Some(key))
    }
}

/// Statuses after which the target may or may not have it are unknown, never taken for a refusal.
fn by_status(status: u16) -> Sent {
    match status {
        200..=299 => Sent::Received { status },
        429 => Sent::NotSent(format!("status {status}")),
        408 | 409 | 425 => Sent::Unknown(format!("status {status}")),
        400..=499 => Sent::Refused { status },
        _ => Sent::Unknown(format!("status {status}")),
    }
}

/// The digest of the document or of the body that was posted, as `digest`.
fn compare(kept: &Value, parcel: &Parcel<'_>, status: u16) -> Found {
    let Some(digest) = kept.get("digest").and_then(Value::as_str) else {
        return Found::Unknown("the answer names no digest".to_owned());
    };
    let body = canonical::to_vec(parcel).map(|body| canonical::digest(&body));
    if digest == parcel.digest || body.is_ok_and(|body| body == digest) {
        Found::Same { status }
    } else {
        Found::Other
    }
}
