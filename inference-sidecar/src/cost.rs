//! Tokens and what they cost, in integers.

use std::fmt;

use aios_crds::{Decimal, model_deployment::Pricing};

/// Tokens of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    /// Whether the model's server said so, or the numbers were estimated here.
    pub basis: Basis,
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The model's server.
    Exact,
    /// Bytes of text: see [`estimate`].
    Estimated,
}

/// Money, in millionths of its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub millionths: u64,
    /// ISO 4217 code.
    pub currency: String,
}

/// Tokens of a text whose tokenizer is unknown: a token for four bytes of UTF-8, rounded up. Small
/// vocabularies need more for other scripts than Latin; the model's server has the last word.
pub fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// What the tokens cost, rounded up to a millionth. None without a price.
pub fn price(usage: Usage, pricing: Option<&Pricing>) -> Option<Cost> {
    let pricing = pricing?;
    let part = |tokens: u64, per_million: Decimal| {
        u128::from(tokens) * u128::from(per_million.millionths())
    };
    let total = part(usage.input, pricing.input_per_million)
        + part(usage.output, pricing.output_per_million);
    let millionths = u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Some(Cost {
        millionths,
        currency: pricing.currency.clone(),
    })
}

impl Basis {
    /// Value of header `aios-usage`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimated => "estimated",
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            Decimal::from_millionths(self.millionths),
            self.currency
        )
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::model_deployment::Pricing;

    use super::{Basis, Usage, price};

    fn cost(input: u64, output: u64) -> String {
        let pricing = Pricing {
            input_per_million: "0.15".parse().unwrap(),
            output_per_million: "0.60".parse().unwrap(),
            currency: "USD".into(),
        };
        let usage = Usage {
            input,
            output,
            basis: Basis::Exact,
        };
        price(usage, Some(&pricing)).unwrap().to_string()
    }

    #[test]
    fn costs_are_exact_in_millionths_and_never_too_low() {
        assert_eq!(cost(1_000_000, 1_000_000), "0.75 USD");
        assert_eq!(cost(100, 60), "0.000051 USD");
        assert_eq!(cost(1, 0), "0.000001 USD");
        assert_eq!(cost(0, 0), "0 USD");
    }

    #[test]
    fn without_a_price_nothing_is_said() {
        let usage = Usage {
            input: 1,
            output: 1,
            basis: Basis::Exact,
        };
        assert_eq!(price(usage, None), None);
    }
}
