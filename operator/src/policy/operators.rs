//! A ClusterPolicySet is for namespaces of several operators. Each tells in its status what its own
//! namespaces do, and computes the whole from the same entries as the others. Pure.

use aios_crds::OperatorSeen;

use crate::control::Enforcement;

/// Of which operator a status is written.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    pub name: &'a str,
    /// Whether its namespaces are all that there are, as far as it knows.
    pub is_sole: bool,
}

/// What is to be in force: a digest, and the revisions by which it is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    pub digest: Option<&'a str>,
    pub engine: Option<&'a str>,
}

/// Everybody's entries, and their sum.
pub fn together(
    before: &[OperatorSeen],
    teller: Teller<'_>,
    wanted: Wanted<'_>,
    own: &Enforcement,
) -> (Vec<OperatorSeen>, Enforcement) {
    let others = before.iter().filter(|seen| seen.name != teller.name);
    let mut entries: Vec<OperatorSeen> = others.cloned().collect();
    let sum = entries
        .iter()
        .map(|seen| of(seen, wanted))
        .fold(own.clone(), Enforcement::merge);
    // Who enforces nothing has nothing to tell, and leaves nothing behind.
    let is_told = !(teller.is_sole && entries.is_empty()) && own.total > 0;
    if is_told {
        entries.push(seen(teller.name, wanted, own));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
    }
    (entries, sum)
}

fn seen(name: &str, wanted: Wanted<'_>, own: &Enforcement) -> OperatorSeen {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    OperatorSeen {
        name: name.to_owned(),
        digest: wanted.digest.map(str::to_owned),
        engine: wanted.engine.map(str::to_owned),
        enforcing: count(own.enforcing),
        total: count(own.total),
        awaiting: own.awaiting.clone(),
        refused: own
            .refused
            .as_ref()
            .map(|(pod, why)| format!("{pod}: {why}")),
    }
}

/// What another operator says of its namespaces. What it says of another digest, or of the same under
/// other revisions, is no news of this one.
fn of(seen: &OperatorSeen, wanted: Wanted<'_>) -> Enforcement {
    let count = |number: i32| usize::try_from(number).unwrap_or_default();
    let total = count(seen.total);
    let said = Wanted {
        digest: seen.digest.as_deref(),
        engine: seen.engine.as_deref(),
    };
    if said != wanted {
        return Enforcement {
            total,
            awaiting: vec![format!("those of the operator in {}", seen.name)],
            ..Enforcement::default()
        };
    }
    let refused = seen
        .refused
        .as_deref()
        .and_then(|text| text.split_once(": "));
    Enforcement {
        enforcing: count(seen.enforcing),
        total,
        awaiting: seen.awaiting.clone(),
        refused: refused.map(|(pod, why)| (pod.to_owned(), why.to_owned())),
        look_again: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Teller, Wanted, together};
    use crate::control::Enforcement;

    const DIGEST: Wanted<'_> = wanted("sha256:1", "engine.2 pii.2");

    const fn wanted<'a>(digest: &'a str, engine: &'a str) -> Wanted<'a> {
        Wanted {
            digest: Some(digest),
            engine: Some(engine),
        }
    }

    fn of(enforcing: usize, total: usize) -> Enforcement {
        Enforcement {
            enforcing,
            total,
            ..Enforcement::default()
        }
    }

    fn teller(name: &str) -> Teller<'_> {
        Teller {
            name,
            is_sole: false,
        }
    }

    #[test]
    fn two_operators_come_to_the_same_sum_and_rest() {
        let (a, b) = (of(2, 2), of(1, 3));
        let (first, _) = together(&[], teller("a"), DIGEST, &a);
        let (second, sum) = together(&first, teller("b"), DIGEST, &b);
        assert_eq!((sum.enforcing, sum.total, second.len()), (3, 5, 2));
        let (third, again) = together(&second, teller("a"), DIGEST, &a);
        assert_eq!((third, (again.enforcing, again.total)), (second, (3, 5)));
    }

    #[test]
    fn an_operator_that_has_not_seen_the_change_or_judges_otherwise_is_waited_for() {
        let others = [
            wanted("sha256:0", "engine.2 pii.2"),
            wanted("sha256:1", "engine.2 pii.1"),
        ];
        for other in others {
            let (before, _) = together(&[], teller("a"), other, &of(2, 2));
            let (_, sum) = together(&before, teller("b"), DIGEST, &of(1, 1));
            assert_eq!((sum.enforcing, sum.total), (1, 3));
            assert_eq!(sum.awaiting, ["those of the operator in a"]);
        }
    }

    #[test]
    fn an_operator_without_data_planes_leaves_no_entry_and_a_refusal_is_passed_on() {
        let mut refused = of(0, 1);
        refused.refused = Some(("w-1".into(), "too old".into()));
        let (before, _) = together(&[], teller("a"), DIGEST, &refused);
        let (entries, sum) = together(&before, teller("b"), DIGEST, &of(0, 0));
        assert_eq!((entries.len(), sum.refused), (1, refused.refused));
        let (entries, _) = together(&before, teller("a"), DIGEST, &of(0, 0));
        assert!(entries.is_empty());
    }

    #[test]
    fn one_operator_alone_has_no_entries() {
        let alone = Teller {
            name: "a",
            is_sole: true,
        };
        let (entries, sum) = together(&[], alone, DIGEST, &of(1, 1));
        assert!(entries.is_empty() && sum == of(1, 1));
        let (others, _) = together(&[], teller("b"), DIGEST, &of(1, 1));
        assert_eq!(together(&others, alone, DIGEST, &of(1, 1)).0.len(), 2);
    }
}
