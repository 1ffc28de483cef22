//! A policy's status. Pure.

use aios_crds::{ConditionType, Conditions, OperatorSeen, PolicySetStatus, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    conditions::{Fact, summarize, with_failure, write},
    control::Enforcement,
    diagnostics::text,
    error::Error,
    policy::{
        Observed,
        budget::Spent,
        judge::{Fit, Unfit},
        operators::{Teller, Wanted, together},
        rates,
    },
    status::Status,
};

pub fn status(
    before: &PolicySetStatus,
    observed: &Observed,
    teller: Option<Teller<'_>>,
    generation: i64,
    now: Timestamp,
) -> PolicySetStatus {
    let wanted = match &observed.judged {
        Ok(fit) => Wanted {
            digest: Some(&fit.digest),
            engine: Some(&fit.engine),
        },
        Err(_) => Wanted {
            digest: before.digest.as_deref(),
            engine: before.engine.as_deref(),
        },
    };
    let (operators, enforcement) = match teller {
        Some(teller) => together(&before.operators, teller, wanted, &observed.enforcement),
        None => (Vec::new(), observed.enforcement.clone()),
    };
    let mut facts = vec![compiled(observed)];
    facts.extend(tests_passed(observed));
    facts.push(enforced(observed, &enforcement));
    // What an operator heard is of its own namespaces: of several, none knows the whole.
    let spent = observed.spent.as_ref().filter(|_| operators.is_empty());
    facts.extend(spent.map(Spent::fact));
    let conditions = write(summarize(facts), &before.conditions, generation, now);
    let (digest, engine, rules) = match &observed.judged {
        Ok(fit) => (
            Some(fit.digest.clone()),
            Some(fit.engine.clone()),
            i32::try_from(fit.rules).unwrap_or(i32::MAX),
        ),
        // What stays in force, if anything does.
        Err(_) if observed.last_good => {
            (before.digest.clone(), before.engine.clone(), before.rules)
        }
        Err(_) => (None, None, 0),
    };
    let (texts, fired) = if operators.is_empty() {
        rates::told(before, digest.as_deref(), &observed.rates)
    } else {
        (0, Vec::new())
    };
    let budgets = spent.map_or_else(Vec::new, |spent| spent.namespaces.clone());
    let Enforcement {
        enforcing, total, ..
    } = enforcement;
    PolicySetStatus {
        observed_generation: generation,
        conditions,
        digest,
        engine,
        rules,
        texts,
        fired,
        enforced_by: Some(format!("{enforcing}/{total}")),
        operators,
        budgets,
    }
}

/// Of a policy whose lists could not be read. What is in force stays so.
pub fn failed(
    before: PolicySetStatus,
    (has_tests, has_budget): (bool, bool),
    error: &Error,
    generation: i64,
    now: Timestamp,
) -> PolicySetStatus {
    let tests = has_tests.then_some(ConditionType::TestsPassed);
    let kinds = [ConditionType::Compiled].into_iter().chain(tests);
    let kinds = kinds.chain([ConditionType::Enforced]);
    let budget = has_budget.then_some(ConditionType::BudgetAvailable);
    let kinds = kinds.chain(budget);
    let failure = Fact::no(ConditionType::Compiled, error.reason(), error.to_string());
    let facts = with_failure(&before.conditions, kinds, &failure);
    PolicySetStatus {
        observed_generation: generation,
        conditions: write(summarize(facts), &before.conditions, generation, now),
        ..before
    }
}

fn compiled(observed: &Observed) -> Fact {
    let kind = ConditionType::Compiled;
    match &observed.judged {
        Ok(Fit {
            rules,
            dry_run: true,
            ..
        }) => {
            let message = format!("{rules} rules, which only report (spec.dryRun)");
            Fact::yes(kind, Reason::Ready, message)
        }
        Ok(Fit { rules, holding, .. }) if !holding.is_empty() => {
            let holding = holding.join(", ");
            let message =
                format!("{rules} rules; streamed answers are held to their end by {holding}");
            Fact::yes(kind, Reason::Ready, message)
        }
        Ok(Fit { rules, .. }) | Err(Unfit::Tests { rules, .. }) => {
            Fact::yes(kind, Reason::Ready, format!("{rules} rules"))
        }
        Err(Unfit::Mistakes { found, .. }) if observed.last_good => {
            Fact::no(kind, Reason::LastKnownGood, text(found))
        }
        Err(Unfit::Mistakes { found, .. }) => Fact::no(kind, Reason::InvalidSpec, text(found)),
    }
}

