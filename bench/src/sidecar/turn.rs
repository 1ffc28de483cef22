//! One gateway's turn at one rate: a window on the model itself, one through the gateway, one on the model again.
//! What the gateway adds is its window less the mean of the two, so that a machine that drifts drifts for all.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{
    cores::descent,
    load::{Load, Pace, Window},
    metrics,
};
use crate::measure::Process;

/// Kernel ticks a second in `/proc`: fixed at 100 in Linux's interface to processes.
const TICK: Duration = Duration::from_millis(10);

/// What one turn came to. Times are in microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Turn {
    pub rate: f64,
    pub requests: usize,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
    pub is_saturated: bool,
    /// Through the gateway.
    pub times: Quantiles,
    /// The model itself, before and after.
    pub direct: [Quantiles; 2],
    pub added_p50: f64,
    pub added_p90: f64,
    /// To the first token, of a stream.
    pub added_first_token: f64,
    /// Processor time of the gateway, a request.
    pub cpu_per_request: f64,
    /// The same for each token that the model sent, of a stream.
    pub cpu_per_token: f64,
    /// What the sidecar says that it spent itself on a request, both hops together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_time: Option<f64>,
    /// How much of a core others took meanwhile, in percent.
    pub others_percent: f64,
}

/// Of a window, by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p995: f64,
    pub first_token_p50: f64,
}

/// Who is watched meanwhile.
pub struct Watched {
    /// The gateway's processes.
    pub gateway: Vec<u32>,
    /// Those of the rig.
    pub rig: Vec<u32>,
    /// Ports of the sidecar's metrics.
    pub admin: Vec<u16>,
}

/// Processor time so far.
struct Busy {
    gateway: Duration,
    known: Duration,
    all: Duration,
}

/// Runs one turn; a window in the middle lasts as long as `pace` says, those around it a third.
pub async fn turn(direct: &Load, through: &Load, pace: Pace, watched: &Watched) -> Result<Turn> {
    let around = Pace {
        lasts: pace.lasts / 3,
        ..pace
    };
    let before = direct.run(around).await?;
    let turn = alone(through, pace, watched).await?;
    let after = direct.run(around).await?;
    let direct_failed = [&before, &after]
        .into_iter()
        .find_map(|window| window.failure.clone());
    let rig = direct_failed.map(|why| format!("the rig itself: {why}"));
    let (direct, times) = ([of(&before), of(&after)], turn.times);
    let added =
        |at: fn(&Quantiles) -> f64| at(&times) - f64::midpoint(at(&direct[0]), at(&direct[1]));
    Ok(Turn {
        void: turn.void.clone().or(rig),
        direct,
        added_p50: added(|at| at.p50),
        added_p90: added(|at| at.p90),
        added_first_token: added(|at| at.first_token_p50),
        ..turn
    })
}

/// The window in the middle alone: what nothing is added to.
pub async fn alone(through: &Load, pace: Pace, watched: &Watched) -> Result<Turn> {
    let own_before = metrics::own_seconds(&watched.admin).await?;
    let from = Busy::now(watched)?;
    let window = through.run(pace).await?;
    let to = Busy::now(watched)?;
    let own = metrics::own_seconds(&watched.admin).await? - own_before;
    let own = own * 1e6 / window.done.max(1) as f64;
    let cpu = microseconds(to.gateway.saturating_sub(from.gateway));
    let known = to.known.saturating_sub(from.known);
    let others = to.all.saturating_sub(from.all).saturating_sub(known);
    Ok(Turn {
        rate: pace.rate,
        requests: window.done,
        void: window.failure.clone(),
        is_saturated: window.is_saturated,
        times: of(&window),
        own_time: (!watched.admin.is_empty()).then_some(own),
        cpu_per_request: cpu / window.done.max(1) as f64,
        others_percent: (others.as_secs_f64() / pace.lasts.as_secs_f64() * 100.0).round(),
        ..Turn::default()
    })
}

impl Turn {
    /// Of streams of so many tokens, whatever a gateway makes of their events.
    pub fn of_streams(self, tokens: usize) -> Self {
        Self {
            cpu_per_token: self.cpu_per_request / tokens as f64,
            ..self
        }
    }
}

pub fn of(window: &Window) -> Quantiles {
    let mut times = window.times.clone();
    times.sort();
    let mut first_tokens = window.first_tokens.clone();
    first_tokens.sort();
    Quantiles {
        p50: quantile(&times, 500),
        p90: quantile(&times, 900),
        p99: quantile(&times, 990),
        p995: quantile(&times, 995),
        first_token_p50: quantile(&first_tokens, 500),
    }
}

/// Nearest rank; 0 of none.
fn quantile(sorted: &[Duration], thousandths: usize) -> f64 {
    let rank = (sorted.len() * thousandths).div_ceil(1000).max(1) - 1;
    sorted.get(rank).copied().map_or(0.0, microseconds)
}

fn microseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

impl Busy {
    fn now(watched: &Watched) -> Result<Self> {
        let sum = |ids: &[u32]| -> Result<Duration> {
            ids.iter()
                .flat_map(|id| descent(*id))
                .map(|id| Process(id).busy())
                .sum()
        };
        let gateway = sum(&watched.gateway)?;
        let known = gateway + sum(&watched.rig)?;
        let stat = fs::read_to_string("/proc/stat")?;
        let all = machine(&stat).context("/proc/stat is not as expected")?;
        Ok(Self {
            gateway,
            known,
            all,
        })
    }
}

/// Time that the machine's cores were not idle, what a hypervisor took included.
fn machine(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u32> = line
        .split_whitespace()
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user.
    let busy = [0, 1, 2, 5, 6, 7].into_iter().map(|at| ticks.get(at));
    busy.map(|ticks| ticks.map(|ticks| TICK * *ticks)).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Quantiles, machine, of};
    use crate::sidecar::load::Window;

    #[test]
    fn quantiles_are_in_microseconds() {
        let window = Window {
            times: (1..=100).map(Duration::from_micros).collect(),
            first_tokens: vec![Duration::from_micros(7)],
            ..Window::default()
        };
        let expected = Quantiles {
            p50: 50.0,
            p90: 90.0,
            p99: 99.0,
            p995: 100.0,
            first_token_p50: 7.0,
        };
        assert_eq!(of(&window), expected);
    }

    #[test]
    fn the_machine_is_busy_but_for_idle_and_waiting() {
        let stat = "cpu  10 1 20 1000 500 2 3 4 99 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(machine(stat), Some(Duration::from_millis(400)));
    }
}
