//! How much of a policy's budget is gone in each namespace that it binds. Pure.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use aios_budget::Book;
use aios_crds::{
    ConditionType, Reason,
    budget::{Budget, Unit},
    policy_set::NamespaceSpent,
};
use jiff::Timestamp;

use crate::{conditions::Fact, spending::Spending};

/// Namespaces that a status tells of.
const MOST: usize = 32;
/// Namespaces that a message names.
const NAMED: usize = 5;

/// What is known of a policy's budget.
#[derive(Clone, Debug)]
pub struct Spent {
    unit: Unit,
    pub namespaces: Vec<NamespaceSpent>,
    /// Those whose calls find no room.
    short: Vec<String>,
    /// Time until there is room again.
    pub turns: Option<Duration>,
}

impl Spent {
    /// What a status said of a namespace whose book is not at hand still stands.
    pub fn of(
        budget: &Budget,
        books: Vec<(String, Book)>,
        before: &[NamespaceSpent],
        now: Timestamp,
    ) -> Option<Self> {
        let period = Spending::of(budget, &Book::default(), now)?.spent().period;
        let unit = budget.unit();
        let still = before
            .iter()
            .filter(|told| told.period == period && told.currency == unit.to_string())
            .map(|told| (told.namespace.clone(), told.clone()));
        let mut namespaces: BTreeMap<String, NamespaceSpent> = still.collect();
        let mut short = Vec::new();
        let mut turns = None;
        for (namespace, book) in books {
            let spending = Spending::of(budget, &book, now)?;
            if spending.is_short() {
                short.push(namespace.clone());
                turns = spending.turns_after(now);
            }
            let spent = spending.spent();
            let told = NamespaceSpent {
                namespace: namespace.clone(),
                period: spent.period,
                spent: spent.spent,
                committed: spent.committed,
                currency: spent.currency,
            };
            namespaces.insert(namespace, told);
        }
        short.sort();
        let mut namespaces: Vec<_> = namespaces.into_values().collect();
        namespaces.sort_by_key(|told| Reverse(told.committed));
        namespaces.truncate(MOST);
        Some(Self {
            unit,
            namespaces,
            short,
            turns,
        })
    }

    /// The condition.
    pub fn fact(&self) -> Fact {
        let kind = ConditionType::BudgetAvailable;
        if self.short.is_empty() {
            return Fact::yes(kind, Reason::WithinBudget, Reason::WithinBudget.meaning());
        }
        let named: Vec<_> = self.short.iter().take(NAMED).map(String::as_str).collect();
        let others = match self.short.len().saturating_sub(NAMED) {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        let message = format!(
            "no room for the next call in {}{others}: raise spec.quotas.budget.{}, or wait for the next period",
            named.join(", "),
            self.unit.field(),
        );
        Fact::no(kind, Reason::BudgetExhausted, message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::{budget::Budget, policy_set::NamespaceSpent};
    use jiff::Timestamp;

    use super::Spent;
    use crate::{
        conditions::State,
        testing::books::{asked, first_day},
    };

    fn budget() -> Budget {
        serde_json::from_str(r#"{"amount": "1", "currency": "EUR", "period": "Day"}"#).unwrap()
    }

    fn told(namespace: &str, period: &str) -> NamespaceSpent {
        NamespaceSpent {
            namespace: namespace.into(),
            period: period.into(),
            committed: "0.7".parse().unwrap(),
            currency: "EUR".into(),
            ..NamespaceSpent::default()
        }
    }

    #[test]
    fn a_policy_tells_what_each_namespace_spent_and_names_those_without_room() {
        let books = vec![
            ("shop".into(), asked(&first_day(1_000_000), 400_000)),
            ("bank".into(), asked(&first_day(1_000_000), 2_000_000)),
        ];
        let before = [
            told("shop", "1970-01-01"),
            told("news", "1970-01-01"),
            told("old", "1969-12-31"),
        ];
        let spent = Spent::of(&budget(), books, &before, Timestamp::UNIX_EPOCH).unwrap();
        let seen: Vec<_> = spent
            .namespaces
            .iter()
            .map(|told| (told.namespace.as_str(), told.committed.to_string()))
            .collect();
        let expected = [("news", "0.7"), ("shop", "0.4"), ("bank", "0")];
        assert_eq!(seen, expected.map(|(name, spent)| (name, spent.to_owned())));
        let fact = spent.fact();
        assert_eq!(fact.state, State::False);
        assert!(
            fact.message
                .contains("in bank: raise spec.quotas.budget.amount"),
            "{}",
            fact.message
        );
    }
}
