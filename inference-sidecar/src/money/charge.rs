//! What an attempt is charged with. Pure.

use aios_crds::budget::Unit;

use super::bound::Most;
use crate::{cost::Basis, meter::Receipt, outcome::Outcome};

/// What was put aside in one budget for an attempt.
pub struct Aside<'a> {
    pub unit: &'a Unit,
    pub amount: u64,
}

impl Aside<'_> {
    /// In the budget's unit. Where usage arrived it is what that says, money to the millionth. Where an
    /// answer broke off and nobody said what it came to, it is the most that may have come: of a stream
    /// each byte that was seen as a token, of an answer that was never seen all that was put aside.
    pub fn charge(&self, receipt: &Receipt, outcome: Outcome, text_bytes: u64, most: &Most) -> u64 {
        let exact = receipt.usage.basis == Basis::Exact;
        if exact || outcome == Outcome::Ok {
            return match self.unit {
                Unit::Tokens => receipt.usage.input.saturating_add(receipt.usage.output),
                Unit::Money(_) => receipt.cost.as_ref().map_or(0, |cost| cost.millionths),
            };
        }
        if text_bytes > 0 {
            let seen = most.with_output(text_bytes, self.unit);
            return seen.unwrap_or(self.amount).min(self.amount);
        }
        if outcome.spends() { self.amount } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::budget::Unit;
    use rstest::rstest;

    use super::Aside;
    use crate::{
        cost::{Basis, Cached, Cost, Usage},
        meter::Receipt,
        money::bound::{Most, tests::model},
        outcome::Outcome,
    };

    #[rstest]
    #[case::whole(Basis::Exact, Outcome::Ok, 40, 7, 2)]
    #[case::whole_by_estimate(Basis::Estimated, Outcome::Ok, 40, 7, 2)]
    #[case::cancelled_after_its_usage(Basis::Exact, Outcome::Cancelled, 40, 7, 2)]
    #[case::cancelled(Basis::Estimated, Outcome::Cancelled, 40, 100 + 40_000, 140)]
    #[case::cut_late(Basis::Estimated, Outcome::Cut, 4_000, 60_000, 160)]
    #[case::failed_in_the_middle(Basis::Estimated, Outcome::Failed, 40, 100 + 40_000, 140)]
    #[case::never_seen(Basis::Estimated, Outcome::Timeout, 0, 60_000, 160)]
    #[case::malformed(Basis::Estimated, Outcome::Malformed, 0, 60_000, 160)]
    #[case::refused(Basis::Estimated, Outcome::RateLimited, 0, 0, 0)]
    #[case::unreachable(Basis::Estimated, Outcome::Unreachable, 0, 0, 0)]
    fn what_arrived_is_charged_exactly_and_what_broke_off_never_too_low(
        #[case] basis: Basis,
        #[case] outcome: Outcome,
        #[case] text_bytes: u64,
        #[case] millionths: u64,
        #[case] tokens: u64,
    ) {
        let receipt = Receipt {
            usage: Usage {
                input: 1,
                output: 1,
                cached: Cached::default(),
                basis,
            },
            cost: Some(Cost {
                millionths: 7,
                currency: "USD".into(),
                basis,
            }),
        };
        let most = Most {
            input: 100,
            output: 60,
            caches: false,
            pricing: model().pricing,
        };
        for (unit, amount, expected) in [
            (Unit::Money("USD".into()), 60_000, millionths),
            (Unit::Tokens, 160, tokens),
        ] {
            let aside = Aside {
                unit: &unit,
                amount,
            };
            let charged = aside.charge(&receipt, outcome, text_bytes, &most);
            assert_eq!(charged, expected, "{unit}");
        }
    }
}
