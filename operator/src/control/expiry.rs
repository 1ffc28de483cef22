//! When a token ends. The API server vouched for the token, so its claims may be read unverified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

/// `exp` of a JSON Web Token (RFC 7519), if it says so.
pub fn expiry(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, URL_SAFE_NO_PAD, expiry};
    use base64::Engine;

    #[test]
    fn the_end_of_a_token_is_read_from_its_claims() {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000}"#));
        assert_eq!(
            expiry(&token).map(Timestamp::as_second),
            Some(1_700_000_000)
        );
    }

    #[test]
    fn what_is_no_token_has_no_end() {
        for text in ["", "a.b.c", "opaque"] {
            assert!(expiry(text).is_none());
        }
    }
}
