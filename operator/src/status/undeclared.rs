//! Definitions of the release before do not declare every field of a status. Server-side apply refuses
//! such a field instead of dropping it, so it is taken out, and everything else is told.

use serde_json::Value;

const REFUSED: &str = ": field not declared in schema";

/// Takes out the fields that the API server's refusal names; false where it names none that is there.
pub fn take_out(patch: &mut Value, refusal: &str) -> bool {
    let mut taken = false;
    for line in refusal.lines() {
        let path = line.strip_suffix(REFUSED).unwrap_or_default();
        if let Some(start) = path.find(".status") {
            let steps = steps(path.get(start..).unwrap_or_default());
            taken |= remove(patch, &steps);
        }
    }
    taken
}

/// The fields of a path as in `.status.triggers[name="a.b"].next`: keys of list items are left out.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut in_key = false;
    for letter in path.chars() {
        match letter {
            '[' => in_key = true,
            ']' => in_key = false,
            _ if in_key => {}
            '.' => steps.push(String::new()),
            _ => {
                if let Some(step) = steps.last_mut() {
                    step.push(letter);
                }
            }
        }
    }
    steps
}

/// From every item, where a step leads through a list.
fn remove(value: &mut Value, steps: &[String]) -> bool {
    if let Value::Array(items) = value {
        let taken: Vec<_> = items.iter_mut().map(|item| remove(item, steps)).collect();
        return taken.contains(&true);
    }
    match (value.as_object_mut(), steps) {
        (Some(object), [last]) => object.remove(last).is_some(),
        (Some(object), [next, rest @ ..]) => object
            .get_mut(next)
            .is_some_and(|inner| remove(inner, rest)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::take_out;
    use serde_json::json;

    #[test]
    fn fields_that_an_older_definition_lacks_are_taken_out_and_the_rest_stays() {
        let mut patch = json!({"status": {
            "engine": "pii.2",
            "digest": "d",
            "triggers": [{"name": "a.b", "next": 1}, {"name": "c", "next": 2}],
        }});
        let refusal = "failed to create typed patch object (ns/p; aios.dev/v1alpha1, Kind=PolicySet): \
            .status.engine: field not declared in schema";
        assert!(take_out(&mut patch, refusal));
        let refusal = "failed to create typed patch object (ns/p; aios.dev/v1alpha1, Kind=X): errors:\n  \
            .status.triggers[name=\"a.b\"].next: field not declared in schema\n  \
            .status.triggers[name=\"c\"].next: field not declared in schema";
        assert!(take_out(&mut patch, refusal));
        let kept = json!({"status": {"digest": "d", "triggers": [{"name": "a.b"}, {"name": "c"}]}});
        assert_eq!(patch, kept);
    }

    #[test]
    fn other_refusals_take_nothing_out() {
        let mut patch = json!({"status": {"digest": "d"}});
        for refusal in [
            "",
            "the object has been modified",
            "etcd: .status.digest: is required",
            "x: .status.other: field not declared in schema",
            "x: .spec.digest: field not declared in schema",
        ] {
            assert!(!take_out(&mut patch, refusal), "{refusal}");
        }
        assert_eq!(patch, json!({"status": {"digest": "d"}}));
    }
}
