//! Standard Webhooks 1.0.0, symmetric scheme: `v1,` and base64 of HMAC-SHA256 over
//! `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

/// A signing key from `whsec_` and base64; none if the text is no such secret.
pub fn key(secret: &[u8]) -> Option<hmac::Key> {
    let text = std::str::from_utf8(secret)
        .ok()?
        .trim()
        .strip_prefix("whsec_")?;
    let bytes = STANDARD.decode(text).ok()?;
    (24..=64)
        .contains(&bytes.len())
        .then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The value of `webhook-signature`.
pub fn signature(key: &hmac::Key, id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::{key, signature};

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key = key(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_gives_no_key() {
        for text in ["", "abc", "whsec_", "whsec_?", "whsec_c2hvcnQ="] {
            assert!(key(text.as_bytes()).is_none(), "{text}");
        }
    }
}
