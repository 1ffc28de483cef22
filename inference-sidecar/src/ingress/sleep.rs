//! Puts the engine of a group that stands by to sleep, and wakes it before a call gets to it. The engine
//! keeps its weights in main memory meanwhile, as vLLM does at level 1.
//! <https://docs.vllm.ai/en/stable/features/sleep_mode/>

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    sync::{OwnedRwLockReadGuard, RwLock},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::{
    client,
    client::Client,
    config::Live,
    error::ApiError,
    limits::{self, MAX_WORD},
    lock::lock,
    metrics::Metrics,
};

const EVERY: Duration = Duration::from_secs(1);
/// How long the engine may take where nobody waits for it.
const PATIENCE: Duration = Duration::from_mins(5);
/// What the role file holds while the pod stands by.
const STANDBY: &str = "standby";

/// Where an engine sleeps.
pub struct Bed {
    pub live: Live,
    /// Name of the ModelDeployment.
    pub model: String,
    pub client: Client,
    pub metrics: Arc<Metrics>,
    /// The pod's role, as the kubelet keeps it: the way of the operator's word to this process that
    /// needs no connection.
    pub role_file: PathBuf,
    /// For how long no call may have come.
    pub after: Duration,
    pub state: Arc<RwLock<State>>,
    /// End of the last call that is known of.
    pub last_call: Mutex<Option<Instant>>,
}

/// What is known of the engine. Calls hold it for reading as long as they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// This process has just started, or does not know how an attempt ended.
    #[default]
    Unknown,
    Awake,
    Asleep,
}

/// Keeps the engine awake until dropped.
pub type Awake = OwnedRwLockReadGuard<State>;

#[derive(Deserialize)]
struct IsSleeping {
    is_sleeping: bool,
}

impl Bed {
    /// Sleeps and wakes by the pod's role until shutdown.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = Ticks::new(EVERY, shutdown);
        while ticks.next().await {
            self.follow_role().await;
        }
    }

    /// Looks at the role once.
    pub async fn follow_role(&self) {
        let role = fs::read_to_string(&self.role_file).unwrap_or_default();
        let done = if role.trim() == STANDBY {
            timeout(PATIENCE, self.rest()).await
        } else {
            // Before its first call, which need not wait then.
            timeout(PATIENCE, async { self.wake().await.map(drop) }).await
        };
        if let Ok(Err(error)) = done {
            tracing::debug!(%error, role = role.trim(), "the engine does not follow its role yet");
        }
    }

    /// Wakes the engine if it sleeps, and keeps it awake.
    ///
    /// # Errors
    /// When it does not wake.
    pub async fn awake(&self, within: Duration) -> Result<Awake, ApiError> {
        let awake = timeout(within, self.wake())
            .await
            .map_err(|_| ApiError::UpstreamTimeout(within))??;
        self.called();
        Ok(awake)
    }

    async fn wake(&self) -> Result<Awake, ApiError> {
        let state = self.state.clone().read_owned().await;
        if *state == State::Awake {
            return Ok(state);
        }
        drop(state);
        let mut state = self.state.clone().write_owned().await;
        if *state != State::Awake {
            let sleeps = *state == State::Asleep || self.is_sleeping().await?;
            if sleeps {
                // Whoever waits for this may go away in the middle.
                *state = State::Unknown;
                self.ask("/wake_up").await?;
                tracing::info!(model = self.model, "the engine is awake");
            }
            *state = State::Awake;
            self.metrics.engine_asleep(false);
        }
        Ok(state.downgrade())
    }

    /// Puts the engine to sleep if no call is under way and none came lately.
    async fn rest(&self) -> Result<(), ApiError> {
        let Ok(mut state) = self.state.clone().try_write_owned() else {
            self.called();
            return Ok(());
        };
        if *state == State::Asleep || !self.is_idle() {
            return Ok(());
        }
        *state = State::Unknown;
        self.ask("/sleep?level=1").await?;
        *state = State::Asleep;
        self.metrics.engine_asleep(true);
        tracing::info!(model = self.model, "the engine sleeps until it is needed");
        Ok(())
    }

    async fn is_sleeping(&self) -> Result<bool, ApiError> {
        let url = self.url("/is_sleeping")?;
        let answer = self.client.get().get(url).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(client::failed)?;
        let body = limits::at_most(reqwest::Body::from(answer), MAX_WORD).await?;
        let state: IsSleeping = serde_json::from_slice(&body)
            .map_err(|error| ApiError::UpstreamMalformed(format!("/is_sleeping: {error}")))?;
        Ok(state.is_sleeping)
    }

    async fn ask(&self, path: &str) -> Result<(), ApiError> {
        let url = self.url(path)?;
        let answer = self.client.get().post(url).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(client::failed)
    }

    fn url(&self, path: &str) -> Result<String, ApiError> {
        let config = self.live.load();
        let model = config.models.get(&self.model);
        let engine = model.and_then(|model| model.engine.as_ref());
        let engine = engine.ok_or(ApiError::NotConfigured)?;
        Ok(format!("{engine}{path}"))
    }

    fn is_idle(&self) -> bool {
        lock(&self.last_call).is_none_or(|last| last.elapsed() >= self.after)
    }

    fn called(&self) {
        *lock(&self.last_call) = Some(Instant::now());
    }
}
