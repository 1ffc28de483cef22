//! How often the rules of a policy fire, as its status tells it. Pure.

use std::collections::BTreeMap;

use aios_crds::{PolicySetStatus, RuleFired, coarse};

use crate::control::Rates;

/// Rounded counts: those in the status, or what was reported since where that is more. An operator that
/// has just begun to lead has not heard of all texts yet.
pub fn told(before: &PolicySetStatus, digest: Option<&str>, now: &Rates) -> (i64, Vec<RuleFired>) {
    let number = |count: u64| i64::try_from(coarse(count)).unwrap_or(i64::MAX);
    let is_same = before.digest.as_deref() == digest && digest.is_some();
    let mut rules: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for rule in before.fired.iter().filter(|_| is_same) {
        rules.insert(&rule.name, (rule.fired, rule.failed));
    }
    for (name, (fired, failed)) in &now.rules {
        let counts = rules.entry(name).or_default();
        counts.0 = counts.0.max(number(*fired));
        counts.1 = counts.1.max(number(*failed));
    }
    let texts = if is_same { before.texts } else { 0 };
    let fired = rules.into_iter().map(|(name, (fired, failed))| RuleFired {
        name: name.to_owned(),
        fired,
        failed,
    });
    (texts.max(number(now.texts)), fired.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_crds::{PolicySetStatus, RuleFired};

    use super::told;
    use crate::control::Rates;

    fn rates(texts: u64, fired: u64) -> Rates {
        let rules = BTreeMap::from([("no-pii".to_owned(), (fired, 0))]);
        Rates { texts, rules }
    }

    fn before() -> PolicySetStatus {
        PolicySetStatus {
            digest: Some("sha256:1".into()),
            texts: 500,
            fired: vec![RuleFired {
                name: "no-pii".into(),
                fired: 20,
                failed: 1,
            }],
            ..PolicySetStatus::default()
        }
    }

    fn counts((texts, fired): (i64, Vec<RuleFired>)) -> (i64, Vec<(i64, i64)>) {
        let fired = fired.iter().map(|rule| (rule.fired, rule.failed));
        (texts, fired.collect())
    }

    #[test]
    fn what_was_told_stands_until_more_is_known_of_the_same_rules() {
        let same = Some("sha256:1");
        let told = |digest, now: &Rates| counts(told(&before(), digest, now));
        assert_eq!(told(same, &Rates::default()), (500, vec![(20, 1)]));
        assert_eq!(told(same, &rates(519, 35)), (510, vec![(30, 1)]));
        assert_eq!(told(Some("sha256:2"), &rates(3, 1)), (3, vec![(1, 0)]));
        assert_eq!(told(None, &Rates::default()), (0, vec![]));
    }
}
