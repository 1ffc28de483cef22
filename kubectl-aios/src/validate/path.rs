//! Paths of fields as people write them, and the schema they lead to.

use serde_json::Value;

/// `/spec/rules/0/name` as `spec.rules[0].name`.
pub(super) fn readable(root: &str, pointer: &str) -> String {
    pointer
        .split('/')
        .skip(1)
        .fold(root.to_owned(), |path, segment| {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            if segment.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("{path}[{segment}]")
            } else {
                child(&path, &segment)
            }
        })
}

pub(super) fn child(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// The schema of what a JSON pointer leads to.
pub(super) fn schema_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer
        .split('/')
        .skip(1)
        .try_fold(schema, |schema, segment| {
            schema
                .get("properties")
                .and_then(|properties| properties.get(segment))
                .or_else(|| schema.get("items"))
                .or_else(|| schema.get("additionalProperties"))
        })
}

/// The name most like the given one, if it is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|known| (distance(&folded, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (right, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = *cell;
            *cell = substituted.min(*cell + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest, readable};

    #[test]
    fn pointers_become_paths() {
        assert_eq!(readable("spec", "/rules/0/name"), "spec.rules[0].name");
    }

    #[test]
    fn distances_are_levenshtein_distances() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["policyRefs", "publish", "models"];
        assert_eq!(nearest("policyrefs", known), Some("policyRefs"));
        assert_eq!(nearest("publsh", known), Some("publish"));
        assert_eq!(nearest("zzz", known), None);
    }
}
