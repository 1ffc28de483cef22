//! What a rule says that does not go with its check or its action.

use aios_crds::policy_set::{Action, Rule};

use crate::rule::Checker;

/// Why calls of models can't be judged by a rule: of a call there is its text alone, and nobody waits.
pub(super) fn unfit_for_calls(rule: &Rule) -> Option<&'static str> {
    let reads_text = rule.terms.is_some()
        || rule.pattern.is_some()
        || rule.pii.is_some()
        || rule.secrets.is_some()
        || rule.links.is_some();
    let pii = rule.pii.as_ref();
    if !reads_text {
        return Some(
            "a call is judged by what stands in it alone: use terms, pattern, pii, secrets or links",
        );
    }
    if !matches!(rule.action, Action::Warn | Action::Redact | Action::Block) {
        return Some("a call waits for nobody: use action Warn, Redact or Block");
    }
    let knows_more = !rule.parts.is_empty()
        || rule.when.is_some()
        || pii.is_some_and(|pii| !pii.allow_variables.is_empty());
    knows_more.then_some(
        "a call has no parts and no record: leave out parts, when and pii.allowVariables",
    )
}

/// Why action Normalize cannot mend what a check finds.
pub(super) fn unmendable(checker: &Checker) -> Option<&'static str> {
    match checker {
        Checker::Style(style) => style.unmendable(),
        Checker::Links(links) => links.unmendable(),
        _ => Some("Normalize needs a check that can mend: use style or links, or another action"),
    }
}

/// Why a rule has nobody to instruct.
pub(super) fn uninstructed(rule: &Rule) -> Option<&'static str> {
    let instruction = rule.instruction.as_deref()?;
    if rule.action != Action::Revise {
        return Some(
            "only the model that is asked again is instructed: use action Revise, or leave it out",
        );
    }
    let blank = instruction.trim().is_empty();
    blank.then_some("the instruction is blank: write what the model must do, or leave it out")
}
