//! Tokens that a fake API server knows: `account@pod` of namespace `team`, bare or in the shape of a
//! JSON Web Token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A token that says when it ends.
pub fn token(holder: &str, expires: Timestamp) -> String {
    let claims = json!({"exp": expires.as_second(), "holder": holder});
    format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// What is answered to a review. Anything else is nobody's, and so is a token that has ended.
pub fn review(sent: &Value) -> Value {
    let token = sent
        .pointer("/spec/token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let holder = claimed(token).unwrap_or_else(|| token.to_owned());
    let status = match holder.split_once('@') {
        Some((account, pod)) => json!({
            "authenticated": true,
            "audiences": sent.pointer("/spec/audiences"),
            "user": {"username": format!("system:serviceaccount:team:{account}"), "extra": {
                "authentication.kubernetes.io/pod-name": [pod],
                "authentication.kubernetes.io/pod-uid": [format!("uid-{pod}")],
            }},
        }),
        None => json!({"authenticated": false}),
    };
    json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
        "spec": {}, "status": status})
}

fn claimed(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let end = Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()?;
    let holder = claims.get("holder")?.as_str()?;
    Some(if end > Timestamp::now() { holder } else { "" }.to_owned())
}
