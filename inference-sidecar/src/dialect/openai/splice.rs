//! Changes fields at the top of a JSON object in place: every other byte stays as it was.

use std::{borrow::Cow, ops::Range};

/// A field of the top object, as byte ranges.
struct Field<'a> {
    key: Cow<'a, [u8]>,
    /// Where the key starts.
    start: usize,
    value: Range<usize>,
}

/// Sets fields of a JSON object to the given JSON texts; fields that are missing are added at the
/// end. None when `body` is not an object.
pub fn set(body: &[u8], changes: &[(&str, String)]) -> Option<Vec<u8>> {
    let (fields, end) = fields(body)?;
    let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
    let mut added = String::new();
    for (name, json) in changes {
        let mut found = false;
        // A doubled key is set everywhere, so that no reader sees the old value.
        for field in fields.iter().filter(|field| *field.key == *name.as_bytes()) {
            edits.push((field.value.clone(), json));
            found = true;
        }
        if !found {
            if !fields.is_empty() || !added.is_empty() {
                added.push(',');
            }
            added.extend(["\"", *name, "\":", json.as_str()]);
        }
    }
    edits.push((end..end, &added));
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = Vec::with_capacity(body.len() + added.len() + 64);
    let mut at = 0;
    for (range, text) in edits {
        out.extend_from_slice(body.get(at..range.start)?);
        out.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(body.get(at..)?);
    Some(out)
}

/// Takes a field out of a JSON object. None when it is not there.
pub fn without(body: &[u8], name: &str) -> Option<Vec<u8>> {
    let (fields, end) = fields(body)?;
    let kept = fields.iter().filter(|field| *field.key != *name.as_bytes());
    let kept: Vec<&[u8]> = kept
        .map(|field| body.get(field.start..field.value.end))
        .collect::<Option<_>>()?;
    if kept.len() == fields.len() {
        return None;
    }
    let open = body.get(..=space(body, 0))?;
    Some([open, &kept.join(&b','), body.get(end..)?].concat())
}

/// The fields, and the end of the last value (or of the opening brace).
fn fields(body: &[u8]) -> Option<(Vec<Field<'_>>, usize)> {
    let mut at = space(body, 0);
    if *body.get(at)? != b'{' {
        return None;
    }
    at += 1;
    let mut found = Vec::new();
    let mut end = at;
    loop {
        at = space(body, at);
        match *body.get(at)? {
            b'}' => return Some((found, end)),
            b',' => at = space(body, at + 1),
            _ => {}
        }
        let (start, key_end) = (at, string(body, at)?);
        let key = key(body.get(start..key_end)?)?;
        at = space(body, key_end);
        if *body.get(at)? != b':' {
            return None;
        }
        let value_start = space(body, at + 1);
        end = value(body, value_start)?;
        found.push(Field {
            key,
            start,
            value: value_start..end,
        });
        at = end;
    }
}

/// What a quoted key says.
fn key(quoted: &[u8]) -> Option<Cow<'_, [u8]>> {
    if quoted.contains(&b'\\') {
        let key: String = serde_json::from_slice(quoted).ok()?;
        return Some(Cow::Owned(key.into_bytes()));
    }
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    Some(Cow::Borrowed(inner))
}

fn space(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}

/// End of the string that starts at `at`.
fn string(body: &[u8], at: usize) -> Option<usize> {
    if *body.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        match *body.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// End of the value that starts at `at`.
fn value(body: &[u8], at: usize) -> Option<usize> {
    match *body.get(at)? {
        b'"' => string(body, at),
        b'{' | b'[' => nested(body, at),
        _ => {
            let rest = body.get(at..)?;
            let len = rest
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace())?;
            Some(at + len)
        }
    }
}

fn nested(body: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match *body.get(at)? {
            b'"' => at = string(body, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{set, without};

    fn spliced(body: &str, changes: &[(&str, &str)]) -> String {
        let changes: Vec<_> = changes.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        String::from_utf8(set(body.as_bytes(), &changes).unwrap()).unwrap()
    }

    #[test]
    fn only_the_named_values_change() {
        let body = r#" { "x" : 1.000 , "model":"auto", "deep": {"model": ["}\"", "é"]} } "#;
        assert_eq!(
            spliced(body, &[("model", "\"m\""), ("max_tokens", "5")]),
            r#" { "x" : 1.000 , "model":"m", "deep": {"model": ["}\"", "é"]},"max_tokens":5 } "#
        );
    }

    #[test]
    fn an_escaped_key_is_the_same_key() {
        assert_eq!(
            spliced(r#"{"mod\u0065l":1}"#, &[("model", "2")]),
            r#"{"mod\u0065l":2}"#
        );
    }

    #[test]
    fn a_field_is_taken_out_wherever_it_stands() {
        let taken = |body: &str| without(body.as_bytes(), "x").map(String::from_utf8);
        for (body, rest) in [
            (r#"{"x":1,"a":{"x":2}}"#, r#"{"a":{"x":2}}"#),
            (
                r#" {"a": 1.0, "x":[1, 2], "b":3 } "#,
                r#" {"a": 1.0,"b":3 } "#,
            ),
            (r#"{"x":1,"\u0078":2}"#, "{}"),
        ] {
            assert_eq!(taken(body), Some(Ok(rest.to_owned())));
        }
        assert_eq!(taken(r#"{"a":1}"#), None);
        assert_eq!(taken("[]"), None);
    }

    #[test]
    fn an_empty_object_takes_fields() {
        assert_eq!(spliced("{}", &[("a", "1"), ("b", "2")]), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[1]", "{", r#"{"a"}"#, r#"{"a":"#, r#"{"a":"x"#] {
            assert_eq!(set(body.as_bytes(), &[]), None, "{body}");
        }
    }
}
