//! Conditions in CEL (cel.dev): parsed by the `cel` crate, checked at compile time, evaluated here.
//! Own evaluation keeps verdicts free of hash order and panics, borrows variables instead of
//! copying them, and counts steps, so that no expression runs away.

mod arithmetic;
#[expect(
    clippy::disallowed_types,
    reason = "doubles are the language's: equal bits give equal answers"
)]
mod ast;
mod eval;
#[expect(
    clippy::disallowed_types,
    reason = "doubles are the language's: equal bits give equal answers"
)]
mod functions;
mod lower;
#[expect(
    clippy::disallowed_types,
    reason = "doubles are the language's: equal bits give equal answers"
)]
mod value;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Failure;
use crate::{Step, diagnostic::Diagnostic, verdict::Finding};

use ast::Node;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 2048;

/// A compiled condition.
#[derive(Debug)]
pub(crate) struct Expression {
    root: Node,
}

/// Names that an expression may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `vars`, `labels`, `language`, `step`.
    When,
    /// Those and `parts`, `text`, `findings`.
    Check,
}

/// Values of those names.
#[derive(Debug)]
pub(crate) struct Bindings<'a> {
    pub(crate) variables: &'a Json,
    pub(crate) labels: &'a BTreeMap<String, String>,
    pub(crate) language: &'a str,
    pub(crate) step: Step,
    /// Of the rules in front, in the same policy; none in `when`.
    pub(crate) findings: &'a [Finding],
    /// Absent in `when`.
    pub(crate) texts: Option<&'a dyn Texts>,
}

/// What a rule's parts say; asked only for what an expression names.
pub(crate) trait Texts: std::fmt::Debug {
    fn part(&self, name: &str) -> Option<&str>;
    fn parts(&self) -> BTreeMap<&str, &str>;
    /// Of all parts together.
    fn size(&self, size: Size) -> u32;
}

/// What can be counted of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Words,
    Characters,
    Sentences,
}

impl Size {
    pub(crate) const ALL: [Self; 3] = [Self::Words, Self::Characters, Self::Sentences];

    /// Name of the field of `text`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Characters => "characters",
            Self::Sentences => "sentences",
        }
    }
}

impl Expression {
    /// Compiles a condition; every mistake has its line and column where the parser knows it.
    pub(crate) fn compile(source: &str, scope: Scope, path: &str) -> Result<Self, Vec<Diagnostic>> {
        if source.len() > MAX_LENGTH {
            return Err(vec![Diagnostic::new(
                path,
                format!(
                    "the expression has {} bytes, more than {MAX_LENGTH}: split the rule",
                    source.len()
                ),
            )]);
        }
        lower::parse(source, scope, path).map(|root| Self { root })
    }

