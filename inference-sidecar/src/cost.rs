//! Tokens and what they cost, in integers.

use std::fmt;

use aios_crds::{Decimal, model_deployment::Pricing};

/// Tokens of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    /// Of the input.
    pub cached: Cached,
    /// Whether the model's server said so, or the numbers were estimated here.
    pub basis: Basis,
}

/// Tokens of a prompt that have prices of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cached {
    /// The provider had them in a cache.
    pub read: u32,
    /// It wrote them into one.
    pub written: u32,
}

impl Cached {
    pub fn new(read: u64, written: u64) -> Self {
        let tokens = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            read: tokens(read),
            written: tokens(written),
        }
    }
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
    /// Whether each of the tokens was counted and has a price.
    pub basis: Basis,
}

/// Tokens of a text whose tokenizer is unknown: a token for four bytes of UTF-8, rounded up. Small
/// vocabularies need more for other scripts than Latin; the model's server has the last word.
pub fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// What the tokens cost. None without a price.
pub fn price(usage: Usage, pricing: Option<&Pricing>) -> Option<Cost> {
    let pricing = pricing?;
    let (millionths, basis) = millionths(usage, pricing);
    Some(Cost {
        millionths,
        currency: pricing.currency.clone(),
        basis,
    })
}

/// The same in millionths, rounded up, and whether each of the tokens was counted and has a price.
pub fn millionths(usage: Usage, pricing: &Pricing) -> (u64, Basis) {
    let part = |tokens: u64, per_million: Decimal| {
        u128::from(tokens) * u128::from(per_million.millionths())
    };
    let (input, cached) = (pricing.input_per_million, usage.cached);
    let read = u64::from(cached.read).min(usage.input);
    let written = u64::from(cached.written).min(usage.input - read);
    let of_read = pricing.cache_read_per_million;
    let of_written = pricing.cache_write_per_million;
    let total = part(usage.input - read - written, input)
        + part(read, of_read.unwrap_or(input))
        // Nobody is known to ask more.
        + of_written.map_or(2 * part(written, input), |price| part(written, price))
        + part(usage.output, pricing.output_per_million);
    let is_known = (read == 0 || of_read.is_some()) && (written == 0 || of_written.is_some());
    let basis = if is_known || input.millionths() == 0 {
        usage.basis
    } else {
        Basis::Estimated
    };
    let total = u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX);
    (total, basis)
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
    use rstest::rstest;

    use super::{Basis, Cached, Usage, price};

    fn pricing() -> Pricing {
        Pricing {
            input_per_million: "0.15".parse().unwrap(),
            output_per_million: "0.60".parse().unwrap(),
            cache_read_per_million: None,
            cache_write_per_million: None,
            currency: "USD".into(),
        }
    }

    fn cost(input: u64, output: u64) -> String {
        let pricing = pricing();
        let usage = Usage {
            input,
            output,
            cached: Cached::default(),
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

    #[rstest]
    #[case::both(Some("0.015"), Some("0.1875"), 80, 20, "0.000005 USD", Basis::Exact)]
    #[case::neither(None, None, 80, 20, "0.000018 USD", Basis::Estimated)]
    #[case::without_a_need(None, None, 0, 0, "0.000015 USD", Basis::Exact)]
    #[case::one_that_is_not_needed(Some("0.015"), None, 100, 0, "0.000002 USD", Basis::Exact)]
    #[case::one_that_is_missing(Some("0.015"), None, 0, 100, "0.00003 USD", Basis::Estimated)]
    #[case::more_than_the_prompt(Some("0"), Some("0"), 90, 90, "0 USD", Basis::Exact)]
    fn what_a_cache_gave_and_took_has_its_own_price_or_one_that_is_not_too_low(
        #[case] of_read: Option<&str>,
        #[case] of_written: Option<&str>,
        #[case] read: u64,
        #[case] written: u64,
        #[case] expected: &str,
        #[case] basis: Basis,
    ) {
        let parsed = |price: Option<&str>| price.map(|price| price.parse().unwrap());
        let pricing = Pricing {
            cache_read_per_million: parsed(of_read),
            cache_write_per_million: parsed(of_written),
            ..pricing()
        };
        let usage = Usage {
            input: 100,
            output: 0,
            cached: Cached::new(read, written),
            basis: Basis::Exact,
        };
        let cost = price(usage, Some(&pricing)).unwrap();
        assert_eq!((cost.to_string().as_str(), cost.basis), (expected, basis));
    }

    #[test]
    fn without_a_price_nothing_is_said() {
        let usage = Usage {
            input: 1,
            output: 1,
            cached: Cached::default(),
            basis: Basis::Exact,
        };
        assert_eq!(price(usage, None), None);
    }
}
