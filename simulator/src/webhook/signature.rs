//! Standard Webhooks, symmetric scheme: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use crate::SimulatorError;

/// A shared secret; as text `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Why a POST is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the header webhook-id is missing or empty")]
    NoId,
    #[error("the header webhook-timestamp is missing or not seconds since 1970")]
    NoTimestamp,
    #[error("webhook-timestamp is too far from this clock")]
    Stale,
    #[error("the header webhook-signature is missing")]
    NoSignature,
    #[error("no signature in webhook-signature matches")]
    WrongSignature,
}

impl Refusal {
    /// Whether the sender could not prove who it is, rather than sent something malformed.
    pub const fn is_authentication(self) -> bool {
        !matches!(self, Self::NoId)
    }
}

/// The delivery's id, and its signature if there are secrets to check it with. `now` is in seconds.
pub fn verify<'h>(
    secrets: &[Secret],
    tolerance: u64,
    now: u64,
    headers: &'h HeaderMap,
    body: &[u8],
) -> Result<&'h str, Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let id = text("webhook-id")
        .filter(|id| !id.is_empty())
        .ok_or(Refusal::NoId)?;
    if secrets.is_empty() {
        return Ok(id);
    }
    let timestamp = text("webhook-timestamp").ok_or(Refusal::NoTimestamp)?;
    let seconds: u64 = timestamp.parse().map_err(|_| Refusal::NoTimestamp)?;
    if seconds.abs_diff(now) > tolerance {
        return Err(Refusal::Stale);
    }
    let sent = text("webhook-signature").ok_or(Refusal::NoSignature)?;
    let matches = sent
        .split(' ')
        .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
        .any(|tag| {
            secrets
                .iter()
                .any(|secret| secret.verifies(id, timestamp, body, &tag))
        });
    if matches {
        Ok(id)
    } else {
        Err(Refusal::WrongSignature)
    }
}

impl Secret {
    /// The value of `webhook-signature`, for senders in tests.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
        let tag = self.mac(id, timestamp, body)?.finalize().into_bytes();
        Some(format!("v1,{}", STANDARD.encode(tag)))
    }

    fn verifies(&self, id: &str, timestamp: &str, body: &[u8], tag: &[u8]) -> bool {
        self.mac(id, timestamp, body)
            .is_some_and(|mac| mac.verify_slice(tag).is_ok())
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(mac)
    }
}

impl FromStr for Secret {
    type Err = SimulatorError;

    fn from_str(text: &str) -> Result<Self, SimulatorError> {
        text.strip_prefix("whsec_")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|bytes| (24..=64).contains(&bytes.len()))
            .map(Self)
            .ok_or(SimulatorError::Secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const NOW: u64 = 1_614_265_330;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn headers(signature: &str, timestamp: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", ID.parse().unwrap());
        headers.insert("webhook-timestamp", timestamp.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        verify(&[SECRET.parse().unwrap()], 300, NOW, headers, body).map(|_| ())
    }

    #[test]
    fn the_published_example_verifies_and_is_what_we_sign() {
        assert_eq!(check(&headers(SIGNATURE, NOW), BODY), Ok(()));
        let secret: Secret = SECRET.parse().unwrap();
        assert_eq!(secret.sign(ID, &NOW.to_string(), BODY).unwrap(), SIGNATURE);
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        assert_eq!(
            check(
                &headers(&format!("v1a,AAAA v1,AAAA {SIGNATURE}"), NOW),
                BODY
            ),
            Ok(())
        );
    }

    #[test]
    fn what_was_changed_or_is_stale_is_refused() {
        let refusal = |signature, time, body| check(&headers(signature, time), body).unwrap_err();
        assert_eq!(refusal(SIGNATURE, NOW, b"other"), Refusal::WrongSignature);
        assert_eq!(refusal("v1,AAAA", NOW, BODY), Refusal::WrongSignature);
        assert_eq!(refusal(SIGNATURE, NOW + 1, BODY), Refusal::WrongSignature);
        assert_eq!(refusal(SIGNATURE, NOW - 301, BODY), Refusal::Stale);
        assert_eq!(check(&HeaderMap::new(), BODY), Err(Refusal::NoId));
    }

    #[test]
    fn secrets_of_another_shape_are_refused_and_never_printed() {
        for bad in [
            "",
            "whsec_",
            "whsec_AAAA",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(bad.parse::<Secret>().is_err(), "{bad}");
        }
        assert_eq!(
            format!("{:?}", SECRET.parse::<Secret>().unwrap()),
            "Secret(..)"
        );
    }
}
