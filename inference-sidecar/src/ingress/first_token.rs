//! Asks a loaded engine for one token before its pod is ready. Loaded is not able yet: engines compile and
//! reserve at their first call, which is not to be a document's; and a pod whose engine loads but cannot
//! write takes no traffic.

use std::{sync::Arc, time::Duration};

use aios_proto::control::{Report, StartReport};
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::sleep::Bed;
use crate::{client::Client, config::Live, snapshot::Model};

/// Engines that compile for a large model take minutes.
const PATIENCE: Duration = Duration::from_mins(5);

/// Asked once in a process's life: a busy engine is not to queue behind itself.
pub struct FirstToken {
    pub live: Live,
    /// Name of the ModelDeployment.
    pub model: String,
    pub client: Client,
    /// Where the engine sleeps; none where it does not.
    pub bed: Option<Arc<Bed>>,
    /// Towards the operator: how long it took.
    pub reports: watch::Sender<Report>,
    pub is_given: bool,
}

impl FirstToken {
    /// Why the engine is not able yet; none once it is. Upstreams elsewhere are not asked: they may cost.
    pub async fn why_not(&mut self) -> Option<String> {
        if self.is_given {
            return None;
        }
        let config = self.live.load();
        let model = config.models.get(&self.model)?;
        model.engine.as_ref()?;
        let took = match timeout(PATIENCE, self.ask(model)).await {
            Ok(Ok(took)) => took,
            Ok(Err(why)) => return Some(why),
            Err(_) => return Some("the engine gives no first token".to_owned()),
        };
        self.is_given = true;
        if let Some(took) = took {
            tracing::info!(model = self.model, ?took, "the engine gave its first token");
            let first_token_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.reports.send_modify(|report| {
                report.start = Some(StartReport { first_token_ms });
            });
        }
        None
    }

    /// Time to one token; none from an engine that answers, but not such a call.
    async fn ask(&self, model: &Model) -> Result<Option<Duration>, String> {
        let _awake = match &self.bed {
            Some(bed) => {
                let awake = bed.awake(PATIENCE).await;
                Some(awake.map_err(|error| format!("the engine does not wake: {error}"))?)
            }
            None => None,
        };
        let body = json!({
            "model": model.upstream_model,
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1,
        });
        let asked = Instant::now();
        let url = format!("{}/chat/completions", model.base_url);
        let answer = self.client.get().post(url).json(&body).send().await;
        let answer = answer.map_err(|_| "the engine breaks off its first answer")?;
        let status = answer.status();
        if is_passing(status) {
            return Err(format!(
                "the engine answers {status} when asked for a token"
            ));
        }
        let whole = answer.bytes().await;
        whole.map_err(|_| "the engine breaks off its first answer")?;
        Ok(status.is_success().then(|| asked.elapsed()))
    }
}

/// Whether an engine that answers so may answer otherwise soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
