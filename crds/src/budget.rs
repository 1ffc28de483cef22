//! How much model calls may come to, in money or in tokens, and how much they came to.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Decimal;

/// Most that model calls may come to in a period, in money or in tokens. Before each call the most that it
/// can take is put aside; one that no longer fits is refused, and so is one to a model without a price in
/// the budget's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = one_unit()))]
pub struct Budget {
    /// Money of a period, as in `500` or `0.25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    /// ISO 4217 code. Every model that is called has its price in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// Tokens of a period, those of prompts and answers together. No model needs a price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub tokens: Option<i64>,
    /// What the budget is for.
    #[serde(default)]
    pub period: BudgetPeriod,
    /// Name of the IANA time zone in which a period begins at midnight; UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// Span that a budget is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetPeriod {
    Day,
    #[default]
    Month,
}

/// Most that the model calls of a run may come to, in money or in tokens, from its begin to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = one_unit()))]
pub struct RunBudget {
    /// Money, as in `20` or `0.25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    /// ISO 4217 code. Every model that is called has its price in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// Tokens of prompts and answers together. No model needs a price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub tokens: Option<i64>,
}

fn one_unit() -> serde_json::Value {
    serde_json::json!([{
        "rule": "has(self.amount) == has(self.currency) && has(self.amount) != has(self.tokens)",
        "message": "set amount and currency, or tokens: a budget counts one of them",
    }])
}

/// How much of a budget is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSpent {
    /// As in `2026-11` or `2026-11-26`; `run` of a run's budget, which is for all of it.
    pub period: String,
    /// What calls came to, as data planes say.
    pub spent: Decimal,
    /// What is spent or may be: data planes hold parts, which count as spent until they say otherwise.
    pub committed: Decimal,
    /// ISO 4217 code; `tokens` where these are counted.
    pub currency: String,
}

/// What a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Unit {
    /// Millionths of this currency.
    Money(String),
    Tokens,
}

const TOKENS: &str = "tokens";

impl Budget {
    pub fn unit(&self) -> Unit {
        unit(self.currency.as_deref())
    }

    /// In its unit.
    pub fn limit(&self) -> u64 {
        limit(self.amount, self.tokens)
    }
}

impl RunBudget {
    pub fn unit(&self) -> Unit {
        unit(self.currency.as_deref())
    }

    /// In its unit.
    pub fn limit(&self) -> u64 {
        limit(self.amount, self.tokens)
    }
}

impl Unit {
    /// As a decimal of currency or tokens.
    pub fn decimal(&self, count: u64) -> Decimal {
        match self {
            Self::Money(_) => Decimal::from_millionths(count),
            Self::Tokens => Decimal::from_millionths(count.saturating_mul(1_000_000)),
        }
    }

    /// The field of a budget that bounds it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Money(_) => "amount",
            Self::Tokens => TOKENS,
        }
    }

    /// As people say it.
    pub fn say(&self, count: u64) -> String {
        format!("{} {self}", self.decimal(count))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(currency) => f.write_str(currency),
            Self::Tokens => f.write_str(TOKENS),
        }
    }
}

/// The text is neither a currency nor `tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code or `tokens`")]
pub struct InvalidUnit;

impl FromStr for Unit {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            TOKENS => Ok(Self::Tokens),
            code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self::Money(code.to_owned()))
            }
            _ => Err(InvalidUnit),
        }
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.to_string()
    }
}

impl TryFrom<String> for Unit {
    type Error = InvalidUnit;

    fn try_from(text: String) -> Result<Self, InvalidUnit> {
        text.parse()
    }
}

fn unit(currency: Option<&str>) -> Unit {
    currency.map_or(Unit::Tokens, |currency| Unit::Money(currency.to_owned()))
}

/// Nothing fits a budget that says neither.
fn limit(amount: Option<Decimal>, tokens: Option<i64>) -> u64 {
    match (amount, tokens) {
        (Some(amount), _) => amount.millionths(),
        (None, tokens) => u64::try_from(tokens.unwrap_or_default()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Unit};

    fn budget(json: &str) -> Budget {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_budget_counts_millionths_of_money_or_tokens() {
        let money = budget(r#"{"amount": "0.5", "currency": "EUR"}"#);
        assert_eq!(
            (money.unit(), money.limit()),
            (Unit::Money("EUR".into()), 500_000)
        );
        assert_eq!(money.unit().say(64_000), "0.064 EUR");
        let tokens = budget(r#"{"tokens": 1200}"#);
        assert_eq!((tokens.unit(), tokens.limit()), (Unit::Tokens, 1200));
        assert_eq!(tokens.unit().say(64), "64 tokens");
        assert_eq!(budget("{}").limit(), 0);
    }

    #[test]
    fn a_unit_is_read_as_it_is_written() {
        for unit in [Unit::Money("EUR".into()), Unit::Tokens] {
            assert_eq!(unit.to_string().parse(), Ok(unit));
        }
        for wrong in ["", "eur", "EURO", "token"] {
            assert!(wrong.parse::<Unit>().is_err(), "{wrong}");
        }
    }
}
