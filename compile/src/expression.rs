//! CEL of routes: compiles, reads only what routes may decide by, and gives true or false.

use cel::{Context, Program, Value};

use crate::{Diagnostic, Place};

/// Longest nesting that the parser is given: deeper input only comes from mistakes or malice.
const MAX_NESTING: usize = 64;

/// What conditions read.
const VARIABLES: [&str; 3] = ["labels", "language", "tokens"];

/// Checks a condition over `labels` (with exactly these names), `language` and `tokens`.
pub fn condition(path: &str, source: &str, labels: &[&str]) -> Option<Diagnostic> {
    let remedy = "write a CEL condition over labels, language and tokens, as in \
                  `labels.segment == \"savings\"`";
    if nesting(source) > MAX_NESTING {
        return Some(Diagnostic::new(path, "is nested too deeply", remedy));
    }
    let program = match Program::compile(source) {
        Ok(program) => program,
        Err(errors) => {
            let first = errors.errors.first();
            let message = first.map_or("is not CEL", |error| error.msg.as_str());
            let place = first.and_then(|error| {
                let line = u32::try_from(error.pos.0).ok()?.max(1);
                Some(Place {
                    line,
                    column: u32::try_from(error.pos.1).ok(),
                })
            });
            return Some(Diagnostic::new(path, one_line(message), remedy).at(place));
        }
    };
    let references = program.references();
    let mut unknown: Vec<_> = references
        .variables()
        .into_iter()
        .filter(|v| !VARIABLES.contains(v))
        .collect();
    unknown.sort_unstable();
    if let Some(name) = unknown.first() {
        return Some(Diagnostic::new(
            path,
            format!("`{name}` is unknown to routes"),
            "decide by labels, language and tokens only; add the variable to spec.content.labels if it is \
             impersonal",
        ));
    }
    match trial(&program, labels) {
        Ok(Value::Bool(_)) => None,
        Ok(other) => Some(Diagnostic::new(
            path,
            format!("gives a {}, not true or false", other.type_of()),
            remedy,
        )),
        Err(error) => Some(Diagnostic::new(
            path,
            format!("cannot be evaluated: {error}"),
            format!("labels here are: {}", listed(labels)),
        )),
    }
}

/// One evaluation with every label empty: finds unknown labels, functions and wrong types where no
/// short circuit hides them.
fn trial(program: &Program, labels: &[&str]) -> Result<Value, cel::ExecutionError> {
    let mut context = Context::default();
    let values: std::collections::HashMap<String, String> = labels
        .iter()
        .map(|name| ((*name).to_owned(), String::new()))
        .collect();
    context.add_variable_from_value("labels", values);
    context.add_variable_from_value("language", "en".to_owned());
    context.add_variable_from_value("tokens", 0_i64);
    program.execute(&context)
}

fn nesting(source: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none (spec.content.labels is empty)".into()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::condition;

    #[test]
    fn conditions_over_labels_language_and_tokens_pass() {
        for source in [
            "labels.writer == \"scripted\"",
            "language in ['de', 'ar']",
            "tokens > 2000 && language != 'en'",
            "true",
        ] {
            assert_eq!(condition("p", source, &["writer"]), None, "{source}");
        }
    }

    #[test]
    fn other_conditions_are_refused() {
        for source in [
            "labels.writer = \"scripted\"",
            "labels.wroter == \"scripted\"",
            "vars.customer.name == 'x'",
            "language",
            "tokens",
            "nosuch(language)",
            &"(".repeat(500),
        ] {
            assert!(condition("p", source, &["writer"]).is_some(), "{source}");
        }
    }
}
