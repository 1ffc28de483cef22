//! What must hold of any text under a rule of any kind, for the fuzz targets that bear the checks' names and
//! for the test of their corpora. The first line is what the rule says, the rest what it reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::{Review, Rule};
use aios_policy::{
    Answer, Check, Collected, CompiledPolicy, Document, Evidence, Inputs, Judgement, Others, Part,
    PartName, PolicyStack, Query, RuleErrorReason,
};
use serde_json::{Value, json};

/// Verdicts repeat, their spans can be cut, and what goes on instead is judged as it is, whatever rule and
/// text are; or the rule is refused.
pub fn any_check(name: &str, bytes: &[u8]) {
    let all = String::from_utf8_lossy(bytes);
    let (said, text) = all.split_once('\n').unwrap_or(("", &all));
    let check = Check::ALL.into_iter().find(|check| check.as_str() == name);
    let check = check.expect("a target is named as a check");
    let Some(mut rule) = rule(check, said) else {
        return;
    };
    rule["name"] = json!("r");
    let mends = rule.pointer("/style/numbers").is_none();
    rule["action"] = json!(if mends { action(check) } else { "Review" });
    let Ok(rule) = serde_json::from_value::<Rule>(rule) else {
        return;
    };
    let rules = [rule];
    let Ok(policy) = CompiledPolicy::compile("p", &rules, &Review::default()) else {
        return;
    };
    assert_eq!(aios_policy::revisions(&rules), policy.revisions());
    let Some(document) = document(text) else {
        return;
    };
    let policy = Arc::new(policy);
    let stack = PolicyStack::new(vec![policy.clone()]);
    let variables = if check == Check::Leak {
        json!({"customer": {"value": "of nobody else"}})
    } else {
        json!({"said": said, "text": text, "list": [said]})
    };
    // Another person's record holds what the first line says.
    let others = json!({"customer": {"value": said}});
    let others = Others::of(&[others], &policy.identifiers());
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: if check == Check::Language { said } else { "en" },
        passages: if check == Check::Injection {
            &[text]
        } else {
            &[said]
        },
        template: if check == Check::Disclosure {
            &[said]
        } else {
            &[]
        },
        step: aios_policy::Step::Final,
    };
    let evidence = answered(&stack, &document, &inputs);
    let judge = || policy.conclude_among(&document, &inputs, &evidence, &others);
    let evaluation = judge();
    assert_eq!(evaluation, judge());
    let unknown = [RuleErrorReason::Unavailable, RuleErrorReason::Missing];
    let errors = &evaluation.verdict.errors;
    let searched = !errors.iter().any(|error| unknown.contains(&error.reason));
    assert!(searched || check == Check::Cel, "{errors:?}");
    for finding in &evaluation.verdict.findings {
        let read = match &evaluation.redacted {
            Some(redacted) if finding.after_redaction => redacted,
            _ if finding.after_redaction => continue,
            _ => &document,
        };
        for span in &finding.spans {
            let part = read
                .part(span.part.as_str())
                .expect("a part of the document");
            let range = span.start as usize..span.end as usize;
            assert!(part.text.get(range).is_some(), "{finding:?}");
        }
        for span in &finding.inputs {
            let source = match span.input.as_str() {
                "vars.said" | "vars.list[0]" => said,
                _ => text,
            };
            let range = span.start as usize..span.end as usize;
            assert!(source.get(range).is_some(), "{finding:?}");
        }
    }
}

fn answered(stack: &PolicyStack, document: &Document, inputs: &Inputs<'_>) -> Collected {
    let mut evidence = Collected::default();
    if let Judgement::Needs(queries) = stack.evaluate_with(document, inputs, &evidence) {
        for query in queries {
            let Query::Moderation { text, .. } = &query;
            let scores = BTreeMap::from([("hate".to_owned(), u32::try_from(text.len()).unwrap())]);
            evidence.add(Evidence {
                query: query.digest(),
                by: "judge".into(),
                answer: Answer::Moderation {
                    flagged: text.len().is_multiple_of(2),
                    scores,
                },
            });
        }
    }
    evidence
}

/// The strictest of those that change the text, where one can.
fn action(check: Check) -> &'static str {
    match check {
        Check::Terms | Check::Pattern | Check::Pii | Check::Leak | Check::Secrets => "Redact",
        Check::Style | Check::Links => "Normalize",
        _ => "Review",
    }
}

fn rule(check: Check, said: &str) -> Option<Value> {
    let some = |text: &str| {
        if text.is_empty() {
            vec![]
        } else {
            vec![text.to_owned()]
        }
    };
    let number = || said.trim().parse::<u32>().ok();
    Some(match check {
        Check::Terms => {
            let (list, endings) = said.split_once('|').unwrap_or((said, ""));
            let list: Vec<_> = list.split(',').collect();
            json!({"terms": {"list": list, "endings": some(endings)}})
        }
        Check::Pattern => json!({"pattern": {"regex": said}}),
        Check::Pii => {
            json!({"pii": {"allow": some(said), "detect": ["Email", "Phone", "Iban", "Card",
            "BirthDate", "Address", "NationalId"]}})
        }
        Check::Secrets => json!({"secrets": {"allow": some(said)}}),
        Check::Leak => json!({"leak": {"variables": ["customer.value"], "minLength": 4}}),
        Check::Links => json!({"links": {"tracking": "Forbidden"}}),
        Check::Require => {
            let (said, how) = said.split_once('|').unwrap_or((said, ""));
            let position = match how.trim_start_matches('~') {
                "^" => json!("Start"),
                "$" => json!("End"),
                _ => Value::Null,
            };
            json!({"require": {"text": said, "near": how.starts_with('~'), "position": position}})
        }
        Check::Disclosure => json!({"disclosure": {"labels": [{"language": "en", "text": said}],
            "mark": {"name": "ai"}, "keep": ["ai", "origin"]}}),
        Check::Length => json!({"length": {"minWords": 1, "maxSentences": number()?,
            "maxCharacters": number()?}}),
        // What is not mended is a rule of its own.
        Check::Style if matches!(said, "English" | "German" | "French" | "Swiss") => {
            json!({"style": {"numbers": said}})
        }
        Check::Style => {
            json!({"style": {"quotes": "German", "spacing": "Single", "exclamations": "Single"}})
        }
        Check::Language => json!({"language": {}}),
        Check::Facts => json!({"facts": {"names": said.contains(char::is_uppercase)}}),
        Check::Citations => json!({"citations": {"minWords": number().unwrap_or(1)}}),
        Check::Schema => {
            let schema: Value = serde_json::from_str(said).ok()?;
            json!({"schema": {"jsonSchema": schema}})
        }
        Check::Injection => json!({"injection": {"allow": some(said)}}),
        Check::Moderation => {
            json!({"moderation": {"model": "judge", "categories": {"hate": number()?}}})
        }
        Check::Cel => json!({"cel": said}),
    })
}

fn document(text: &str) -> Option<Document> {
    let parts = ["text", "html"].map(|name| {
        let name: PartName = name.parse().unwrap();
        Part {
            kind: name.kind(),
            name,
            text: text.to_owned(),
        }
    });
    Document::new(parts.to_vec()).ok()
}
