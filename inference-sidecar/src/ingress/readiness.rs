//! An ingress is ready once its model is in force and its engine, if it has one, has given a token and
//! answers.

use std::time::Duration;

use aios_runtime::admin::Health;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{first_token::FirstToken, ticks::Ticks};
use crate::{client::Client, config::Live};

const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// What readiness depends on.
pub struct Readiness {
    pub live: Live,
    /// Name of the ModelDeployment.
    pub model: String,
    /// Answers 200 while the engine is loaded, as llama.cpp's `/health`.
    pub engine_health: Option<String>,
    pub client: Client,
    pub first_token: FirstToken,
    pub health: Health,
}

impl Readiness {
    /// Keeps `/readyz` true to the facts until shutdown.
    pub async fn watch(mut self, shutdown: CancellationToken) {
        let mut swaps = self.live.changes();
        let mut ticks = Ticks::new(EVERY, shutdown.clone());
        loop {
            tokio::select! {
                more = ticks.next() => if !more { return },
                changed = swaps.changed() => if changed.is_err() { return },
            }
            let why = tokio::select! {
                // A first token may take minutes.
                () = shutdown.cancelled() => return,
                why = self.why_not() => why,
            };
            self.health
                .set_ready(why.is_none(), &why.unwrap_or_default());
        }
    }

    async fn why_not(&mut self) -> Option<String> {
        match self.engine_answers_not().await {
            None => self.first_token.why_not().await,
            why => why,
        }
    }

    async fn engine_answers_not(&self) -> Option<String> {
        let config = self.live.load();
        let Some(model) = config.models.get(&self.model) else {
            return Some(format!("no configuration of model {} yet", self.model));
        };
        let health = || Some(format!("{}/health", model.engine.as_ref()?));
        let url = self.engine_health.clone().or_else(health)?;
        match timeout(PATIENCE, self.client.get().get(url).send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => None,
            Ok(Ok(answer)) => Some(format!("the engine answers {}", answer.status())),
            Ok(Err(_)) => Some("the engine does not answer".to_owned()),
            Err(_) => Some("the engine answers too late".to_owned()),
        }
    }
}
