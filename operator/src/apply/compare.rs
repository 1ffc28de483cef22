//! Whether an object already is as desired, so that an apply that changes nothing is never sent.
//! Pure: what the server has and what is wanted come in as JSON.

use aios_proto::canonical;
use serde_json::{Map, Value};

use crate::names::ANNOTATION_APPLIED;

/// Writes the digest of `desired` into its annotations, and returns it. Removed fields change it,
/// which a comparison of the wanted fields alone would not see.
pub fn stamp(desired: &mut Value) -> Result<String, serde_json::Error> {
    let digest = canonical::digest(&canonical::to_vec(desired)?);
    if let Some(metadata) = object(desired).and_then(|root| child(root, "metadata"))
        && let Some(annotations) = child(metadata, "annotations")
    {
        annotations.insert(ANNOTATION_APPLIED.into(), digest.clone().into());
    }
    Ok(digest)
}

/// Whether every field of `desired` stands in `live`. Defaults and other managers' fields do not
/// count; quantities are compared as numbers.
pub fn is_as_desired(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(key, wanted)| {
            match live.get(key) {
                Some(found) => is_as_desired(wanted, found),
                // The server leaves out what is empty.
                None => is_empty(wanted),
            }
        }),
        (Value::Array(desired), Value::Array(live)) => match list_key(desired) {
            Some(key) => desired.iter().all(|wanted| {
                live.iter()
                    .any(|found| found.get(key) == wanted.get(key) && is_as_desired(wanted, found))
            }),
            None => {
                desired.len() == live.len()
                    && desired
                        .iter()
                        .zip(live)
                        .all(|(wanted, found)| is_as_desired(wanted, found))
            }
        },
        (Value::String(desired), Value::String(live)) => {
            desired == live || same_quantity(desired, live)
        }
        (desired, live) => desired == live,
    }
}

/// The key by which elements are merged, when all of them have it.
fn list_key(list: &[Value]) -> Option<&'static str> {
    ["uid", "name", "containerPort", "port", "type"]
        .into_iter()
        .find(|key| !list.is_empty() && list.iter().all(|item| item.get(key).is_some()))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
    }
}

/// Whether two quantities are equal, as `1000m` and `1`, or `1024Mi` and `1Gi`.
fn same_quantity(left: &str, right: &str) -> bool {
    matches!((quantity(left), quantity(right)), (Some(left), Some(right)) if left == right)
}

/// A Kubernetes quantity in thousandths.
pub fn quantity(text: &str) -> Option<u128> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let thousandths = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_u128.pow(2),
        "G" => 1000 * 1000_u128.pow(3),
        "T" => 1000 * 1000_u128.pow(4),
        "Ki" => 1000 * 1024,
        "Mi" => 1000 * 1024_u128.pow(2),
        "Gi" => 1000 * 1024_u128.pow(3),
        "Ti" => 1000 * 1024_u128.pow(4),
        _ => return None,
    };
    number.parse::<u128>().ok()?.checked_mul(thousandths)
}

fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.as_object_mut()
}

fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{is_as_desired, stamp};
    use serde_json::json;

    #[test]
    fn defaults_and_foreign_fields_are_no_difference() {
        let desired = json!({"spec": {"replicas": 1, "ports": [{"name": "a", "port": 1}]}});
        let live = json!({"spec": {"replicas": 1, "type": "ClusterIP",
            "ports": [{"name": "a", "port": 1, "protocol": "TCP"}]}, "status": {}});
        assert!(is_as_desired(&desired, &live));
    }

    #[test]
    fn a_changed_value_is_a_difference() {
        let desired = json!({"spec": {"replicas": 1}});
        assert!(!is_as_desired(&desired, &json!({"spec": {"replicas": 2}})));
        assert!(!is_as_desired(&desired, &json!({"spec": {}})));
    }

    #[test]
    fn an_element_of_a_keyed_list_is_found_wherever_it_stands() {
        let desired = json!([{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]);
        let live = json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]);
        assert!(is_as_desired(&desired, &live));
    }

    #[test]
    fn owner_references_of_others_are_no_difference() {
        let desired = json!({"ownerReferences": [{"uid": "1", "name": "a"}]});
        let live =
            json!({"ownerReferences": [{"uid": "2", "name": "b"}, {"uid": "1", "name": "a"}]});
        assert!(is_as_desired(&desired, &live));
    }

    #[test]
    fn quantities_are_compared_as_numbers() {
        assert!(is_as_desired(
            &json!({"cpu": "1000m"}),
            &json!({"cpu": "1"})
        ));
        assert!(is_as_desired(
            &json!({"memory": "1024Mi"}),
            &json!({"memory": "1Gi"})
        ));
        assert!(!is_as_desired(
            &json!({"cpu": "500m"}),
            &json!({"cpu": "1"})
        ));
    }

    #[test]
    fn what_the_server_drops_because_it_is_empty_is_no_difference() {
        let desired = json!({"spec": {"selector": {}, "egress": [], "hostNetwork": false}});
        assert!(is_as_desired(&desired, &json!({"spec": {}})));
    }

    #[test]
    fn a_removed_field_shows_in_the_stamp() {
        let mut with = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}});
        let mut without = json!({"metadata": {"name": "a"}, "data": {"x": "1"}});
        stamp(&mut with).unwrap();
        stamp(&mut without).unwrap();
        assert!(!is_as_desired(&without, &with));
    }
}
