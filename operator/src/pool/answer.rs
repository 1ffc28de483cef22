//! What Karpenter says of a pod for which it makes no node. Its sentences are those of version 1;
//! one that is not known is quoted as it is. Pure.

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The NodePool's limits leave nothing.
    Limits,
    /// No instance type is large enough.
    Size,
    /// No zone or capacity type has the instance types.
    Offering,
    /// No instance type meets the requirements.
    Requirements,
    Unknown,
}

/// The part of an answer that is about one NodePool: Karpenter has tried all, one after the other.
pub fn about<'a>(answer: &'a str, pool: &str) -> &'a str {
    // A pod selects its NodePool, so that every other is incompatible by this key.
    let is_foreign = |part: &&str| part.contains("key karpenter.sh/nodepool");
    let parts = || answer.split("; ").filter(|part| !is_foreign(part));
    let named = parts().find(|part| part.contains(pool));
    let unnamed = || parts().find(|part| !part.contains("NodePool=") && !part.contains("taint"));
    named.or_else(unnamed).unwrap_or(answer)
}

/// What an answer about one NodePool says is missing. Sentences that name what was there and what was
/// not come first.
pub fn lack(answer: &str) -> Lack {
    let says = |words: &str| answer.contains(words);
    if says("exceed limits") || says("limits have been exhausted") {
        Lack::Limits
    } else if says("which met the scheduling requirements and had enough resources") {
        Lack::Offering
    } else if says("which had enough resources and the required offering") {
        Lack::Requirements
    } else if says("enough resources") || says("had the required resources") {
        Lack::Size
    } else if says("required offering") {
        Lack::Offering
    } else if says("no instance type") || says("incompatible requirements") {
        Lack::Requirements
    } else {
        Lack::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::{Lack, about, lack};

    #[test]
    fn only_what_concerns_the_models_own_node_pool_counts() {
        let limits = "all available instance types exceed limits for nodepool";
        let other = "incompatible requirements, key karpenter.sh/nodepool, \
            karpenter.sh/nodepool In [mine] not in karpenter.sh/nodepool In [general]";
        let own =
            "no instance type has enough resources, requirements=karpenter.sh/nodepool In [mine]";
        let answer = format!("{limits} (NodePool=theirs); {other}; {own}");
        assert_eq!(about(&answer, "mine"), own);
        let answer =
            format!("did not tolerate taint (taint=a:NoSchedule); {limits} (NodePool=mine)");
        assert_eq!(lack(about(&answer, "mine")), Lack::Limits);
        let answer = format!("{limits} (NodePool=theirs); {other}; something new");
        assert_eq!(about(&answer, "mine"), "something new");
    }

    #[test]
    fn each_sentence_of_karpenter_names_what_is_missing() {
        for (sentence, missing) in [
            (
                "all available instance types exceed limits for nodepool",
                Lack::Limits,
            ),
            ("node limits have been exhausted for nodepool", Lack::Limits),
            ("no instance type has enough resources", Lack::Size),
            (
                "no instance type met the scheduling requirements or had enough resources",
                Lack::Size,
            ),
            (
                "no instance type which met the scheduling requirements and the required offering had the required resources",
                Lack::Size,
            ),
            ("no instance type has the required offering", Lack::Offering),
            (
                "no instance type which met the scheduling requirements and had enough resources, had a required offering",
                Lack::Offering,
            ),
            ("no instance type met all requirements", Lack::Requirements),
            (
                "no instance type which had enough resources and the required offering met the scheduling requirements",
                Lack::Requirements,
            ),
            (
                "incompatible requirements, key topology.kubernetes.io/zone",
                Lack::Requirements,
            ),
            ("the moon is full", Lack::Unknown),
        ] {
            assert_eq!(lack(sentence), missing, "{sentence}");
        }
    }
}
