use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{AuditError, LogKey, Statement, VerifierKey};

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A Dead Simple Signing Envelope (DSSE v1) around a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    pub payload_type: String,
    /// Standard base64 of the statement's JSON.
    pub payload: String,
    pub signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Hex of the verifier key's id; a hint only.
    pub keyid: String,
    /// Standard base64 of the Ed25519 signature.
    pub sig: String,
}

impl Envelope {
    pub fn sign(statement: &Statement, key: &LogKey) -> Result<Self, AuditError> {
        let payload = statement.to_json()?;
        let sig = key.sign(&pre_authentication_encoding(&payload));
        Ok(Self {
            payload_type: PAYLOAD_TYPE.into(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signature {
                keyid: hex::encode(key.verifier().id()),
                sig: STANDARD.encode(sig),
            }],
        })
    }

    /// Checks the one signature and gives the statement.
    pub fn verify(&self, key: &VerifierKey) -> Result<Statement, AuditError> {
        let malformed = |why| AuditError::Malformed {
            what: "envelope",
            why,
        };
        if self.payload_type != PAYLOAD_TYPE {
            return Err(malformed("the payload type is not in-toto"));
        }
        let [signature] = self.signatures.as_slice() else {
            return Err(malformed("exactly one signature is expected"));
        };
        if signature.keyid != hex::encode(key.id()) {
            return Err(AuditError::UnknownSigner(key.name().into()));
        }
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| malformed("not base64"));
        let payload = decode(&self.payload)?;
        key.verify(
            &pre_authentication_encoding(&payload),
            &decode(&signature.sig)?,
        )?;
        Statement::from_json(&payload)
    }

    /// The bytes a `Provenance` leaf commits to.
    pub fn to_json(&self) -> Result<Vec<u8>, AuditError> {
        serde_json::to_vec(self).map_err(|e| AuditError::Encode(e.to_string()))
    }
}

/// `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`, so that type and payload cannot be
/// shifted into each other.
fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        payload.len()
    )
    .into_bytes();
    out.extend_from_slice(payload);
    out
}
