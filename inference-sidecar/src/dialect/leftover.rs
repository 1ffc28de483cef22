//! Fields inside a request that a converter has no word for: dropped by name, as those at its top.

use serde_json::{Map, Value};

/// What is known at a place. `[]` after a name stands for each item of its list.
pub type Known = (&'static str, &'static [&'static str]);

/// Adds the names of what is not known, once each, by their path without the indices.
pub fn leftovers(request: &Map<String, Value>, places: &[Known], dropped: &mut Vec<String>) {
    for (place, known) in places {
        let steps: Vec<_> = place.split('.').collect();
        each(request, &steps, &mut |fields| {
            for (name, _) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{}.{name}", place.replace("[]", ""));
                if !known.contains(&name.as_str()) && !dropped.contains(&path) {
                    dropped.push(path);
                }
            }
        });
    }
}

fn each(fields: &Map<String, Value>, steps: &[&str], take: &mut impl FnMut(&Map<String, Value>)) {
    let Some((step, rest)) = steps.split_first() else {
        return take(fields);
    };
    match (step.strip_suffix("[]"), step) {
        (Some(name), _) => {
            let items = fields.get(name).and_then(Value::as_array);
            let items = items.into_iter().flatten().filter_map(Value::as_object);
            items.for_each(|item| each(item, rest, take));
        }
        (None, name) => {
            if let Some(inner) = fields.get(*name).and_then(Value::as_object) {
                each(inner, rest, take);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Known, leftovers};

    #[test]
    fn what_is_not_known_is_named_once_by_its_path() {
        let request = json!({"messages": [
            {"role": "user", "content": "x", "name": "n"},
            {"role": "user", "name": "n", "content": [{"type": "text", "mark": 1, "other": null}]},
            7,
        ], "tools": {"a": 1}, "metadata": {"b": 2}});
        let places: [Known; 4] = [
            ("messages[]", &["role", "content"]),
            ("messages[].content[]", &["type"]),
            ("tools[]", &[]),
            ("metadata", &["c"]),
        ];
        let Value::Object(request) = request else {
            unreachable!()
        };
        let mut dropped = vec!["seed".to_owned()];
        leftovers(&request, &places, &mut dropped);
        let named = [
            "seed",
            "messages.name",
            "messages.content.mark",
            "metadata.b",
        ];
        assert_eq!(dropped, named);
    }
}
