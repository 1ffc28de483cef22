//! How fast models answered this pod of late, for the operator, who adds up what all pods say.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use aios_proto::control::{self, ModelSpeed};
use aios_runtime::sketch::Sketch;
use tokio::{sync::Notify, time::Instant};

use crate::{lock::lock, recent::Recent};

/// By model. One that was not called for long is forgotten.
#[derive(Default)]
pub struct Speeds {
    models: Mutex<BTreeMap<String, Speed>>,
    /// Told when there is something after there was nothing.
    begun: Notify,
}

/// What of a call took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the egress did by itself.
    Own,
    /// The wait for a stream's first token.
    FirstToken,
    /// The whole answer.
    Answer,
}

#[derive(Default)]
struct Speed {
    own: Recent,
    first_token: Recent,
    answer: Recent,
}

impl Speeds {
    pub fn took(&self, model: &str, part: Part, span: Duration) {
        let mut models = lock(&self.models);
        if !models.contains_key(model) {
            if models.is_empty() {
                self.begun.notify_one();
            }
            models.insert(model.to_owned(), Speed::default());
        }
        if let Some(speed) = models.get_mut(model) {
            speed.of(part).took(span, Instant::now());
        }
    }

    /// What there is to tell.
    pub fn report(&self, now: Instant) -> Vec<ModelSpeed> {
        let mut models = lock(&self.models);
        let mut told = Vec::with_capacity(models.len());
        models.retain(|model, speed| {
            let speed = speed.report(model, now);
            let parts = [&speed.own, &speed.first_token, &speed.answer];
            let is_known = parts.iter().any(|part| part.is_some());
            told.extend(is_known.then_some(speed));
            is_known
        });
        told
    }

    /// Waits while there is nothing to tell.
    pub async fn some(&self) {
        while lock(&self.models).is_empty() {
            self.begun.notified().await;
        }
    }
}

impl Speed {
    fn of(&mut self, part: Part) -> &mut Recent {
        match part {
            Part::Own => &mut self.own,
            Part::FirstToken => &mut self.first_token,
            Part::Answer => &mut self.answer,
        }
    }

    fn report(&mut self, model: &str, now: Instant) -> ModelSpeed {
        let mut wire = |part| wire(&self.of(part).sketch(now));
        ModelSpeed {
            model: model.to_owned(),
            own: wire(Part::Own),
            first_token: wire(Part::FirstToken),
            answer: wire(Part::Answer),
        }
    }
}

fn wire(sketch: &Sketch) -> Option<control::Sketch> {
    (sketch.total() > 0).then(|| sketch.to_wire())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aios_runtime::sketch::Sketch;
    use futures::FutureExt;
    use tokio::time::Instant;

    use super::{Part, Speeds};
    use crate::recent::WINDOW;

    #[test]
    fn what_calls_took_is_told_by_model_and_part_until_it_is_long_ago() {
        let speeds = Speeds::default();
        assert!(speeds.some().now_or_never().is_none());
        for (model, part, millis) in [
            ("a", Part::Answer, 900),
            ("a", Part::Answer, 100),
            ("a", Part::FirstToken, 50),
            ("b", Part::Own, 1),
        ] {
            speeds.took(model, part, Duration::from_millis(millis));
        }
        assert!(speeds.some().now_or_never().is_some());
        let now = Instant::now();
        let told = speeds.report(now);
        let models: Vec<_> = told.iter().map(|speed| speed.model.as_str()).collect();
        assert_eq!(models, ["a", "b"]);
        let answers = Sketch::of_wire(told[0].answer.as_ref().unwrap());
        assert_eq!(answers.total(), 2);
        let first = answers.percentile(50).unwrap().as_millis();
        assert!((100..=105).contains(&first), "{first}");
        assert!(told[0].first_token.is_some() && told[0].own.is_none());
        assert_eq!(speeds.report(now + WINDOW).len(), 2);
        assert!(speeds.report(now + 3 * WINDOW).is_empty());
        assert!(speeds.some().now_or_never().is_none(), "nothing is kept");
    }
}
