//! The most that an attempt can take. Pure.

use aios_crds::{budget::Unit, model_deployment::Pricing, text_engine::CallSetting};

use super::contents::Contents;
use crate::{
    cost::{Basis, Cached, Usage, millionths},
    dialect::{openai::Request, text::Speech},
    snapshot::Model,
};

/// What servers add to a prompt where it declares tools, and around it.
const ADDED: u64 = 1024;
/// A request as it is sent.
pub struct Sent<'a> {
    pub request: &'a Request,
    pub body: &'a [u8],
    /// Cap of the answer where the caller names none.
    pub cap: u64,
}

/// The most that it can take.
#[derive(Debug, PartialEq, Eq)]
pub struct Most {
    pub input: u64,
    pub output: u64,
    /// Whether the provider may write the prompt into a cache.
    pub caches: bool,
    /// None of a model without a price.
    pub pricing: Option<Pricing>,
}

impl Sent<'_> {
    /// Bounds its tokens. A token is a byte of the prompt at least, and no prompt is longer than
    /// the model's context.
    ///
    /// # Errors
    /// The field that asks for what nobody can price beforehand.
    pub fn most(&self, model: &Model) -> Result<Most, String> {
        let contents = Contents::of(self.body);
        if let Some(field) = contents.unbounded {
            return Err(field);
        }
        let bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        let context = model.context_tokens;
        let input = if contents.media {
            context
        } else {
            bytes.saturating_add(ADDED).min(context)
        };
        let output = if self.request.operation.writes() {
            let cap = if is_told_caps(model) {
                self.request.max_output.unwrap_or(self.cap)
            } else {
                context
            };
            cap.saturating_mul(self.request.choices)
        } else {
            0
        };
        Ok(Most {
            input,
            output,
            caches: contents.caches,
            pricing: model.pricing.clone(),
        })
    }
}

impl Most {
    /// In a budget's unit; none where the model has no price in it.
    pub fn of(&self, unit: &Unit) -> Option<u64> {
        self.with_output(self.output, unit)
    }

    /// The same, of an answer that is known to have no more tokens.
    pub fn with_output(&self, output: u64, unit: &Unit) -> Option<u64> {
        match unit {
            Unit::Tokens => Some(self.input.saturating_add(output)),
            Unit::Money(currency) => {
                let pricing = self.pricing.as_ref();
                let pricing = pricing.filter(|pricing| pricing.currency == *currency)?;
                Some(self.millionths(output, pricing))
            }
        }
    }

    /// Price of the tokens, rounded up: all of the prompt at the dearest that may apply.
    fn millionths(&self, output: u64, pricing: &Pricing) -> u64 {
        let (read, written) = (self.input, if self.caches { self.input } else { 0 });
        let kinds = [(0, 0), (read, 0), (0, written)];
        let costs = kinds.map(|(read, written)| {
            let usage = Usage {
                input: self.input,
                output,
                cached: Cached::new(read, written),
                basis: Basis::Estimated,
            };
            millionths(usage, pricing).0
        });
        costs.into_iter().max().unwrap_or(u64::MAX)
    }
}

/// Servers of texts know the settings that the model names and no others.
fn is_told_caps(model: &Model) -> bool {
    let speech = Speech::of(&model.dialect, "");
    speech.is_none_or(|speech| speech.shape.settings.contains(&CallSetting::MaxTokens))
}

#[cfg(test)]
pub(super) mod tests {
    use aios_crds::budget::Unit;
    use aios_proto::config::Dialect;
    use serde_json::{Value, json};

    use super::Sent;
    use crate::{
        dialect::openai::{Operation, Request},
        snapshot::{Model, tests},
    };

    pub fn model() -> Model {
        let mut model = tests::model("m");
        model["pricing"] =
            json!({"inputPerMillion": "1", "outputPerMillion": "1000", "currency": "USD"});
        Model::new(serde_json::from_value(model).unwrap()).unwrap()
    }

    /// In millionths: one for a prompt token, a thousand for one of the answer.
    fn most(body: &Value) -> u64 {
        most_of(&model(), body)
    }

    fn most_of(model: &Model, body: &Value) -> u64 {
        let body = body.to_string();
        let request = Request::parse(Operation::Chat, body.clone().into()).unwrap();
        let sent = Sent {
            request: &request,
            body: body.as_bytes(),
            cap: 10,
        };
        let euros = Unit::Money("EUR".into());
        let most = sent.most(model).unwrap();
        assert_eq!(most.of(&euros), None);
        assert_eq!(most.of(&Unit::Tokens), Some(most.input + most.output));
        most.of(&Unit::Money("USD".into())).unwrap()
    }

    fn chat(extra: &Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (field, value) in extra.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    }

    #[test]
    fn the_bound_is_every_byte_of_the_prompt_and_the_whole_cap_for_each_choice() {
        let plain = chat(&json!({}));
        let bytes = plain.to_string().len() as u64;
        assert_eq!(most(&plain), bytes + 1024 + 10_000);
        let own = chat(&json!({"max_tokens": 3}));
        assert_eq!(most(&own) - own.to_string().len() as u64, 1024 + 3_000);
        let many = chat(&json!({"max_tokens": 3, "n": 4}));
        assert_eq!(most(&many) - many.to_string().len() as u64, 1024 + 12_000);
    }

    #[test]
    fn a_prompt_that_is_to_be_kept_is_bounded_at_the_price_of_that() {
        let kept = chat(&json!({"cache_control": {"type": "ephemeral"}}));
        let input = kept.to_string().len() as u64 + 1024;
        assert_eq!(most(&kept), input + 10_000, "of this cluster");
        let hosted = |of_written: Option<&str>| {
            let mut model = model();
            let pricing = model.pricing.as_mut().unwrap();
            pricing.cache_write_per_million = of_written.map(|price| price.parse().unwrap());
            most_of(&model, &kept)
        };
        assert_eq!(hosted(None), 2 * input + 10_000);
        assert_eq!(hosted(Some("1.25")), (5 * input).div_ceil(4) + 10_000);
    }

    #[test]
    fn a_server_that_is_told_no_cap_may_fill_the_context() {
        let text = |settings: &Value| {
            let shape = json!({"input": "prompt", "settings": settings});
            let shape = serde_json::from_value(shape).unwrap();
            Model {
                dialect: Dialect::BentoML(shape),
                ..model()
            }
        };
        let body = chat(&json!({"max_tokens": 3}));
        let told = most_of(&text(&json!(["max_tokens"])), &body);
        assert_eq!(told, most(&body));
        let untold = most_of(&text(&json!(["temperature"])), &body);
        assert_eq!(untold, told + (model().context_tokens - 3) * 1_000);
    }

    #[test]
    fn no_prompt_is_longer_than_the_context_and_media_may_fill_it() {
        let context = model().context_tokens;
        let long = chat(&json!({"user": "x".repeat(100_000)}));
        assert_eq!(most(&long), context + 10_000);
        let image = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a"}}]);
        let image = chat(&json!({"messages": [{"role": "user", "content": image}]}));
        assert_eq!(most(&image), context + 10_000);
    }
}
