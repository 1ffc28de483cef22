//! What servers of texts say when they refuse: `{"error": …}`, from BentoML with `detail` or in a list, or
//! `{"detail": …}` alone.

use serde_json::Value;

/// One line of what a body says; empty where it says nothing.
pub fn problem(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let body = body.get(0).unwrap_or(&body);
    let error = body.get("error").and_then(Value::as_str);
    let detail = body.get("detail").and_then(|detail| match detail {
        Value::String(text) => Some(text.clone()),
        Value::Array(problems) => problems.first().map(field),
        _ => None,
    });
    let said: Vec<&str> = error.into_iter().chain(detail.as_deref()).collect();
    said.join(": ")
}

/// A field and what is wrong with it, without what it held.
fn field(problem: &Value) -> String {
    let path: Vec<String> = problem
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|part| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        })
        .collect();
    let message = problem.get("msg").and_then(Value::as_str);
    format!("{}: {}", path.join("."), message.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case(
        r#"{"error": "Model with name x does not exist."}"#,
        "Model with name x does not exist."
    )]
    #[case(
        r#"{"error": "1 validation error for Input", "detail": [
            {"type": "missing", "loc": ["prompt"], "msg": "Field required"}]}"#,
        "1 validation error for Input: prompt: Field required"
    )]
    #[case(r#"[{"error": "no"}]"#, "no")]
    #[case(
        r#"{"detail": [{"loc": ["body", 0, "name"], "msg": "too long", "input": "Zoë"}]}"#,
        "body.0.name: too long"
    )]
    #[case(r#"{"detail": "Not Found"}"#, "Not Found")]
    #[case("<html>", "")]
    fn every_servers_refusal_is_one_line(#[case] body: &str, #[case] line: &str) {
        assert_eq!(super::problem(body.as_bytes()), line);
    }
}