    /// Whether the condition holds.
    pub(crate) fn holds(&self, bindings: &Bindings<'_>) -> Result<bool, Failure> {
        eval::run(&self.root, bindings)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::{Bindings, Expression, Scope, Size, Texts};
    use crate::{
        Step,
        rule::Failure,
        verdict::{Finding, RuleErrorReason},
    };

    #[derive(Debug)]
    struct Letter;

    impl Texts for Letter {
        fn part(&self, name: &str) -> Option<&str> {
            self.parts().get(name).copied()
        }

        fn parts(&self) -> BTreeMap<&str, &str> {
            BTreeMap::from([("subject", "Hello Zoë"), ("text", "One. Two.")])
        }

        fn size(&self, size: Size) -> u32 {
            match size {
                Size::Words => 4,
                Size::Characters => 18,
                Size::Sentences => 3,
            }
        }
    }

    fn holds(source: &str) -> Result<bool, Failure> {
        let variables = json!({
            "segment": "savings", "age": 41, "rate": 2.5, "vip": true, "nickname": null,
            "tags": ["new", "EU"], "customer": {"name": "Zoë", "consent": true}, "items": [1, 2, 3],
        });
        let labels = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        let bindings = Bindings {
            variables: &variables,
            labels: &labels,
            language: "de",
            step: Step::Final,
            findings: &findings(),
            texts: Some(&Letter),
        };
        Expression::compile(source, Scope::Check, "p")
            .unwrap()
            .holds(&bindings)
    }

    fn findings() -> Vec<Finding> {
        let span = |start: u32| json!({"part": "text", "start": start, "end": start + 1});
        let finding = |rule: &str, action: &str, spans: Vec<_>| {
            let finding = json!({"policy": "p", "rule": rule, "check": "terms", "action": action,
                "message": "", "spans": spans});
            serde_json::from_value(finding).unwrap()
        };
        vec![
            finding("shouts", "Warn", vec![span(1), span(7), span(9)]),
            finding("notice", "Review", vec![]),
        ]
    }

    #[rstest]
    #[case(r#"vars.segment == "savings""#)]
    #[case("step == 'final' && step in ['draft', 'final']")]
    #[case("size(findings) == 2 && findings.map(f, f.count) == [3, 1]")]
    #[case("findings.exists(f, f.rule == 'notice' && f.action == 'Review')")]
    #[case("findings.all(f, f.action != 'Block') && findings[0].rule == 'shouts'")]
    #[case("!findings.exists(f, f.rule == 'shouts' && f.count > 3)")]
    #[case("vars.age >= 18 && vars.age < 42u && vars.rate > 2")]
    #[case("vars.vip && !(!vars.vip)")]
    #[case("vars.nickname == null && vars.customer.name != null")]
    #[case(r#""EU" in vars.tags && !("x" in vars.tags) && "name" in vars.customer"#)]
    #[case(r#"language == "de" || language.startsWith("de-")"#)]
    #[case(r#"labels.region in ["eu", "uk"] && labels["region"] == "eu""#)]
    #[case("has(vars.customer.consent) && !has(vars.customer.phone) && !has(vars.age.x)")]
    #[case("text.words <= 180 && text.characters == 18 && text.sentences == 3")]
    #[case(r#"parts.subject.contains("Zoë") && size(parts.subject) == 9"#)]
    #[case(r#"parts["text"].matches("^One\\. T.o") && matches(parts.text, "Two")"#)]
    #[case(r#"parts.subject.lowerAscii().endsWith("zoë") && "A".lowerAscii() == "a""#)]
    #[case("vars.items.all(i, i > 0) && vars.items.exists(i, i == 2)")]
    #[case("vars.items.exists_one(i, i > 2) && size(vars.items.filter(i, i > 1)) == 2")]
    #[case("vars.items.map(i, i * 2) == [2, 4, 6] && vars.items.map(i, i > 1, i) == [2, 3]")]
    #[case(r#"vars.customer.all(k, k in ["name", "consent"])"#)]
    #[case(r#"parts.all(p, size(parts[p]) > 0) && parts.map(p, p) == ["subject", "text"]"#)]
    #[case("(vars.age > 18 ? 1 : 2) == 1 && -vars.age == -41 && 7 / 2 == 3 && 7 % 2 == 1")]
    #[case("1 + 1 == 2 && 2.5 + 1.0 == 3.5 && 'a' + 'b' == 'ab' && [1] + [2] == [1, 2]")]
    #[case("{'a': 1}.a == 1 && {'a': 1} == {'a': 1u} && 1 == 1.0 && 1u == 1")]
    #[case("vars.missing == 1 || true")]
    #[case("!(vars.missing == 1 && false)")]
    #[case("int('41') == vars.age && string(41) == '41' && double('2.5') == vars.rate")]
    #[case("vars.items[0] == 1 && [true][0]")]
    fn conditions_hold(#[case] source: &str) {
        assert_eq!(holds(source), Ok(true));
    }

    #[rstest]
    #[case("vars.missing == 1", RuleErrorReason::Missing, "`vars.missing`")]
    #[case(
        "vars.customer.phone == ''",
        RuleErrorReason::Missing,
        "has(vars.customer.phone)"
    )]
    #[case("parts.html == ''", RuleErrorReason::Missing, "`parts.html`")]
    #[case("vars.items[7] == 1", RuleErrorReason::Missing, "size(vars.items)")]
    #[case("labels['x'] == ''", RuleErrorReason::Missing, "`… in labels`")]
    #[case(
        "vars.missing == 1 || false",
        RuleErrorReason::Missing,
        "`vars.missing`"
    )]
    #[case("vars.age", RuleErrorReason::Type, "true or false")]
    #[case("vars.segment > 1", RuleErrorReason::Type, "compare")]
    #[case("vars.age && true", RuleErrorReason::Type, "true or false")]
    #[case("vars.age + 'a' == 'x'", RuleErrorReason::Type, "+")]
    #[case("vars.age / 0 == 1", RuleErrorReason::Arithmetic, "zero")]
    #[case(
        "9223372036854775807 + vars.age > 0",
        RuleErrorReason::Arithmetic,
        "64 bits"
    )]
    #[case("int('x') == 1", RuleErrorReason::Arithmetic, "number")]
    fn conditions_that_cannot_be_decided_say_why(
        #[case] source: &str,
        #[case] reason: RuleErrorReason,
        #[case] says: &str,
    ) {
        let failure = holds(source).unwrap_err();
        assert_eq!(failure.reason, reason, "{}", failure.message);
        assert!(failure.message.contains(says), "{}", failure.message);
        assert!(!failure.message.contains("savings"), "{}", failure.message);
    }

    #[test]
    fn an_expression_that_runs_away_is_stopped() {
        let items: Vec<u32> = (0..2000).collect();
        let variables = json!({"items": items});
        let labels = BTreeMap::new();
        let bindings = Bindings {
            variables: &variables,
            labels: &labels,
            language: "en",
            step: Step::Final,
            findings: &[],
            texts: None,
        };
        let source = "vars.items.all(a, vars.items.all(b, a + b >= 0))";
        let expression = Expression::compile(source, Scope::When, "p").unwrap();
        assert_eq!(
            expression.holds(&bindings).unwrap_err().reason,
            RuleErrorReason::Cost
        );
    }

    #[test]
    fn every_look_at_all_findings_costs_as_many_steps() {
        let many = vec![findings().remove(0); 256];
        let (variables, labels) = (json!({}), BTreeMap::new());
        let bindings = Bindings {
            variables: &variables,
            labels: &labels,
            language: "en",
            step: Step::Final,
            findings: &many,
            texts: None,
        };
        let holds = |source: &str| {
            let expression = Expression::compile(source, Scope::Check, "p").unwrap();
            expression
                .holds(&bindings)
                .map_err(|failure| failure.reason)
        };
        assert_eq!(holds("findings.all(f, f.count == 3)"), Ok(true));
        let twice = "findings.all(f, findings.all(g, f.rule == g.rule))";
        assert_eq!(holds(twice), Err(RuleErrorReason::Cost));
    }

    #[rstest]
    #[case("vars.a ==", Some(1), "")]
    #[case("vars.a == 1 &&\n  )", Some(2), "")]
    #[case("customer.age > 1", None, "write `vars.customer`")]
    #[case("text.word < 3", None, "words, characters, sentences")]
    #[case("parts.size() + 1", None, "true or false")]
    #[case("text.words", None, "true or false")]
    #[case("'yes'", None, "true or false")]
    #[case("vars.a.foo()", None, "`foo`")]
    #[case("vars.a.matches(vars.b)", None, "literal")]
    #[case("vars.a.matches('(')", None, "unclosed")]
    #[case("Message{a: 1} == 1", None, "messages")]
    #[case("b'abc' == vars.a", None, "bytes")]
    #[case("timestamp('2026-01-01T00:00:00Z') == vars.a", None, "`timestamp`")]
    #[case("vars.a.startsWith('x', 'y')", None, "arguments")]
    #[case("has(vars)", None, "")]
    #[case("findings.count > 2", None, "findings.exists(f, f.count")]
    #[case("step", None, "true or false")]
    #[case("vars.x.all(a, vars.x.all(b, vars.x.all(c, true)))", None, "nest")]
    #[case("", None, "empty")]
    fn mistakes_are_found_before_any_text_is(
        #[case] source: &str,
        #[case] line: Option<u32>,
        #[case] says: &str,
    ) {
        let mistakes = Expression::compile(source, Scope::Check, "spec.rules[0].cel").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[0].cel");
        assert!(
            line.is_none() || mistakes[0].line == line,
            "{}",
            mistakes[0]
        );
        assert!(mistakes[0].message.contains(says), "{}", mistakes[0]);
    }

    #[rstest]
    #[case("text.words > 1", "`text`")]
    #[case("parts.subject == ''", "`parts`")]
    #[case("size(findings) == 0", "`findings`")]
    fn when_knows_no_text(#[case] source: &str, #[case] says: &str) {
        let mistakes = Expression::compile(source, Scope::When, "p").unwrap_err();
        assert!(mistakes[0].message.contains(says), "{}", mistakes[0]);
    }

    #[rstest]
    #[case("(", ")", 700)]
    #[case("!", "", 1500)]
    #[case("-", "", 1500)]
    #[case("[", "]", 700)]
    #[case("{1: ", "}", 400)]
    #[case("1 + ", "", 500)]
    #[case("vars.a ? 1 : ", "", 150)]
    fn deep_expressions_are_refused_not_followed(
        #[case] open: &str,
        #[case] close: &str,
        #[case] times: usize,
    ) {
        let source = format!("{}1{}", open.repeat(times), close.repeat(times));
        let mistakes = Expression::compile(&source, Scope::Check, "p").unwrap_err();
        assert!(
            mistakes[0].message.contains("nests too deep"),
            "{}",
            mistakes[0]
        );
    }

    #[test]
    fn long_flat_expressions_compile() {
        let source = vec!["vars.a == 1"; 130].join(" || ");
        assert!(Expression::compile(&source, Scope::Check, "p").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_compiles_or_is_refused(source in r#"[a-c.()\[\]{}"'!&|?:,+*<>=0-9 \\-]{0,40}"#) {
            let _ = Expression::compile(&source, Scope::Check, "p");
        }

        #[test]
        fn any_sentence_of_the_grammar_is_answered(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "vars", ".segment", ".age", ".items", "[0]", " + ", " == ", " && ", " || ", "(",
                    ")", "!", "1", "2u", "0.5", "'a'", "true", "null", " in ", "[1, 2]", " < ",
                    "has(vars.x)", ".all(i, i > 0)", ".map(i, i)", "size(", " ? ", " : ", "{'a': 1}",
                    "-", " % ", " / ", ".contains('a')", "i", ".filter(i, i == 1)", ", ",
                ]),
                1..9,
            ),
        ) {
            let source = parts.concat();
            if Expression::compile(&source, Scope::Check, "p").is_ok() {
                let _ = holds(&source);
            }
        }
    }
}
