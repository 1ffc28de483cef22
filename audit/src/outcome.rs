//! Events that a business's own system signed: Standard Webhooks 1.0.0, asymmetric scheme, with Ed25519 over
//! `id.timestamp.body`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::AuditError;

const KEY: &str = "whpk_";
const SCHEME: &str = "v1a,";

/// The public half of a sender's key; as text `whpk_` and base64 of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderKey(VerifyingKey);

/// An event with all that proves who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedEvent {
    /// The sender's own: a repeat is known by it.
    pub id: String,
    /// Seconds since 1970-01-01 UTC, as the sender says.
    pub timestamp: u64,
    /// The very bytes that were signed.
    pub body: String,
    /// `v1a,` and base64.
    pub signature: String,
    /// `whpk_` and base64.
    pub key: String,
}

/// What a sender says happened to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// Signed too, so that nobody can move the event to another.
    pub document: String,
    /// Sort of event, as in `click`.
    pub name: String,
    /// A count, a rating, an amount in its smallest unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u32>,
}

impl SignedEvent {
    /// What happened, if the key's holder says so.
    pub fn verify(&self) -> Result<Happened, AuditError> {
        let malformed = |what, why| AuditError::Malformed { what, why };
        // A dot would let the bounds between the signed parts be moved.
        let plain = self
            .id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'.');
        if !plain || !(1..=255).contains(&self.id.len()) {
            let why = "1 to 255 visible ASCII characters without a dot are expected";
            return Err(malformed("event id", why));
        }
        let key: SenderKey = self.key.parse()?;
        let signature = self.signature.strip_prefix(SCHEME);
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature =
            signature.ok_or_else(|| malformed("signature", "`v1a,` and base64 are expected"))?;
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let genuine = key.0.verify_strict(signed.as_bytes(), &signature);
        genuine.map_err(|_| AuditError::SignatureMismatch(self.key.clone()))?;
        serde_json::from_str(&self.body)
            .map_err(|_| malformed("event", "`document`, `name` and `value` alone are expected"))
    }
}

impl fmt::Display for SenderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl FromStr for SenderKey {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let key = text.strip_prefix(KEY);
        let key = key.and_then(|text| STANDARD.decode(text).ok());
        let key = key.and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok());
        key.map(Self).ok_or(AuditError::Malformed {
            what: "sender's key",
            why: "`whpk_` and base64 of an Ed25519 key's 32 bytes are expected",
        })
    }
}