/// Of a policy that has tests.
fn tests_passed(observed: &Observed) -> Option<Fact> {
    let kind = ConditionType::TestsPassed;
    match &observed.judged {
        Ok(Fit { tests: 0, .. })
        | Err(Unfit::Mistakes {
            has_tests: false, ..
        }) => None,
        Ok(Fit { tests, .. }) => Some(Fact::yes(kind, Reason::Ready, format!("{tests} tests"))),
        Err(Unfit::Mistakes { .. }) => {
            let message = "the tests are run once the spec compiles";
            Some(Fact::pending(kind, Reason::InvalidSpec, message))
        }
        Err(Unfit::Tests { told, .. }) => {
            let reason = if observed.last_good {
                Reason::LastKnownGood
            } else {
                Reason::TestsFailed
            };
            Some(Fact::no(kind, reason, told))
        }
    }
}

fn enforced(observed: &Observed, found: &Enforcement) -> Fact {
    let reason = match &observed.judged {
        Err(Unfit::Mistakes { .. }) => Reason::InvalidSpec,
        Err(Unfit::Tests { .. }) => Reason::TestsFailed,
        Ok(_) => Reason::Ready,
    };
    if observed.judged.is_err() && !observed.last_good {
        let message = "nothing of this policy is in force";
        return Fact::no(ConditionType::Enforced, reason, message);
    }
    let nobody = "no data plane runs in its namespaces";
    enforcement(ConditionType::Enforced, found, nobody)
}

/// How far an item is in force.
pub fn enforcement(kind: ConditionType, found: &Enforcement, nobody: &str) -> Fact {
    if let Some((pod, why)) = &found.refused {
        return Fact::no(kind, Reason::Refused, format!("{pod}: {why}"));
    }
    if found.total == 0 {
        return Fact::yes(kind, Reason::NothingToEnforce, nobody);
    }
    let count = format!("{} of {} data planes", found.enforcing, found.total);
    if found.is_complete() {
        return Fact::yes(kind, Reason::Ready, count);
    }
    let pods = found.awaiting.join(", ");
    Fact::pending(
        kind,
        Reason::AwaitingDataPlane,
        format!("{count}; waiting for {pods}"),
    )
}

impl Status for PolicySetStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Pods of a run come and go: their count is a number, as are those of texts.
    fn without_numbers(&self) -> Self {
        let conditions = self.conditions.iter().map(without_count).collect();
        let operators = self.operators.iter().map(|seen| OperatorSeen {
            enforcing: 0,
            total: 0,
            ..seen.clone()
        });
        Self {
            enforced_by: None,
            texts: 0,
            fired: Vec::new(),
            operators: operators.collect(),
            budgets: Vec::new(),
            conditions,
            ..self.clone()
        }
    }

    fn is_settled(&self) -> bool {
        true
    }
}

