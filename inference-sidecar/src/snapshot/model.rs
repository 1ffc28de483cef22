//! A model, parsed so that calls need not look twice.

use std::{net::IpAddr, sync::Arc, time::Duration};

use aios_crds::model_deployment::{Hedge, Pricing};
use aios_policy::Place;
use aios_proto::{
    config::{Dialect, HostedAt, ModelConfig, NextRevision},
    control::BudgetScope,
};
use reqwest::Url;

use crate::{dialect::openai::CapField, metrics::ModelLabels, money::Fund};

/// A ModelDeployment in force.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    /// Name in requests to the upstream.
    pub upstream_model: String,
    /// Digest of the weights.
    pub digest: Option<String>,
    /// Addresses of ingresses, in the order in which they are tried. The first is the Service's before all groups that
    /// take traffic.
    pub endpoints: Vec<String>,
    /// The revision that is to follow, while it takes a part of the calls.
    pub next: Option<Next>,
    /// What the ingress talks to, without a trailing slash.
    pub base_url: String,
    /// Root of an engine in the same pod, without a trailing slash; none for other upstreams.
    pub engine: Option<String>,
    pub dialect: Dialect,
    /// The provider that serves it; none for models of this cluster.
    pub hosted: Option<HostedAt>,
    pub cap_field: CapField,
    /// Whether `DeepSeek`'s own API serves it.
    pub is_deepseeks: bool,
    pub context_tokens: u64,
    pub max_output_tokens: u64,
    pub max_in_flight: u32,
    pub timeout: Duration,
    pub first_token_timeout: Duration,
    /// Between two signs of life of a stream.
    pub token_gap_timeout: Duration,
    pub retries: u32,
    /// Which calls are sent a second time; none are when left out.
    pub hedge: Option<Hedge>,
    /// For how long a call may wait for a group that takes it; zero holds none.
    pub hold_for: Duration,
    /// Whether the operator asks for the demand.
    pub demand: bool,
    pub pricing: Option<Pricing>,
    /// What all calls to it may come to.
    pub fund: Option<Arc<Fund>>,
    /// Labels of every metric about it.
    pub labels: ModelLabels,
}

/// Address of a revision that takes a part of the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub endpoint: String,
    /// Percent of the calls.
    pub percent: u32,
}

impl Model {
    /// Checks what the type of the configuration leaves open.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn new(mut config: ModelConfig) -> Result<Self, String> {
        let mut endpoints = vec![address("endpoint", &config.endpoint)?];
        if let Some(standby) = config.standby_endpoint {
            endpoints.push(address("standbyEndpoint", &standby)?);
        }
        let next = config.next.as_ref().map(next).transpose()?;
        let base_url = address("upstream.baseUrl", &config.upstream.base_url)?;
        let (limits, resilience) = (config.limits, config.resilience);
        if limits.context_tokens == 0 || limits.max_output_tokens == 0 || limits.max_in_flight == 0
        {
            return Err("limits: every limit must be 1 or more".to_owned());
        }
        let spans = [
            resilience.timeout,
            resilience.first_token_timeout,
            resilience.token_gap_timeout,
        ];
        if spans.iter().any(|span| span.get().is_zero()) {
            return Err("resilience: no call can end within 0s".to_owned());
        }
        if resilience.hedge.is_some_and(|hedge| !hedge.is_bounded()) {
            return Err(
                "resilience.hedge: afterPercentile must be 50 to 99, maxPercent 1 to 50".to_owned(),
            );
        }
        let fund = config.budget.take();
        let fund = fund.map(|budget| Fund::new(BudgetScope::Model, &config.name, budget));
        let labels = ModelLabels::new(&config.name, &config.model, &config.upstream.dialect);
        Ok(Self {
            cap_field: cap_field(&base_url),
            is_deepseeks: is_deepseeks(&base_url),
            engine: engine(&base_url),
            name: config.name,
            upstream_model: config.model,
            digest: config.digest,
            endpoints,
            next,
            base_url,
            dialect: config.upstream.dialect,
            pricing: config
                .pricing
                .map(|pricing| whole(pricing, config.hosted.is_some())),
            hosted: config.hosted,
            context_tokens: limits.context_tokens.into(),
            max_output_tokens: limits.max_output_tokens.into(),
            max_in_flight: limits.max_in_flight,
            timeout: resilience.timeout.get(),
            first_token_timeout: resilience.first_token_timeout.get(),
            token_gap_timeout: resilience.token_gap_timeout.get(),
            retries: resilience.retries,
            hedge: resilience.hedge,
            hold_for: Duration::from_millis(config.hold_ms),
            demand: config.demand,
            fund,
            labels,
        })
    }

    /// Where it is served.
    pub fn place(&self) -> Place<'_> {
        self.hosted.as_ref().map_or(Place::Private, |hosted| {
            let region = hosted.region.as_deref();
            Place::Hosted { region }
        })
    }

    /// Whose certificate an address shows: its own host's, or, where a group is reached by itself, the Service's.
    pub fn shown_at<'a>(&'a self, address: &'a str) -> &'a str {
        let next = self.next.iter().map(|next| &next.endpoint);
        let mut named = self.endpoints.iter().chain(next);
        match self.endpoints.first() {
            Some(service) if !named.any(|named| named == address) => service,
            _ => address,
        }
    }

    /// Addresses that a call tries in order, by where it stands among a hundred. One that goes to the
    /// next revision turns to the present one where it finds nobody; never the other way round.
    pub fn addresses(&self, stand: u32) -> impl Iterator<Item = &str> {
        let next = self.next.iter().filter(move |next| stand < next.percent);
        next.map(|next| next.endpoint.as_str())
            .chain(self.endpoints.iter().map(String::as_str))
    }
}

