//! What a trial may come to, and what is wrong with what it was charged. Pure.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{
    plan::{Bill, Told},
    script::{Purse, Script},
    server::Attempt,
};

/// Millionths for a token of the prompt and of the answer.
pub const PRICES: [u64; 2] = [1_000, 10_000];

/// Millionths that were taken from a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// As models counted.
    pub exact: u64,
    pub all: u64,
}

/// What is wrong with a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misspent {
    /// More than the budget allows was charged, or came to pass.
    Overshot { charged: u64, came_to: u64 },
    /// Models counted this, and it was charged otherwise.
    Miscounted {
        told: RangeInclusive<u64>,
        exact: u64,
    },
    /// Less than it came to.
    Undercharged { charged: u64, came_to: u64 },
}

/// Millionths that a trial may come to.
pub fn amount(script: &Script) -> u64 {
    match script.purse {
        Purse::Full => 1_000_000_000,
        Purse::Small(cents) => cents * 10_000,
    }
}

/// What is wrong with what a trial was charged for the requests that reached models.
pub fn misspent(script: &Script, attempts: &[Attempt], charged: Charged) -> Option<Misspent> {
    let sum = |counts: &dyn Fn(Told) -> bool| -> u64 {
        let bills = attempts.iter().map(|attempt| attempt.bill);
        bills.filter(|bill| counts(bill.told)).map(cost).sum()
    };
    let came_to = sum(&|_| true);
    let Charged { exact, all } = charged;
    if all > amount(script) || came_to > amount(script) {
        return Some(Misspent::Overshot {
            charged: all,
            came_to,
        });
    }
    if !script.is_certain() {
        return None;
    }
    let told = sum(&|told| told == Told::Yes)..=sum(&|told| told != Told::No);
    if !told.contains(&exact) {
        return Some(Misspent::Miscounted { told, exact });
    }
    (all < came_to).then_some(Misspent::Undercharged {
        charged: all,
        came_to,
    })
}

/// What was taken from each pipeline's budget, as an egress's metrics say.
pub fn charged(metrics: &str) -> BTreeMap<String, Charged> {
    const SPENT: &str = "aios_sidecar_budget_spent_total{scope=\"pipeline\",name=\"";
    let mut charged = BTreeMap::<_, Charged>::new();
    let lines = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(SPENT)?.split_once('"'));
    for (pipeline, rest) in lines {
        let amount = rest.rsplit(' ').next().and_then(|text| text.parse().ok());
        let amount: u64 = amount.unwrap_or_default();
        let of = charged.entry(pipeline.to_owned()).or_default();
        of.all += amount;
        if rest.contains("\"exact\"") {
            of.exact += amount;
        }
    }
    charged
}

fn cost(bill: Bill) -> u64 {
    let [input, output] = PRICES;
    bill.input * input + bill.output * output
}

#[cfg(test)]
mod tests {
    use super::{Charged, Misspent, charged, misspent};
    use crate::trial::{Attempt, Bill, Purse, Script, Told};

    fn script() -> Script {
        Script {
            faults: [Vec::new(), Vec::new()],
            leaves: None,
            slips: None,
            purse: Purse::Small(1),
            ..Script::of(1)
        }
    }

    #[test]
    fn a_charge_is_held_against_what_models_sent() {
        let bill = Bill {
            input: 2,
            output: 0,
            told: Told::Yes,
        };
        let attempt = Attempt {
            seed: 1,
            model: 0,
            bill,
        };
        let of = |exact, all| misspent(&script(), &[attempt], Charged { exact, all });
        assert_eq!(of(2_000, 2_000), None);
        assert!(matches!(
            of(1_000, 2_000),
            Some(Misspent::Miscounted { .. })
        ));
        assert!(matches!(
            of(2_000, 1_000),
            Some(Misspent::Undercharged { .. })
        ));
        assert!(matches!(of(2_000, 20_000), Some(Misspent::Overshot { .. })));
    }

    #[test]
    fn charges_are_read_from_metrics() {
        let metrics = "aios_sidecar_budget_spent_total{scope=\"pipeline\",name=\"t1\",unit=\"EUR\",usage=\"exact\"} 5\n\
            aios_sidecar_budget_spent_total{scope=\"pipeline\",name=\"t1\",unit=\"EUR\",usage=\"estimated\"} 2\n\
            aios_sidecar_budget_spent_total{scope=\"run\",name=\"t1\",unit=\"EUR\",usage=\"exact\"} 9\n";
        let expected = Charged { exact: 5, all: 7 };
        assert_eq!(charged(metrics), [("t1".to_owned(), expected)].into());
    }
}