/// A condition whose message only counts data planes.
fn without_count(mut condition: Condition) -> Condition {
    if condition.type_ == ConditionType::Enforced.as_str() && condition.status == "True" {
        condition.message.clear();
    }
    condition
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{failed, status};
    use crate::{
        control::{Enforcement, Rates},
        error::{Error, Verb},
        policy::{
            Observed,
            judge::{Fit, Unfit},
            operators::Teller,
        },
        status::Status,
    };
    use aios_compile::Diagnostic;
    use aios_crds::{ConditionType, PolicySetStatus};
    use jiff::Timestamp;

    fn good(enforcement: Enforcement) -> Observed {
        let judged = Ok(Fit {
            digest: "sha256:1".into(),
            engine: "engine.2 pii.2".into(),
            rules: 2,
            dry_run: false,
            holding: Vec::new(),
            tests: 0,
        });
        Observed {
            judged,
            last_good: true,
            enforcement,
            rates: Rates::default(),
            spent: None,
        }
    }

    fn bad(last_good: bool) -> Observed {
        let wrong = Diagnostic::new("spec.rules[0].pattern.regex", "unclosed", "close it");
        let enforcement = Enforcement::default();
        Observed {
            judged: Err(Unfit::Mistakes {
                found: vec![wrong],
                has_tests: false,
            }),
            last_good,
            enforcement,
            rates: Rates::default(),
            spent: None,
        }
    }

    fn seen(observed: &Observed) -> PolicySetStatus {
        let before = PolicySetStatus {
            digest: Some("sha256:0".into()),
            ..Default::default()
        };
        status(&before, observed, None, 4, Timestamp::UNIX_EPOCH)
    }

    fn reason(status: &PolicySetStatus, kind: ConditionType) -> String {
        let condition = status.conditions.get(kind).unwrap();
        format!("{}/{}", condition.status, condition.reason)
    }

    #[test]
    fn without_data_planes_a_policy_is_ready_and_has_nothing_to_enforce() {
        let status = seen(&good(Enforcement::default()));
        assert_eq!(
            reason(&status, ConditionType::Enforced),
            "True/NothingToEnforce"
        );
        assert_eq!(reason(&status, ConditionType::Ready), "True/Ready");
        assert_eq!(status.enforced_by.as_deref(), Some("0/0"));
        assert_eq!(status.observed_generation, 4);
    }

    #[test]
    fn a_waiting_pod_is_named() {
        let enforcement = Enforcement {
            total: 2,
            enforcing: 1,
            awaiting: vec!["w-1".into()],
            ..Default::default()
        };
        let status = seen(&good(enforcement));
        assert_eq!(
            reason(&status, ConditionType::Enforced),
            "Unknown/AwaitingDataPlane"
        );
        assert!(
            status
                .conditions
                .get(ConditionType::Enforced)
                .unwrap()
                .message
                .contains("w-1")
        );
    }

    #[test]
    fn a_broken_policy_keeps_the_last_good_digest_and_names_the_path() {
        let status = seen(&bad(true));
        assert_eq!(
            reason(&status, ConditionType::Compiled),
            "False/LastKnownGood"
        );
        assert_eq!(
            reason(&status, ConditionType::Stalled),
            "True/LastKnownGood"
        );
        assert_eq!(status.digest.as_deref(), Some("sha256:0"));
        let message = &status
            .conditions
            .get(ConditionType::Compiled)
            .unwrap()
            .message;
        assert!(message.contains("spec.rules[0].pattern.regex"));
    }

    #[test]
    fn a_policy_that_never_compiled_has_no_digest() {
        let status = seen(&bad(false));
        assert_eq!(
            reason(&status, ConditionType::Compiled),
            "False/InvalidSpec"
        );
        assert_eq!(status.digest, None);
    }

    fn failing(last_good: bool) -> Observed {
        Observed {
            judged: Err(Unfit::Tests {
                rules: 2,
                told: "1 of 2 tests fails: acme: expected Block, got Pass".into(),
            }),
            last_good,
            enforcement: Enforcement {
                enforcing: usize::from(last_good),
                total: usize::from(last_good),
                ..Enforcement::default()
            },
            rates: Rates::default(),
            spent: None,
        }
    }

    #[test]
    fn a_policy_that_fails_its_tests_leaves_the_old_one_in_force_and_names_the_test() {
        let status = seen(&failing(true));
        assert_eq!(reason(&status, ConditionType::Compiled), "True/Ready");
        assert_eq!(
            reason(&status, ConditionType::TestsPassed),
            "False/LastKnownGood"
        );
        assert_eq!(
            reason(&status, ConditionType::Stalled),
            "True/LastKnownGood"
        );
        assert_eq!(reason(&status, ConditionType::Enforced), "True/Ready");
        assert_eq!(status.digest.as_deref(), Some("sha256:0"));
        let message = &status
            .conditions
            .get(ConditionType::TestsPassed)
            .unwrap()
            .message;
        assert!(message.contains("acme: expected Block, got Pass"));
    }

    #[test]
    fn a_policy_that_never_passed_its_tests_is_not_in_force() {
        let status = seen(&failing(false));
        for kind in [ConditionType::TestsPassed, ConditionType::Enforced] {
            assert_eq!(reason(&status, kind), "False/TestsFailed");
        }
        assert_eq!(reason(&status, ConditionType::Stalled), "True/TestsFailed");
        assert_eq!(status.digest, None);
    }

    #[test]
    fn tests_are_told_of_only_where_there_are_some() {
        let mut observed = good(Enforcement::default());
        let told = |observed: &Observed| {
            let status = seen(observed);
            status
                .conditions
                .get(ConditionType::TestsPassed)
                .map(|one| format!("{}/{}", one.status, one.message))
        };
        assert_eq!(told(&observed), None);
        observed.judged.as_mut().unwrap().tests = 3;
        assert_eq!(told(&observed).as_deref(), Some("True/3 tests"));
        let mut broken = bad(true);
        if let Err(Unfit::Mistakes { has_tests, .. }) = &mut broken.judged {
            *has_tests = true;
        }
        assert!(told(&broken).unwrap().starts_with("Unknown/"));
    }

    #[test]
    fn a_policy_that_holds_streams_to_their_end_names_the_rules() {
        let mut observed = good(Enforcement::default());
        observed.judged.as_mut().unwrap().holding = vec!["no-shouting".into()];
        let status = seen(&observed);
        let told = status.conditions.get(ConditionType::Compiled).unwrap();
        let message = "2 rules; streamed answers are held to their end by no-shouting";
        assert_eq!(told.message, message);
    }

    #[test]
    fn rates_are_told_and_are_numbers() {
        let mut observed = good(Enforcement::default());
        let silent = seen(&observed);
        observed.rates.texts = 1234;
        observed.rates.rules.insert("no-pii".into(), (17, 0));
        let status = seen(&observed);
        assert_eq!((status.texts, status.fired[0].fired), (1200, 10));
        assert_ne!(status, silent);
        assert_eq!(status.without_numbers(), silent.without_numbers());
    }

    #[test]
    fn a_policy_in_dry_run_says_so() {
        let mut observed = good(Enforcement::default());
        observed.judged.as_mut().unwrap().dry_run = true;
        let status = seen(&observed);
        let told = status.conditions.get(ConditionType::Compiled).unwrap();
        assert_eq!(told.message, "2 rules, which only report (spec.dryRun)");
    }

    #[test]
    fn all_conditions_of_a_policy_stand_from_the_first_visit_however_it_went() {
        let mut passing = good(Enforcement::default());
        passing.judged.as_mut().unwrap().tests = 3;
        let mut refused = good(Enforcement {
            total: 1,
            refused: Some(("w-1".into(), "unknown check".into())),
            ..Enforcement::default()
        });
        refused.judged.as_mut().unwrap().tests = 3;
        let mut broken = bad(false);
        if let Err(Unfit::Mistakes { has_tests, .. }) = &mut broken.judged {
            *has_tests = true;
        }
        let without = good(Enforcement::default());
        let visits = [
            (
                vec![passing, refused, broken, failing(false), failing(true)],
                true,
            ),
            (vec![without, bad(false), bad(true)], false),
        ];
        for (visits, has_tests) in visits {
            for observed in visits {
                for of_cluster in [false, true] {
                    let me = of_cluster.then_some(Teller {
                        name: "aios-system/aios",
                        is_sole: true,
                    });
                    let first = PolicySetStatus::default();
                    let told = status(&first, &observed, me, 1, Timestamp::UNIX_EPOCH);
                    let summary = ["Ready", "Reconciling", "Stalled"];
                    let kinds = told.conditions.iter().map(|one| one.type_);
                    let mut all = vec!["Compiled", "Enforced"];
                    if has_tests {
                        all.push("TestsPassed");
                    }
                    let mut seen: Vec<String> = kinds
                        .filter(|kind| !summary.contains(&kind.as_str()))
                        .collect();
                    seen.sort_unstable();
                    assert_eq!(seen, all, "{:?}", told.conditions);
                }
            }
        }
    }

    #[test]
    fn a_policy_whose_lists_cannot_be_read_says_so_with_all_its_conditions() {
        let cause = kube::Error::LinesCodecMaxLineLengthExceeded;
        let error = Error::api(Verb::Get, "ConfigMap", "words", cause);
        let first = PolicySetStatus::default();
        let told = failed(first, (true, false), &error, 7, Timestamp::UNIX_EPOCH);
        assert_eq!(told.observed_generation, 7);
        assert_eq!(reason(&told, ConditionType::Compiled), "False/ApiError");
        for unseen in [ConditionType::TestsPassed, ConditionType::Enforced] {
            assert_eq!(reason(&told, unseen), "Unknown/Progressing");
        }
        let known = seen(&good(Enforcement::default()));
        let told = failed(
            known.clone(),
            (false, false),
            &error,
            8,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(told.digest, known.digest, "it stays in force");
        let enforced = reason(&told, ConditionType::Enforced);
        assert_eq!(enforced, "True/NothingToEnforce");
        assert!(told.conditions.get(ConditionType::TestsPassed).is_none());
    }
}
