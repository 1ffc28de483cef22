//! Canonical JSON: one byte form for one value, whatever features other crates turn on.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Serialises with sorted keys and no white space. Nulls in objects are left out, so that an
/// optional field that is unset and one that is missing give the same bytes.
///
/// # Errors
/// When the value has no JSON form.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    write(&mut out, &serde_json::to_value(value)?)?;
    Ok(out)
}

/// `sha256:` and 64 hex digits.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), serde_json::Error> {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write(out, value)?;
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item)?;
            }
            out.push(b']');
        }
        scalar => serde_json::to_writer(out, scalar)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn key_order_and_unset_fields_do_not_change_the_bytes() {
        let bytes = super::to_vec(&json!({"b": [1, {"y": 2, "x": null}], "a": "é"})).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"{"a":"é","b":[1,{"y":2}]}"#
        );
    }
}
