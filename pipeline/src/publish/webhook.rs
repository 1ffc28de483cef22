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

/// What IPTC calls a text of several hands of which a model is one: the value of `digitalSourceType`.
pub const GENERATED: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
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
#[serde(rename_all = "camelCase")]
pub struct Parcel<'a> {
    /// The external id.
    pub id: &'a str,
    pub pipeline: &'a str,
    /// Canonical digest over the parts.
    pub digest: &'a str,
    pub language: &'a str,
    pub parts: &'a [Part],
    /// [`GENERATED`], where a model wrote: in the body, because a signature covers no header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digital_source_type: Option<&'a str>,
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
        if let Some(source) = parcel.digital_source_type {
            request = request.header("aios-disclosure", source);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aios_crds::reference::{KeyRef, SecretSource};
    use aios_proto::config::PublisherConfig;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{Connector, GENERATED, Parcel, Sent};
    use crate::{
        fault::Faults,
        publish::{secret::FixedSecrets, sign},
    };

    const SECRET: &[u8] = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The head and the body of what a target gets.
    async fn received(generated: bool) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}") {
                stream.read_buf(&mut bytes).await.unwrap();
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            String::from_utf8(bytes).unwrap()
        });
        let reference = KeyRef {
            name: "outbox".into(),
            key: "secret".into(),
        };
        let at = (reference.name.clone(), reference.key.clone());
        let secrets = FixedSecrets([(at, SECRET.to_vec())].into());
        let connector = Connector::new(Arc::new(secrets), None, Faults::default()).unwrap();
        let config = PublisherConfig {
            name: "outbox".into(),
            url: format!("http://{address}/"),
            signing_secret: Some(SecretSource {
                secret_key_ref: reference,
            }),
            read_back: false,
        };
        let parcel = Parcel {
            id: "d",
            pipeline: "mail",
            digest: "sha256:0",
            language: "en",
            parts: &[],
            digital_source_type: generated.then_some(GENERATED),
        };
        let sent = connector.send(&config, &parcel, 7).await;
        assert_eq!(sent, Sent::Received { status: 200 });
        let all = target.await.unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn a_target_is_told_under_signature_that_a_model_wrote() {
        let (head, body) = received(true).await;
        assert!(
            head.contains(&format!("aios-disclosure: {GENERATED}")),
            "{head}"
        );
        assert!(
            body.contains(&format!("\"digitalSourceType\":\"{GENERATED}\"")),
            "{body}"
        );
        let key = sign::key(SECRET).unwrap();
        assert!(
            head.contains(&sign::signature(&key, "d", 7, body.as_bytes())),
            "{head}"
        );
    }

    #[tokio::test]
    async fn nothing_is_said_of_models_where_none_wrote() {
        let (head, body) = received(false).await;
        assert!(!head.contains("aios-disclosure"), "{head}");
        assert_eq!(
            body,
            r#"{"digest":"sha256:0","id":"d","language":"en","parts":[],"pipeline":"mail"}"#
        );
    }
}
