//! What the server adds to an object and callers read: identity, replicas and status. Defaults are left
//! out. Tens of thousands are held, so that an identity is numbers and not text.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    uid: Option<Uuid>,
    /// Seconds since 1970.
    created: Option<i64>,
    generation: Option<i64>,
    /// JSON of whatever else there is: mostly nothing.
    rest: Option<Box<str>>,
}

impl Added {
    pub fn of(live: &Value) -> Self {
        let text = |key: &str| live.pointer("/metadata")?.get(key)?.as_str();
        let uid = text("uid").and_then(|uid| {
            let parsed = Uuid::parse_str(uid).ok();
            parsed.filter(|parsed| parsed.to_string() == uid)
        });
        let created = text("creationTimestamp").and_then(|created| {
            let parsed: Option<Timestamp> = created.parse().ok();
            parsed
                .map(Timestamp::as_second)
                .filter(|second| moment(*second).as_deref() == Some(created))
        });
        let generation = live.pointer("/metadata/generation");
        let generation = generation.and_then(Value::as_i64);
        Self {
            uid,
            created,
            generation,
            rest: rest(live, uid.is_some(), created.is_some()),
        }
    }

    /// Laid over what was desired, of an object at a version.
    pub fn over(&self, mut desired: Value, version: u64) -> Value {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), version.to_string().into());
        if let Some(uid) = self.uid {
            metadata.insert("uid".into(), uid.to_string().into());
        }
        if let Some(created) = self.created.and_then(moment) {
            metadata.insert("creationTimestamp".into(), created.into());
        }
        if let Some(generation) = self.generation {
            metadata.insert("generation".into(), generation.into());
        }
        lay(&mut desired, json!({"metadata": metadata}));
        let rest = self.rest.as_deref().map(serde_json::from_str);
        if let Some(Ok(rest)) = rest {
            lay(&mut desired, rest);
        }
        desired
    }
}

/// What is not held as numbers.
fn rest(live: &Value, uid: bool, created: bool) -> Option<Box<str>> {
    let mut rest = Map::new();
    let mut metadata = Map::new();
    for (key, held) in [("uid", uid), ("creationTimestamp", created)] {
        let value = live.pointer("/metadata").and_then(|meta| meta.get(key));
        if let (Some(value), false) = (value, held) {
            metadata.insert(key.into(), value.clone());
        }
    }
    if !metadata.is_empty() {
        rest.insert("metadata".into(), metadata.into());
    }
    if let Some(replicas) = live.pointer("/spec/replicas") {
        rest.insert("spec".into(), json!({"replicas": replicas}));
    }
    if let Some(status) = live.get("status").filter(|status| **status != json!({})) {
        rest.insert("status".into(), status.clone());
    }
    (!rest.is_empty()).then(|| Value::Object(rest).to_string().into())
}

fn moment(second: i64) -> Option<String> {
    let moment = Timestamp::from_second(second).ok()?;
    Some(moment.to_string())
}

fn lay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(uid: &str, created: &str) -> Value {
        json!({"metadata": {"name": "a", "uid": uid, "resourceVersion": "12", "generation": 3,
                "creationTimestamp": created},
            "spec": {"replicas": 2, "paused": false}, "status": {"readyReplicas": 1}})
    }

    #[test]
    fn what_a_server_adds_comes_back_as_it_was() {
        let uids = ["0f0e0d0c-0b0a-4908-8706-000000000001", "NOT-A-UUID"];
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.250000Z", "?"];
        for (uid, created) in uids.iter().flat_map(|uid| times.map(|time| (*uid, time))) {
            let live = live(uid, created);
            let desired = json!({"metadata": {"name": "a"}, "spec": {"paused": true}});
            let mut expected = live.clone();
            expected["spec"]["paused"] = json!(true);
            assert_eq!(Added::of(&live).over(desired, 12), expected);
        }
    }

    #[test]
    fn an_object_without_status_is_held_without_text() {
        let mut live = live(
            "0f0e0d0c-0b0a-4908-8706-000000000001",
            "2026-01-01T00:00:00Z",
        );
        live["spec"] = json!({});
        live["status"] = json!({});
        assert_eq!(Added::of(&live).rest, None);
    }
}
