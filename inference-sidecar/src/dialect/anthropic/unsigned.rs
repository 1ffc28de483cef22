//! Thoughts of models that sign none, as blocks of thinking: marked, so that they come back to such a model as they
//! were, and never reach one that would check a signature.

use serde_json::Value;

use crate::dialect::block::kind;

/// Stands for the signature. No provider's is like it.
pub const UNSIGNED: &str = "aios:unsigned";

/// Whether a block of thinking is marked so.
pub fn is_unsigned(block: &Value) -> bool {
    block.get("signature").and_then(Value::as_str) == Some(UNSIGNED)
}

/// A request without its unsigned thoughts; none where it has none, as nearly every one.
pub fn signed_only(body: &[u8]) -> Option<Vec<u8>> {
    if !std::str::from_utf8(body).is_ok_and(|text| text.contains(UNSIGNED)) {
        return None;
    }
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let mut found = false;
    for message in request.get_mut("messages")?.as_array_mut()? {
        let blocks = message.get_mut("content").and_then(Value::as_array_mut);
        if let Some(blocks) = blocks {
            let all = blocks.len();
            blocks.retain(|block| kind(block) != "thinking" || !is_unsigned(block));
            found |= blocks.len() < all;
        }
    }
    found.then(|| request.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{UNSIGNED, signed_only};

    #[test]
    fn unsigned_thoughts_alone_are_taken_out() {
        let text = json!({"type": "text", "text": "Hm."});
        let signed = json!({"type": "thinking", "thinking": "b", "signature": "c2ln"});
        let unsigned = json!({"type": "thinking", "thinking": "a", "signature": UNSIGNED});
        let said =
            |content: Value| json!({"messages": [{"role": "assistant", "content": content}]});
        let all = said(json!([unsigned, signed, text])).to_string();
        let left: Value = serde_json::from_slice(&signed_only(all.as_bytes()).unwrap()).unwrap();
        assert_eq!(left, said(json!([signed, text])));
        for body in [
            said(json!([signed, text])),
            said(json!(UNSIGNED)),
            said(json!([{"type": "text", "text": UNSIGNED}])),
        ] {
            assert_eq!(signed_only(body.to_string().as_bytes()), None);
        }
    }
}
