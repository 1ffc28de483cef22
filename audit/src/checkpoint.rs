use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{AuditError, Hash, VerifierKey};

/// The head of a log: how many leaves it has and the root over them (C2SP tlog-checkpoint).
/// `Display` gives the unsigned body: origin, size and base64 root, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            STANDARD.encode(self.root.0)
        )
    }
}

impl Checkpoint {
    /// Reads a signed checkpoint without trusting it: no signature is checked.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        Self::split(text).map(|(checkpoint, _)| checkpoint)
    }

    /// Reads a signed checkpoint and checks that `key` signed it. Other signature lines, such as
    /// those of witnesses, are passed over.
    pub fn verify(text: &str, key: &VerifierKey) -> Result<Self, AuditError> {
        let (checkpoint, signatures) = Self::split(text)?;
        if checkpoint.origin != key.name() {
            return Err(AuditError::UnknownSigner(key.name().into()));
        }
        let ours = |line: &str| signature_by(line, key);
        let signature = signatures
            .lines()
            .find_map(ours)
            .ok_or_else(|| AuditError::UnknownSigner(key.name().into()))?;
        key.verify(checkpoint.to_string().as_bytes(), &signature)?;
        Ok(checkpoint)
    }

    fn split(text: &str) -> Result<(Self, &str), AuditError> {
        let malformed = |why| AuditError::Malformed {
            what: "checkpoint",
            why,
        };
        let (body, signatures) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("no blank line before the signatures"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("origin, size and root are expected, a line each"));
        };
        let root = STANDARD
            .decode(root)
            .map_err(|_| malformed("the root is not base64"))?;
        let checkpoint = Self {
            origin: origin.into(),
            size: size
                .parse()
                .map_err(|_| malformed("the size is not a number"))?,
            root: Hash(
                root.try_into()
                    .map_err(|_| malformed("the root is not 32 bytes"))?,
            ),
        };
        // Rules out a second spelling, such as a size with leading zeros.
        if checkpoint.to_string().trim_end_matches('\n') != body {
            return Err(malformed("not in canonical form"));
        }
        if !signatures.ends_with('\n') {
            return Err(malformed("the last line is cut"));
        }
        Ok((checkpoint, signatures))
    }
}

/// The signature in `line` if it claims to be by `key`: `— name base64(keyid || signature)`.
fn signature_by(line: &str, key: &VerifierKey) -> Option<Vec<u8>> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    if name != key.name() {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    bytes.strip_prefix(&key.id()).map(<[u8]>::to_vec)
}
