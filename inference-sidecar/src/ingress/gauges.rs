//! What an engine says of itself at `/metrics`, in one vocabulary whatever the engine calls it.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::{
    client::{Client, read_at_most},
    config::Live,
    metrics::Metrics,
    snapshot::Model,
};

const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_TEXT: usize = 4 << 20;

/// What an engine is doing; none where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// Calls that it works on.
    pub running: Option<f64>,
    /// Calls that wait in it.
    pub waiting: Option<f64>,
    /// How full its cache of keys and values is, from 0 to 1.
    pub kv_cache: Option<f64>,
    /// Calls that it has ended since it started.
    pub ended: Option<f64>,
    /// Seconds that it took for them, all together.
    pub seconds: Option<f64>,
}

/// Looks at the engine of a model.
pub struct Gauges {
    pub live: Live,
    /// Name of the ModelDeployment.
    pub model: String,
    pub client: Client,
    pub metrics: Arc<Metrics>,
}

impl Gauges {
    /// Keeps the gauges true to the engine until shutdown.
    pub async fn watch(self, shutdown: CancellationToken) {
        let mut ticks = Ticks::new(EVERY, shutdown);
        while ticks.next().await {
            self.look().await;
        }
    }

    /// Looks once. An engine that does not answer has no gauges, instead of old ones.
    pub async fn look(&self) {
        let config = self.live.load();
        let Some(model) = config.models.get(&self.model) else {
            return;
        };
        let measures = self.measures(model).await.unwrap_or_default();
        self.metrics.engine(&model.labels, measures);
    }

    async fn measures(&self, model: &Model) -> Option<Measures> {
        let url = format!("{}/metrics", model.engine.as_ref()?);
        let read = async {
            let answer = self.client.get().get(url).send().await.ok()?;
            let answer = answer.error_for_status().ok()?;
            Some(read_at_most(answer, MAX_TEXT).await)
        };
        let text = timeout(PATIENCE, read).await.ok().flatten()?;
        Some(Measures::read(&String::from_utf8_lossy(&text)))
    }
}

impl Measures {
    /// Reads Prometheus' text format. Engines of several cores say a value for each: calls add up, and of
    /// caches the fullest counts.
    fn read(text: &str) -> Self {
        let mut measures = Self::default();
        for Sample {
            name,
            labels,
            value,
        } in text.lines().filter_map(Sample::read)
        {
            let sum = |known: Option<f64>| Some(known.unwrap_or_default() + value);
            match name {
                // BentoML counts those who ask whether it is ready, too.
                _ if PROBES.iter().any(|probe| labels.contains(probe)) => {}
                "llamacpp:requests_processing"
                | "vllm:num_requests_running"
                | "bentoml_service_request_in_progress" => {
                    measures.running = sum(measures.running);
                }
                "llamacpp:requests_deferred" | "vllm:num_requests_waiting" => {
                    measures.waiting = sum(measures.waiting);
                }
                // The older names of both are still those of older versions.
                "vllm:kv_cache_usage_perc"
                | "vllm:gpu_cache_usage_perc"
                | "llamacpp:kv_cache_usage_ratio" => {
                    measures.kv_cache =
                        Some(measures.kv_cache.map_or(value, |known| known.max(value)));
                }
                "vllm:e2e_request_latency_seconds_count"
                | "request_predict_seconds_count"
                | "bentoml_service_request_duration_seconds_count" => {
                    measures.ended = sum(measures.ended);
                }
                "vllm:e2e_request_latency_seconds_sum"
                | "request_predict_seconds_sum"
                | "bentoml_service_request_duration_seconds_sum" => {
                    measures.seconds = sum(measures.seconds);
                }
                _ => {}
            }
        }
        measures
    }
}

/// Labels of BentoML's calls that are no calls of a model.
const PROBES: [&str; 3] = [
    "endpoint=\"/readyz\"",
    "endpoint=\"/livez\"",
    "endpoint=\"/healthz\"",
];

/// A line that says a number.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        // A label's value may hold a space, but no brace comes after the last.
        let (labels, values) = rest.rsplit_once('}').unwrap_or(("", rest));
        let value = values.split_whitespace().next()?.parse::<f64>().ok()?;
        let is_sample = !name.starts_with('#') && value.is_finite();
        is_sample.then_some(Self {
            name,
            labels,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Measures;

    #[test]
    fn engines_are_read_into_one_vocabulary() {
        let llama = "# HELP llamacpp:requests_processing Number of requests processing.\n\
                     # TYPE llamacpp:requests_processing gauge\n\
                     llamacpp:requests_processing 3\n\
                     llamacpp:requests_deferred 1\n\
                     llamacpp:predicted_tokens_seconds nan\n";
        assert_eq!(
            Measures::read(llama),
            Measures {
                running: Some(3.0),
                waiting: Some(1.0),
                ..Measures::default()
            }
        );
        let vllm = "vllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 2.0\n\
                    vllm:num_requests_running{engine=\"1\",model_name=\"a b\"} 5.0 1700000000\n\
                    vllm:num_requests_waiting{engine=\"0\",model_name=\"a b\"} 0.0\n\
                    vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a b\"} 0.25\n\
                    vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"a b\"} 0.5\n\
                    vllm:e2e_request_latency_seconds_sum{engine=\"0\",model_name=\"a b\"} 9.5\n\
                    vllm:e2e_request_latency_seconds_count{engine=\"0\",model_name=\"a b\"} 4.0\n";
        assert_eq!(
            Measures::read(vllm),
            Measures {
                running: Some(7.0),
                waiting: Some(0.0),
                kv_cache: Some(0.5),
                ended: Some(4.0),
                seconds: Some(9.5),
            }
        );
        // As kserve 0.21 and bentoml 1.4 have it, shortened.
        let kserve = "request_predict_seconds_bucket{le=\"+Inf\",model_name=\"writer\"} 2.0\n\
                      request_predict_seconds_count{model_name=\"writer\"} 2.0\n\
                      request_predict_seconds_sum{model_name=\"writer\"} 0.5\n\
                      request_predict_seconds_created{model_name=\"writer\"} 1.79e+09\n";
        assert_eq!(
            Measures::read(kserve),
            Measures {
                ended: Some(2.0),
                seconds: Some(0.5),
                ..Measures::default()
            }
        );
        let bentoml = "bentoml_service_request_in_progress{endpoint=\"/readyz\",runner_name=\"Writer\"} 1.0\n\
                       bentoml_service_request_in_progress{endpoint=\"/generate\",runner_name=\"Writer\"} 3.0\n\
                       bentoml_service_request_duration_seconds_sum{endpoint=\"/readyz\",http_response_code=\"200\"} 9.0\n\
                       bentoml_service_request_duration_seconds_count{endpoint=\"/readyz\",http_response_code=\"200\"} 9.0\n\
                       bentoml_service_request_duration_seconds_sum{endpoint=\"/generate\",http_response_code=\"200\"} 0.5\n\
                       bentoml_service_request_duration_seconds_count{endpoint=\"/generate\",http_response_code=\"200\"} 1.0\n\
                       bentoml_service_request_duration_seconds_sum{endpoint=\"/generate\",http_response_code=\"400\"} 0.25\n\
                       bentoml_service_request_duration_seconds_count{endpoint=\"/generate\",http_response_code=\"400\"} 1.0\n";
        assert_eq!(
            Measures::read(bentoml),
            Measures {
                running: Some(3.0),
                ended: Some(2.0),
                seconds: Some(0.75),
                ..Measures::default()
            }
        );
        assert_eq!(
            Measures::read("<html>\n{} 1\n nothing"),
            Measures::default()
        );
    }
}
