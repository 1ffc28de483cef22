//! What the pod asks of each model that scales by demand, and how fast models answer it: when the operator is to
//! hear of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use aios_proto::control::{ModelDemand, Report};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{lock::lock, metrics::Metrics, snapshot::Model};

/// Least time between two reports that nobody waits for.
const CALM: Duration = Duration::from_secs(2);
/// A demand that does not move is told again, so that the operator can tell it from a dead pod's.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Counts by model.
#[derive(Default)]
pub struct Demand {
    models: Mutex<BTreeMap<String, Arc<Counts>>>,
    changed: Notify,
}

#[derive(Default)]
struct Counts {
    in_flight: AtomicU32,
    /// Whether the operator knows, or is about to hear, that there are calls: then one more wakes nobody.
    is_told: AtomicBool,
    held: AtomicU32,
    output_tokens: Arc<AtomicU64>,
}

/// A call under way; dropping it ends it.
pub struct Calling {
    demand: Arc<Demand>,
    counts: Arc<Counts>,
}

/// A call that waits for a group; dropping it ends the wait.
pub struct Held<'a>(&'a Calling);

impl Demand {
    /// Counts a call, if the model scales by demand.
    pub fn calling(self: &Arc<Self>, model: &Model) -> Option<Calling> {
        if !model.demand {
            return None;
        }
        let mut models = lock(&self.models);
        let counts = match models.get(&model.name) {
            Some(counts) => counts.clone(),
            None => models.entry(model.name.clone()).or_default().clone(),
        };
        drop(models);
        counts.in_flight.fetch_add(1, SeqCst);
        if !counts.is_told.swap(true, SeqCst) {
            self.changed.notify_one();
        }
        Some(Calling {
            demand: self.clone(),
            counts,
        })
    }

    fn report(&self, told: &Report) -> Vec<ModelDemand> {
        let models = lock(&self.models);
        let models = models.iter().map(|(name, counts)| {
            let told = told.models.iter().find(|told| told.model == *name);
            // Before the look at the count: a call that begins in between wakes whoever tells.
            let is_told = told.is_some_and(|told| told.in_flight > 0);
            counts.is_told.store(is_told, SeqCst);
            ModelDemand {
                model: name.clone(),
                in_flight: counts.in_flight.load(SeqCst),
                held: counts.held.load(Relaxed),
                output_tokens: counts.output_tokens.load(Relaxed),
            }
        });
        models.collect()
    }
}

/// Puts reports where the control stream takes them from, until shutdown.
pub async fn tell(
    (demand, metrics): (Arc<Demand>, Arc<Metrics>),
    reports: watch::Sender<Report>,
    shutdown: CancellationToken,
) {
    let mut told = Instant::now();
    // Speeds change with each call, and nobody waits for them: they are looked at seldom.
    let (mut speeds, mut looked) = (Vec::new(), None::<Instant>);
    loop {
        if looked.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
            speeds = metrics.speeds.report(Instant::now());
            // The first are told as soon as they are there.
            looked = (!speeds.is_empty()).then(Instant::now);
        }
        let (now, due) = {
            let last = reports.borrow();
            let now = Report {
                models: demand.report(&last),
                speeds: speeds.clone(),
                ..Report::default()
            };
            let due = due(&last, &now, told.elapsed());
            (now, due)
        };
        if due == Some(Duration::ZERO) {
            reports.send_replace(now);
            told = Instant::now();
            continue;
        }
        let pause = async {
            match due {
                // Calls of a model that is known to be busy wake nobody, so there is a look now and then.
                Some(left) => sleep(left.min(CALM)).await,
                None => std::future::pending().await,
            }
        };
        let look = async {
            metrics.speeds.some().await;
            if let Some(at) = looked {
                sleep(HEARTBEAT.saturating_sub(at.elapsed())).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = demand.changed.notified() => {}
            () = pause => {}
            () = look => {}
        }
    }
}

/// Time until a report is due; none while nothing happens. The first call, and the first that waits,
/// are told at once: a model may sleep.
fn due(told: &Report, now: &Report, since: Duration) -> Option<Duration> {
    if told == now {
        let busy = now.models.iter().any(|model| model.in_flight > 0);
        return busy.then(|| HEARTBEAT.saturating_sub(since));
    }
    let urgent = now.models.iter().any(|model| {
        let before = told.models.iter().find(|told| told.model == model.model);
        let (in_flight, held) = before.map_or((0, 0), |told| (told.in_flight, told.held));
        (in_flight == 0 && model.in_flight > 0) || (held == 0 && model.held > 0)
    });
    Some(if urgent {
        Duration::ZERO
    } else {
        CALM.saturating_sub(since)
    })
}

// === impl Calling ===

impl Calling {
    /// The call waits.
    pub fn held(&self) -> Held<'_> {
        self.counts.held.fetch_add(1, Relaxed);
        self.demand.changed.notify_one();
        Held(self)
    }

    /// Where its answer tokens are counted.
    pub fn output_tokens(&self) -> Arc<AtomicU64> {
        self.counts.output_tokens.clone()
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, SeqCst);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.counts.held.fetch_sub(1, Relaxed);
        self.0.demand.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use aios_proto::control::{ModelDemand, Report};
    use prometheus_client::registry::Registry;
    use rstest::rstest;
    use tokio::{sync::watch, time::timeout};
    use tokio_util::sync::CancellationToken;

    use super::{due, tell};
    use crate::{metrics::Metrics, speeds::Part};

    fn report(in_flight: u32, held: u32) -> Report {
        Report {
            models: vec![ModelDemand {
                model: "m".into(),
                in_flight,
                held,
                output_tokens: 0,
            }],
            ..Report::default()
        }
    }

    #[tokio::test]
    async fn how_fast_a_model_was_is_told_though_nobody_asks_for_its_demand() {
        let metrics = Arc::new(Metrics::new(&mut Registry::default()));
        let (reports, mut reading) = watch::channel(Report::default());
        let ended = CancellationToken::new();
        let of = (Arc::default(), metrics.clone());
        let telling = tokio::spawn(tell(of, reports, ended.clone()));
        let took = Duration::from_millis(7);
        metrics.speeds.took("m", Part::Answer, took);
        let told = reading.wait_for(|report| !report.speeds.is_empty());
        let told = timeout(Duration::from_mins(1), told).await.unwrap();
        assert_eq!(told.unwrap().speeds[0].model, "m");
        ended.cancel();
        telling.await.unwrap();
    }

    #[rstest]
    #[case::first_call(report(0, 0), report(1, 0), Some(0))]
    #[case::first_that_waits(report(4, 0), report(4, 1), Some(0))]
    #[case::new_model(Report::default(), report(1, 1), Some(0))]
    #[case::more(report(1, 0), report(9, 0), Some(1500))]
    #[case::ended(report(1, 1), report(0, 0), Some(1500))]
    #[case::busy(report(3, 0), report(3, 0), Some(14_500))]
    #[case::idle(report(0, 0), report(0, 0), None)]
    fn what_somebody_waits_for_is_told_at_once_and_idleness_never(
        #[case] told: Report,
        #[case] now: Report,
        #[case] expected: Option<u64>,
    ) {
        let due = due(&told, &now, Duration::from_millis(500));
        assert_eq!(due, expected.map(Duration::from_millis));
    }
}
