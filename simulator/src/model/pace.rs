use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::answer::generator;
use super::request::Request;
use super::settings::Settings;

/// When each token is due: a schedule, so that slow timers do not add up.
pub struct Pace {
    due: Instant,
    first: Duration,
    token: Duration,
    jitter: f64,
    rng: StdRng,
}

impl Pace {
    pub fn new(settings: &Settings, request: &Request, delay: Duration) -> Self {
        Self {
            due: Instant::now() + delay,
            first: Duration::from_millis(settings.first_token_ms),
            token: Duration::from_millis(settings.token_ms),
            jitter: f64::from(settings.jitter_percent.min(100)) / 100.0,
            rng: generator(settings.seed, "pace", request),
        }
    }

    /// When token `index` (from 0) is due. Ask for each once, in order.
    pub fn due(&mut self, index: usize) -> Instant {
        let step = if index == 0 { self.first } else { self.token };
        let factor = 1.0 + self.jitter * self.rng.random_range(-1.0..=1.0);
        self.due += step.mul_f64(factor);
        self.due
    }
}
