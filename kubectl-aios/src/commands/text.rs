//! Words that several commands share.

use aios_policy::{Difference, Finding, Part, RuleSummary, Trial, Verdict};

/// `12s`, `5m`, `3h` or `2d`, as kubectl prints ages.
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7_200 => format!("{}m", s / 60),
        s @ 7_200..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// `policy/rule (action): message`, and where.
pub fn finding(finding: &Finding) -> String {
    let spans = finding.spans.iter();
    let spans = spans.map(|span| format!("{} {}..{}", span.part, span.start, span.end));
    let inputs = finding.inputs.iter();
    let inputs = inputs.map(|span| format!("{} {}..{}", span.input, span.start, span.end));
    let places: Vec<_> = spans.chain(inputs).take(5).collect();
    let Finding {
        policy,
        rule,
        message,
        ..
    } = finding;
    let at = if places.is_empty() {
        String::new()
    } else {
        format!(" [{}]", places.join(", "))
    };
    format!("{policy}/{rule} ({:?}): {message}{at}", finding.action)
}

/// The verdict in lines.
pub fn verdict(verdict: &Verdict) -> Vec<String> {
    let errors = verdict.errors.iter().map(|error| {
        format!(
            "{}/{} could not run ({:?}): {}",
            error.policy, error.rule, error.on_error, error.message
        )
    });
    let sampled = if verdict.sampled { " (sampled)" } else { "" };
    let dry = verdict.dry_run.iter().flat_map(|dry| {
        let action = dry.action.as_str();
        let would = format!("dry run of {}: would be {action}", dry.policy.name);
        let found = dry
            .findings
            .iter()
            .map(|found| format!("  {}", finding(found)));
        std::iter::once(would).chain(found)
    });
    std::iter::once(format!("verdict: {}{sampled}", verdict.action.as_str()))
        .chain(
            verdict
                .findings
                .iter()
                .map(|found| format!("  {}", finding(found))),
        )
        .chain(errors.map(|error| format!("  {error}")))
        .chain(dry)
        .collect()
}

/// A test in lines: what was expected and is not so with `-`, what is so instead with `+`.
pub fn trial(policy: &str, trial: &Trial) -> Vec<String> {
    let word = if trial.passes() { "pass" } else { "FAIL" };
    let mut lines = vec![format!("{word} {policy}/{}", trial.name)];
    for difference in &trial.differences {
        match difference {
            Difference::Action { expected, found } => {
                lines.push(format!("  - action: {}", expected.as_str()));
                lines.push(format!("  + action: {}", found.as_str()));
            }
            Difference::Silent { rule } => lines.push(format!("  - rule: {rule}")),
            Difference::Fired { rule, error: None } => lines.push(format!("  + rule: {rule}")),
            Difference::Fired {
                rule,
                error: Some(error),
            } => lines.push(format!("  + rule: {rule} (could not run: {error})")),
        }
    }
    if !trial.passes() {
        lines.extend(
            verdict(&trial.verdict)
                .into_iter()
                .map(|line| format!("  {line}")),
        );
    }
    lines
}

/// Rules as a table: one a line, under a heading.
pub fn rules(rules: &[RuleSummary]) -> Vec<String> {
    let head = [
        "RULE", "CHECK", "ACTION", "ON ERROR", "PARTS", "WHEN", "STREAMS",
    ];
    let rows = rules.iter().map(|rule| {
        let parts: Vec<_> = rule.parts.iter().map(ToString::to_string).collect();
        [
            rule.name.clone(),
            rule.check.as_str().to_owned(),
            format!("{:?}", rule.action),
            format!("{:?}", rule.on_error),
            if parts.is_empty() {
                "all".to_owned()
            } else {
                parts.join(",")
            },
            if rule.conditional { "yes" } else { "-" }.to_owned(),
            rule.class.as_str().to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max();
            format!("{cell:width$}", width = width.unwrap_or_default())
        });
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    });
    lines.collect()
}

/// The text of a part with every span that a finding names between `[[` and `]]`.
pub fn marked(part: &Part, verdict: Option<&Verdict>) -> String {
    let findings = verdict.into_iter().flat_map(|verdict| &verdict.findings);
    let mut spans: Vec<(usize, usize)> = findings
        .filter(|finding| !finding.after_redaction)
        .flat_map(|finding| &finding.spans)
        .filter(|span| span.part == part.name)
        .map(|span| (span.start as usize, span.end as usize))
        .collect();
    spans.sort_unstable();
    let mut text = String::with_capacity(part.text.len());
    let mut at = 0;
    for (start, end) in spans {
        let start = start.max(at);
        let (Some(before), Some(inside)) = (part.text.get(at..start), part.text.get(start..end))
        else {
            continue;
        };
        text.push_str(before);
        if !inside.is_empty() {
            text.push_str("[[");
            text.push_str(inside);
            text.push_str("]]");
        }
        at = end;
    }
    text.push_str(part.text.get(at..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use aios_policy::{Part, PartKind, Verdict};
    use serde_json::json;

    use super::{age, marked};

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(5, "5s"), (300, "5m"), (10_800, "3h"), (259_200, "3d")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn spans_are_marked_also_where_they_overlap() {
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: "Acmé and Bolt".into(),
        };
        let zero = format!("sha256:{}", "0".repeat(64));
        let span = |start: u32, end: u32| json!({"part": "text", "start": start, "end": end});
        let found = |spans| {
            json!({"policy": "p", "rule": "r", "check": "terms", "action": "Review",
                "message": "m", "spans": spans})
        };
        let verdict: Verdict = serde_json::from_value(json!({
            "action": "Review", "document": zero, "policies": [], "engine": "1",
            "findings": [found(json!([span(0, 5), span(10, 14)])), found(json!([span(3, 9)]))],
        }))
        .unwrap();
        assert_eq!(marked(&part, Some(&verdict)), "[[Acmé]][[ and]] [[Bolt]]");
        assert_eq!(marked(&part, None), "Acmé and Bolt");
    }
}
