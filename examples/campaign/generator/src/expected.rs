//! What must become of the campaign, apart from what the real model does.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    Campaign, Customer,
    plants::{Expect, Plant},
};

/// Customers by what must become of their document. Each stands in at most one list of `refused` and
/// `review`; all others are published without a person, once the model's own words pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    pub accepted: usize,
    /// Customer ids by reason: `InvalidVariables`, or `PolicyBlocked/RULE`.
    pub refused: BTreeMap<String, Vec<String>>,
    /// Customer ids by the rule that asks for a person.
    pub review: BTreeMap<String, Vec<String>>,
    /// The wording may go out as it is: what a reviewer who knows the plants approves.
    pub approvable: Vec<String>,
    /// How many documents are not refused, by language.
    pub writable: BTreeMap<String, usize>,
}

impl Expected {
    pub(crate) fn of(campaign: &Campaign) -> Self {
        let mut expected = Self {
            accepted: campaign.customers.len(),
            refused: BTreeMap::new(),
            review: BTreeMap::new(),
            approvable: Vec::new(),
            writable: BTreeMap::new(),
        };
        for customer in &campaign.customers {
            let plant = campaign
                .plants
                .iter()
                .find(|plant| plant.customer_id == customer.id);
            expected.add(customer, plant);
        }
        expected
    }

    fn add(&mut self, customer: &Customer, plant: Option<&Plant>) {
        let id = customer.id.clone();
        if let Some(reason) = refusal(customer, plant) {
            self.refused.entry(reason).or_default().push(id);
            return;
        }
        let language = customer.language.as_str().to_owned();
        *self.writable.entry(language).or_default() += 1;
        match plant {
            Some(plant) if plant.expect == Expect::Review => {
                self.review.entry(plant.rule.into()).or_default().push(id);
            }
            _ if customer.is_delicate() => {
                self.approvable.push(id.clone());
                self.review.entry("delicate".into()).or_default().push(id);
            }
            _ => {}
        }
    }
}

fn refusal(customer: &Customer, plant: Option<&Plant>) -> Option<String> {
    if !customer.is_valid() {
        return Some("InvalidVariables".to_owned());
    }
    let planted = plant.filter(|plant| plant.expect == Expect::Refused);
    let rule = match planted {
        _ if !customer.marketing_consent => "marketing-consent",
        _ if customer.suppressed => "suppression-list",
        Some(plant) => plant.rule,
        None => return None,
    };
    Some(format!("PolicyBlocked/{rule}"))
}
