//! What an attempt is charged with. Pure.

use super::bound::{Most, millionths};
use crate::{cost::Basis, meter::Receipt, outcome::Outcome};

/// Millionths of the budget. Where usage arrived it is the cost to the millionth. Where an answer broke
/// off and nobody said what it came to, it is the most that may have come: of a stream each byte that
/// was seen as a token, of an answer that was never seen all that was put aside.
pub fn charge(receipt: &Receipt, outcome: Outcome, text_bytes: u64, most: &Most) -> u64 {
    let cost = receipt.cost.as_ref().map_or(0, |cost| cost.millionths);
    let exact = receipt.usage.basis == Basis::Exact;
    if exact || outcome == Outcome::Ok {
        return cost;
    }
    if text_bytes > 0 {
        let seen = millionths(most.input, text_bytes, &most.pricing);
        return seen.min(most.millionths);
    }
    if outcome.spends() { most.millionths } else { 0 }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::charge;
    use crate::{
        cost::{Basis, Cost, Usage},
        meter::Receipt,
        money::bound::{Most, tests::model},
        outcome::Outcome,
    };

    #[rstest]
    #[case::whole(Basis::Exact, Outcome::Ok, 40, 7)]
    #[case::whole_by_estimate(Basis::Estimated, Outcome::Ok, 40, 7)]
    #[case::cancelled_after_its_usage(Basis::Exact, Outcome::Cancelled, 40, 7)]
    #[case::cancelled(Basis::Estimated, Outcome::Cancelled, 40, 100 + 40_000)]
    #[case::cut_late(Basis::Estimated, Outcome::Cut, 4_000, 60_000)]
    #[case::failed_in_the_middle(Basis::Estimated, Outcome::Failed, 40, 100 + 40_000)]
    #[case::never_seen(Basis::Estimated, Outcome::Timeout, 0, 60_000)]
    #[case::malformed(Basis::Estimated, Outcome::Malformed, 0, 60_000)]
    #[case::refused(Basis::Estimated, Outcome::RateLimited, 0, 0)]
    #[case::unreachable(Basis::Estimated, Outcome::Unreachable, 0, 0)]
    fn what_arrived_is_charged_exactly_and_what_broke_off_never_too_low(
        #[case] basis: Basis,
        #[case] outcome: Outcome,
        #[case] text_bytes: u64,
        #[case] expected: u64,
    ) {
        let receipt = Receipt {
            usage: Usage {
                input: 1,
                output: 1,
                basis,
            },
            cost: Some(Cost {
                millionths: 7,
                currency: "USD".into(),
            }),
        };
        let most = Most {
            input: 100,
            millionths: 60_000,
            pricing: model().pricing.unwrap(),
        };
        assert_eq!(charge(&receipt, outcome, text_bytes, &most), expected);
    }
}
