//! Who serves a namespace: ConfigMap `aios-ca`, which says whom its pods trust, names its operator and
//! what that operator selects. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    names::{ANNOTATION_SELECTS, LABEL_OPERATOR},
    share::NamespaceSelector,
};

/// What stands in the ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Namespace of the operator: no two have the same.
    pub operator: String,
    /// The selector of its share, as JSON.
    pub selects: Option<String>,
}

/// How an operator stands to a namespace that it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Mine,
    /// Nobody's, or of an operator whose selector has left it.
    Free,
    /// Another selects it, too, and was first.
    Another(String),
}

/// The claim of a ConfigMap `aios-ca`.
pub fn read(meta: &ObjectMeta) -> Option<Claim> {
    let operator = meta.labels.as_ref()?.get(LABEL_OPERATOR)?;
    let annotations = meta.annotations.as_ref();
    Some(Claim {
        operator: operator.clone(),
        selects: annotations.and_then(|all| all.get(ANNOTATION_SELECTS).cloned()),
    })
}

/// Judges a claim from the namespace's labels. A label says for whom a namespace is; only where two
/// selectors choose it does it matter who was first.
pub fn judge(
    claim: Option<&Claim>,
    me: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Verdict {
    let Some(claim) = claim else {
        return Verdict::Free;
    };
    if claim.operator == me {
        return Verdict::Mine;
    }
    let selects = claim
        .selects
        .as_deref()
        .map(str::parse::<NamespaceSelector>);
    match (selects, labels) {
        (Some(Ok(selector)), Some(labels)) if !selector.matches(labels) => Verdict::Free,
        // What is not known may be selected.
        _ => Verdict::Another(claim.operator.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Verdict, judge};

    fn claim(selects: Option<&str>) -> Claim {
        Claim {
            operator: "aios-a".into(),
            selects: selects.map(str::to_owned),
        }
    }

    fn judged(claim: Option<&Claim>, me: &str, team: &str) -> Verdict {
        let labels = [("team".to_owned(), team.to_owned())].into();
        judge(claim, me, Some(&labels))
    }

    #[test]
    fn a_namespace_is_its_operators_until_a_label_takes_it_away() {
        let of_a = claim(Some(r#"{"matchLabels":{"team":"a"}}"#));
        assert_eq!(judged(Some(&of_a), "aios-a", "a"), Verdict::Mine);
        assert_eq!(
            judged(Some(&of_a), "aios-b", "a"),
            Verdict::Another("aios-a".into())
        );
        assert_eq!(judged(Some(&of_a), "aios-b", "b"), Verdict::Free);
        assert_eq!(judged(None, "aios-b", "b"), Verdict::Free);
    }

    #[test]
    fn a_claim_that_cannot_be_read_is_respected() {
        for selects in [None, Some("team=a"), Some("{}")] {
            let verdict = judged(Some(&claim(selects)), "aios-b", "b");
            assert_eq!(verdict, Verdict::Another("aios-a".into()), "{selects:?}");
        }
        let of_a = claim(Some(r#"{"matchLabels":{"team":"a"}}"#));
        let verdict = judge(Some(&of_a), "aios-b", None);
        assert_eq!(verdict, Verdict::Another("aios-a".into()), "labels unknown");
    }
}
