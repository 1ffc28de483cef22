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
        for (name, value) in text.lines().filter_map(sample) {
            let sum = |known: Option<f64>| Some(known.unwrap_or_default() + value);
            match name {
                "llamacpp:requests_processing" | "vllm:num_requests_running" => {
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
                _ => {}
            }
        }
        measures
    }
}

/// Name and value of a line that has them.
fn sample(line: &str) -> Option<(&str, f64)> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    // A label's value may hold a space, but no brace comes after the last.
    let values = rest.rsplit_once('}').map_or(rest, |(_, values)| values);
    let value = values.split_whitespace().next()?.parse::<f64>().ok()?;
    (!name.starts_with('#') && value.is_finite()).then_some((name, value))
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
                kv_cache: None
            }
        );
        let vllm = "vllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 2.0\n\
                    vllm:num_requests_running{engine=\"1\",model_name=\"a b\"} 5.0 1700000000\n\
                    vllm:num_requests_waiting{engine=\"0\",model_name=\"a b\"} 0.0\n\
                    vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a b\"} 0.25\n\
                    vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"a b\"} 0.5\n";
        assert_eq!(
            Measures::read(vllm),
            Measures {
                running: Some(7.0),
                waiting: Some(0.0),
                kv_cache: Some(0.5)
            }
        );
        assert_eq!(
            Measures::read("<html>\n{} 1\n nothing"),
            Measures::default()
        );
    }
}