fn next(config: &NextRevision) -> Result<Next, String> {
    if !(1..=100).contains(&config.percent) {
        return Err("next.percent: must be 1 to 100".to_owned());
    }
    Ok(Next {
        endpoint: address("next.endpoint", &config.endpoint)?,
        percent: config.percent,
    })
}

fn address(field: &str, address: &str) -> Result<String, String> {
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(address.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("{field}: `{address}` is no http address")),
    }
}

/// Engines are on the pod's loopback, where no kubelet can ask them.
fn engine(base_url: &str) -> Option<String> {
    let mut url = Url::parse(base_url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let loopback = host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.set_path("");
    loopback.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// OpenAI's own API, also at Azure, refuses `max_tokens` for its newer models and takes the newer name for all;
/// other servers may know the older name alone.
fn cap_field(base_url: &str) -> CapField {
    let url = Url::parse(base_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let is_openai = host == "api.openai.com"
        || host.ends_with(".api.openai.com")
        || host.ends_with(".openai.azure.com");
    if is_openai {
        CapField::MaxCompletionTokens
    } else {
        CapField::MaxTokens
    }
}

/// What an engine of this cluster keeps of a prompt costs what its owner says: where that is nothing of its own, as
/// other tokens do.
fn whole(mut pricing: Pricing, is_hosted: bool) -> Pricing {
    if !is_hosted {
        let input = pricing.input_per_million;
        pricing.cache_read_per_million.get_or_insert(input);
        pricing.cache_write_per_million.get_or_insert(input);
    }
    pricing
}

fn is_deepseeks(base_url: &str) -> bool {
    let url = Url::parse(base_url).ok();
    url.as_ref().and_then(Url::host_str) == Some("api.deepseek.com")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{CapField, cap_field, engine, is_deepseeks};

    #[rstest]
    #[case::openai("https://api.openai.com/v1", CapField::MaxCompletionTokens)]
    #[case::of_a_region("https://eu.api.openai.com/v1", CapField::MaxCompletionTokens)]
    #[case::azure("https://a.openai.azure.com/openai/v1", CapField::MaxCompletionTokens)]
    #[case::likeness("https://api.openai.com.example.com/v1", CapField::MaxTokens)]
    #[case::other("http://127.0.0.1:8000/v1", CapField::MaxTokens)]
    fn servers_are_told_the_cap_by_the_name_that_they_know(
        #[case] url: &str,
        #[case] field: CapField,
    ) {
        assert_eq!(cap_field(url), field);
    }

    #[rstest]
    #[case::own("https://api.deepseek.com/v1", true)]
    #[case::in_messages("https://api.deepseek.com/anthropic/v1", true)]
    #[case::weights_elsewhere("http://127.0.0.1:8000/v1", false)]
    #[case::likeness("https://api.deepseek.com.example.com/v1", false)]
    fn deepseeks_own_api_is_known_by_its_host(#[case] url: &str, #[case] known: bool) {
        assert_eq!(is_deepseeks(url), known);
    }

    #[test]
    fn only_upstreams_of_the_same_pod_are_engines() {
        for url in [
            "http://127.0.0.1:8080/v1",
            "http://localhost:8080/v1",
            "http://[::1]:8080/v1",
        ] {
            assert!(
                engine(url).is_some_and(|root| url.strip_suffix("/v1") == Some(root.as_str())),
                "{url}"
            );
        }
        assert_eq!(engine("https://models.example.com/v1"), None);
    }
}
