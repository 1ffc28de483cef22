//! Ed25519 keys in the shapes of C2SP signed-note.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::hash::sha256;
use crate::{AuditError, Checkpoint, Hash};

const ED25519: u8 = 1;
const NAME_LIMIT: usize = 200;

/// The tenant's signing key together with the name (origin) of its log.
pub struct LogKey {
    name: String,
    key: SigningKey,
}

impl LogKey {
    /// `origin` names the log for ever, for example `aios.dev/<namespace>/<uid>`; `seed` is the
    /// 32-byte Ed25519 secret.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self, AuditError> {
        Ok(Self {
            name: log_name(origin)?,
            key: SigningKey::from_bytes(seed),
        })
    }

    pub fn origin(&self) -> &str {
        &self.name
    }

    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The signed text of a checkpoint (C2SP tlog-checkpoint).
    pub fn sign_checkpoint(&self, size: u64, root: Hash) -> String {
        let body = Checkpoint {
            origin: self.name.clone(),
            size,
            root,
        }
        .to_string();
        let mut signature = self.verifier().id().to_vec();
        signature.extend_from_slice(&self.sign(body.as_bytes()));
        format!(
            "{body}\n\u{2014} {} {}\n",
            self.name,
            STANDARD.encode(signature)
        )
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The public half; as text a verifier key: `name+keyid+base64(0x01 || key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The origin of the log this key signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of `SHA-256(name || '\n' || 0x01 || key)`.
    pub fn id(&self) -> [u8; 4] {
        let mut bytes = self.name.as_bytes().to_vec();
        bytes.push(b'\n');
        bytes.push(ED25519);
        bytes.extend_from_slice(self.key.as_bytes());
        let [a, b, c, d, ..] = sha256(&bytes).0;
        [a, b, c, d]
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), AuditError> {
        let mismatch = || AuditError::SignatureMismatch(self.name.clone());
        let signature = Signature::from_slice(signature).map_err(|_| mismatch())?;
        self.key
            .verify_strict(message, &signature)
            .map_err(|_| mismatch())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex::encode(self.id()),
            STANDARD.encode(key)
        )
    }
}

impl FromStr for VerifierKey {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let malformed = |why| AuditError::Malformed {
            what: "verifier key",
            why,
        };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("`name+keyid+key` is expected"));
        };
        let key = STANDARD
            .decode(key)
            .map_err(|_| malformed("the key is not base64"))?;
        let Some((&ED25519, key)) = key.split_first() else {
            return Err(malformed("only Ed25519 (type 1) is known"));
        };
        let key = VerifyingKey::try_from(key).map_err(|_| malformed("not an Ed25519 key"))?;
        let parsed = Self {
            name: log_name(name)?,
            key,
        };
        if hex::encode(parsed.id()) != id {
            return Err(malformed("the key id does not belong to this name and key"));
        }
        Ok(parsed)
    }
}

fn log_name(name: &str) -> Result<String, AuditError> {
    let bad = name.is_empty()
        || name.len() > NAME_LIMIT
        || name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if bad {
        Err(AuditError::LogName(name.into()))
    } else {
        Ok(name.into())
    }
}
