//! A regular expression that must not match, in linear time and bounded memory.

use aios_crds::check::Pattern as Spec;
use regex::{Regex, RegexBuilder};
use regex_syntax::{ast, hir::Hir};

use super::{MAX_MATCHES, Ranges, char_after};
use crate::{
    diagnostic::Diagnostic,
    view::{Layer, cluster_start, widened},
};

/// Bytes of a compiled expression.
const SIZE_LIMIT: usize = 1 << 20;
/// Nesting of groups.
const NEST_LIMIT: u32 = 32;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// Bytes from where a match begins to where its end is settled; `None` without bound.
    reach: Option<usize>,
}

impl Pattern {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let path = format!("{path}.regex");
        let hir = regex_syntax::ParserBuilder::new()
            .nest_limit(NEST_LIMIT)
            .build()
            .parse(&spec.regex)
            .map_err(|error| vec![syntax(&path, &error)])?;
        let regex = RegexBuilder::new(&spec.regex)
            .size_limit(SIZE_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map_err(|error| vec![too_large(&path, &error)])?;
        if regex.is_match("") {
            return Err(vec![Diagnostic::new(
                path,
                "the expression matches the empty text, so it would match everywhere: require at \
                 least one character, as in `a+` for `a*`",
            )]);
        }
        Ok(Self {
            regex,
            reach: reach(&hir),
        })
    }

    /// Bytes of the part where the expression matches.
    pub(crate) fn find(&self, layer: &Layer<'_>) -> Ranges {
        self.regex
            .find_iter(layer.text.as_str())
            .filter(|found| !found.is_empty())
            .take(MAX_MATCHES + 1)
            .map(|found| layer.widened_source(found.range()))
            .collect()
    }

    /// Bytes of a plain text where the expression matches, from a byte on.
    pub(crate) fn find_from(&self, text: &str, mut at: usize) -> Ranges {
        let mut found = Ranges::new();
        while let Some(next) = self.regex.find_at(text, at) {
            if next.is_empty() {
                let Some(c) = char_after(text, at) else { break };
                at += c.len_utf8();
                continue;
            }
            at = next.end();
            found.push(widened(text, next.range()));
            if found.len() > MAX_MATCHES {
                break;
            }
        }
        found
    }

    /// First byte at which a match could begin that more text would settle.
    pub(crate) fn frontier(&self, text: &str) -> usize {
        self.reach.map_or(0, |reach| {
            cluster_start(text, text.len().saturating_sub(reach))
        })
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.reach.is_some()
    }
}

/// Longest match and the character behind it, which word boundaries look at.
fn reach(hir: &Hir) -> Option<usize> {
    hir.properties().maximum_len().map(|longest| longest + 4)
}

fn syntax(path: &str, error: &regex_syntax::Error) -> Diagnostic {
    let (span, what) = match error {
        regex_syntax::Error::Parse(error) => (Some(error.span()), describe(error.kind())),
        regex_syntax::Error::Translate(error) => (Some(error.span()), error.kind().to_string()),
        other => (None, other.to_string()),
    };
    let diagnostic = Diagnostic::new(path, what);
    match span.map(|span| {
        (
            u32::try_from(span.start.line),
            u32::try_from(span.start.column),
        )
    }) {
        Some((Ok(line), Ok(column))) => diagnostic.at(line, column),
        _ => diagnostic,
    }
}

fn describe(kind: &ast::ErrorKind) -> String {
    match kind {
        ast::ErrorKind::UnsupportedLookAround => {
            "look-around is not linear-time: match the neighbouring text too, or state the \
             condition in `when`"
                .to_owned()
        }
        ast::ErrorKind::UnsupportedBackreference => {
            "back references are not linear-time: write the alternatives out".to_owned()
        }
        ast::ErrorKind::NestLimitExceeded(limit) => {
            format!("groups nest deeper than {limit}: split the rule")
        }
        other => format!(
            "{other}: see the syntax of the Rust `regex` crate, and escape with `\\` \
                          what is meant literally"
        ),
    }
}

fn too_large(path: &str, error: &regex::Error) -> Diagnostic {
    let message = match error {
        regex::Error::CompiledTooBig(limit) => format!(
            "the expression compiles to more than {limit} bytes: lower its repetition counts or \
             use `[0-9]` for `\\d`"
        ),
        other => format!("{other}: see the syntax of the Rust `regex` crate"),
    };
    Diagnostic::new(path, message)
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Pattern as Spec;
    use rstest::rstest;

    use super::Pattern;

    fn compile(regex: &str) -> Result<Pattern, Vec<crate::Diagnostic>> {
        Pattern::compile(
            &Spec {
                regex: regex.to_owned(),
            },
            "spec.rules[0].pattern",
        )
    }

    #[rstest]
    #[case("(?i)guarantee[ds]?", Some(14))]
    #[case("a+", None)]
    #[case(r"\bfoo\b", Some(7))]
    fn reach_is_known_where_matches_are_bounded(#[case] regex: &str, #[case] reach: Option<usize>) {
        let pattern = compile(regex).unwrap();
        // Case-insensitive Latin letters can take more bytes than they are written with.
        assert_eq!(pattern.reach.is_some(), reach.is_some());
        assert!(pattern.reach >= reach);
    }

    #[rstest]
    #[case("a(b", 1, 2, "unclosed group")]
    #[case("x\ny(?=z)", 2, 2, "`when`")]
    #[case(r"(a)\1", 1, 4, "alternatives")]
    #[case("[z-a]", 1, 2, "invalid character class range")]
    fn bad_syntax_is_named_with_place_and_remedy(
        #[case] regex: &str,
        #[case] line: u32,
        #[case] column: u32,
        #[case] says: &str,
    ) {
        let mistake = compile(regex).unwrap_err().remove(0);
        assert_eq!(mistake.path, "spec.rules[0].pattern.regex");
        assert_eq!(
            (mistake.line, mistake.column),
            (Some(line), Some(column)),
            "{mistake}"
        );
        assert!(mistake.message.contains(says), "{mistake}");
    }

    #[rstest]
    #[case("a*", "empty text")]
    #[case(r"(\w{200}){200}", "repetition counts")]
    fn costly_or_senseless_expressions_are_refused(#[case] regex: &str, #[case] says: &str) {
        let mistake = compile(regex).unwrap_err().remove(0);
        assert!(mistake.message.contains(says), "{mistake}");
    }
}
