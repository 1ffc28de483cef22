//! A policy's status. Pure.

use aios_crds::{ConditionType, OperatorSeen, PolicySetStatus, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    conditions::{Fact, summarize, write},
    control::Enforcement,
    diagnostics::text,
    policy::{
        Observed,
        operators::{Teller, together},
    },
    status::Status,
};

pub fn status(
    before: PolicySetStatus,
    observed: &Observed,
    teller: Option<Teller<'_>>,
    generation: i64,
    now: Timestamp,
) -> PolicySetStatus {
    let digest = observed
        .compiled
        .as_ref()
        .ok()
        .map(|one| one.digest.as_str());
    let (operators, enforcement) = match teller {
        Some(teller) => {
            let digest = digest.or(before.digest.as_deref());
            together(&before.operators, teller, digest, &observed.enforcement)
        }
        None => (Vec::new(), observed.enforcement.clone()),
    };
    let facts = vec![compiled(observed), enforced(observed, &enforcement)];
    let conditions = write(summarize(facts), &before.conditions, generation, now);
    let (digest, rules) = match &observed.compiled {
        Ok(compiled) => (
            Some(compiled.digest.clone()),
            i32::try_from(compiled.rules).unwrap_or(i32::MAX),
        ),
        // What stays in force, if anything does.
        Err(_) if observed.last_good => (before.digest, before.rules),
        Err(_) => (None, 0),
    };
    let Enforcement {
        enforcing, total, ..
    } = enforcement;
    PolicySetStatus {
        observed_generation: generation,
        conditions,
        digest,
        rules,
        enforced_by: Some(format!("{enforcing}/{total}")),
        operators,
    }
}

fn compiled(observed: &Observed) -> Fact {
    let kind = ConditionType::Compiled;
    match &observed.compiled {
        Ok(compiled) => Fact::yes(kind, Reason::Ready, format!("{} rules", compiled.rules)),
        Err(diagnostics) if observed.last_good => {
            Fact::no(kind, Reason::LastKnownGood, text(diagnostics))
        }
        Err(diagnostics) => Fact::no(kind, Reason::InvalidSpec, text(diagnostics)),
    }
}

fn enforced(observed: &Observed, found: &Enforcement) -> Fact {
    if observed.compiled.is_err() && !observed.last_good {
        let message = "nothing of this policy is in force";
        return Fact::no(ConditionType::Enforced, Reason::InvalidSpec, message);
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
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Pods of a run come and go: their count is a number.
    fn without_numbers(&self) -> Self {
        let conditions = self.conditions.iter().map(without_count).collect();
        let operators = self.operators.iter().map(|seen| OperatorSeen {
            enforcing: 0,
            total: 0,
            ..seen.clone()
        });
        Self {
            enforced_by: None,
            operators: operators.collect(),
            conditions,
            ..self.clone()
        }
    }

    fn is_settled(&self) -> bool {
        true
    }
}

/// A condition whose message only counts data planes.
fn without_count(condition: &Condition) -> Condition {
    let mut condition = condition.clone();
    if condition.type_ == ConditionType::Enforced.as_str() && condition.status == "True" {
        condition.message.clear();
    }
    condition
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::status;
    use crate::{
        conditions::find,
        control::Enforcement,
        policy::{Compiled, Observed},
    };
    use aios_compile::Diagnostic;
    use aios_crds::{ConditionType, PolicySetStatus};
    use jiff::Timestamp;

    fn good(enforcement: Enforcement) -> Observed {
        let compiled = Ok(Compiled {
            digest: "sha256:1".into(),
            rules: 2,
        });
        Observed {
            compiled,
            last_good: true,
            enforcement,
        }
    }

    fn bad(last_good: bool) -> Observed {
        let wrong = Diagnostic::new("spec.rules[0].pattern.regex", "unclosed", "close it");
        let enforcement = Enforcement::default();
        Observed {
            compiled: Err(vec![wrong]),
            last_good,
            enforcement,
        }
    }

    fn seen(observed: &Observed) -> PolicySetStatus {
        let before = PolicySetStatus {
            digest: Some("sha256:0".into()),
            ..Default::default()
        };
        status(before, observed, None, 4, Timestamp::UNIX_EPOCH)
    }

    fn reason(status: &PolicySetStatus, kind: ConditionType) -> String {
        let condition = find(&status.conditions, kind).unwrap();
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
            find(&status.conditions, ConditionType::Enforced)
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
        let message = &find(&status.conditions, ConditionType::Compiled)
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
}
