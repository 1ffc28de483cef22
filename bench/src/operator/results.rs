//! From rounds to claims.

use std::collections::{BTreeMap, BTreeSet};

use aios_e2e::{files, procs};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    Round, calls,
    contender::{CONCURRENCY, Contender},
    steady::{self, Steady},
    world::Size,
};
use crate::{
    measure::median,
    report::{Bound, Machine, Results, Target},
};

/// What is asked for.
const FLOOR_RATIO: f64 = 1.2;
const RSS_MB: f64 = 80.0;
/// RSS by that at rest: at most while listing anew, and a minute later.
const LISTING: f64 = 1.5;
const LISTED: f64 = 1.15;

pub async fn of(rounds: &[Round], size: Size, populated: Size, count: usize) -> Results<&Round> {
    let targets = targets(rounds);
    Results {
        benchmark: "operator",
        at: Timestamp::now().to_string(),
        machine: Machine::this(),
        versions: versions().await,
        settings: json!({
            "objects": size.parents(), "namespaces": size.namespaces,
            "populated": populated.parents(), "rounds": count,
            "applyingAtOnce": size.concurrency, "reconcilesAtOnce": CONCURRENCY,
        }),
        rounds: rounds.iter().collect(),
        targets,
    }
}

fn targets(rounds: &[Round]) -> Vec<Target> {
    let seconds = |contender| {
        let of = rounds
            .iter()
            .filter(|round| round.contender == contender && round.round > 0);
        median(of.map(|round| round.seconds).collect())
    };
    let ours = seconds(Contender::Operator);
    let mut targets = Vec::new();
    for (peer, bound) in [
        (Contender::Floor, Bound::Ratio(FLOOR_RATIO)),
        (Contender::FloorApply, Bound::Ratio(FLOOR_RATIO)),
        (Contender::Twin, Bound::Shown),
    ] {
        let theirs = seconds(peer);
        if theirs > 0.0 {
            let measure = "everything applied at once, s (median)";
            targets.push(Target::new(
                measure,
                round2(ours),
                peer.words(),
                round2(theirs),
                bound,
            ));
        }
    }
    let steady = |contender| {
        let mut of = rounds
            .iter()
            .filter(move |round| round.contender == contender);
        of.find_map(|round| round.steady.as_ref())
    };
    if let Some(ours) = steady(Contender::Operator) {
        targets.extend(steady_targets(ours, steady(Contender::Twin)));
    }
    if let Some(streams) = rounds.iter().find_map(|round| round.streams.as_ref()) {
        let measure = format!("kB of RSS a stream, of {}", streams.count);
        targets.push(Target::new(
            &measure,
            streams.kb_per_stream,
            "",
            0.0,
            Bound::Shown,
        ));
        let storm = &streams.storm;
        for (measure, value) in [
            (
                "s from an operator's start to its listening",
                storm.listening_seconds,
            ),
            ("s until every stream is back", storm.attached_seconds),
            ("RSS at most meanwhile, MB", megabytes(storm.memory.peak_kb)),
            (
                "RSS at most while listing anew beside the streams, MB",
                megabytes(streams.relist.peak_kb),
            ),
        ] {
            targets.push(Target::new(measure, round2(value), "", 0.0, Bound::Shown));
        }
    }
    targets
}

fn steady_targets(ours: &Steady, twin: Option<&Steady>) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |measure: &str, of: &dyn Fn(&Steady) -> f64, bound: Bound| {
        let peer = twin.map_or("", |_| Contender::Twin.words());
        let theirs = twin.map(of).unwrap_or_default();
        targets.push(Target::new(measure, of(ours), peer, theirs, bound));
    };
    add("spec to observed, p50 ms", &|s| s.latency.p50, Bound::Shown);
    add("spec to observed, p95 ms", &|s| s.latency.p95, Bound::Shown);
    add("spec to observed, p99 ms", &|s| s.latency.p99, Bound::Shown);
    add(
        "RSS at rest, MB",
        &|s| megabytes(s.memory.rss_kb),
        Bound::AtMost(RSS_MB),
    );
    add(
        "PSS at rest, MB",
        &|s| megabytes(s.memory.pss_kb),
        Bound::Shown,
    );
    add(
        "RSS at most while listing anew, MB",
        &|s| megabytes(s.relist.peak_kb),
        Bound::Shown,
    );
    add(
        "RSS at most while listing anew, by that at rest",
        &|s| round2(ratio(s.relist.peak_kb, s.memory.rss_kb)),
        Bound::AtMost(LISTING),
    );
    add(
        "RSS a minute after listing anew, by that at rest",
        &|s| round2(ratio(s.relist_after.rss_kb, s.memory.rss_kb)),
        Bound::AtMost(LISTED),
    );
    add(
        "requests after a relist, lists and watches apart",
        &|s| calls::beyond_lists(&s.relist_requests) as f64,
        Bound::AtMost(0.0),
    );
    add(
        "processor seconds in an idle minute",
        &per_minute,
        Bound::Shown,
    );
    add(
        "requests when idle, leases and watches apart",
        &|s| calls::total(&s.idle_requests) as f64,
        Bound::AtMost(0.0),
    );
    for kind in ours.calls_per_change.keys() {
        let measure = format!("requests for a change of {}", steady::words(kind));
        let of = |s: &Steady| {
            let calls = s.calls_per_change.get(kind);
            round2(calls.map(|calls| calls.values().sum()).unwrap_or_default())
        };
        add(&measure, &of, Bound::Shown);
        for call in calls_of(kind, ours, twin) {
            let of = |s: &Steady| {
                let calls = s.calls_per_change.get(kind);
                let count = calls.and_then(|calls| calls.get(call));
                round2(count.copied().unwrap_or_default())
            };
            add(&format!("{measure}: {call}"), &of, Bound::Shown);
        }
    }
    targets
}

/// What either asks for when an object of the kind changes.
fn calls_of<'a>(kind: &str, ours: &'a Steady, twin: Option<&'a Steady>) -> BTreeSet<&'a String> {
    let both = [Some(ours), twin].into_iter().flatten();
    let calls = both.filter_map(|steady| steady.calls_per_change.get(kind));
    calls.flat_map(BTreeMap::keys).collect()
}

fn ratio(kilobytes: u64, of: u64) -> f64 {
    kilobytes as f64 / of.max(1) as f64
}

fn per_minute(steady: &Steady) -> f64 {
    round2(steady.idle_cpu_seconds * 60.0 / steady.idle_seconds.max(1) as f64)
}

fn megabytes(kilobytes: u64) -> f64 {
    (kilobytes as f64 * 1024.0 / 100_000.0).round() / 10.0
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

async fn versions() -> Value {
    let of = async |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(files::repository());
        let said = procs::output(&mut command).await.unwrap_or_default();
        said.trim().to_owned()
    };
    json!({
        "aios": env!("CARGO_PKG_VERSION"),
        "commit": of("git", &["describe", "--always", "--dirty"]).await,
        "rustc": of("rustc", &["--version"]).await,
        "go": of("go", &["version"]).await,
        "kubernetes": module("e2e/tools/kubernetes/go.mod", "k8s.io/kubernetes "),
        "etcd": module("e2e/tools/etcd/go.mod", "go.etcd.io/etcd/server/v3 "),
        "controllerRuntime": module("bench/operator/twin/go.mod", "sigs.k8s.io/controller-runtime "),
    })
}

/// The version that a module file pins.
fn module(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(files::repository().join(file)).unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.trim()
                .trim_start_matches("require ")
                .strip_prefix(name)
        })
        .unwrap_or_default()
        .trim_end_matches(" // indirect")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Memory;

    fn round(contender: Contender, seconds: f64) -> Round {
        Round {
            round: 1,
            contender,
            objects: 2,
            children: std::collections::BTreeMap::new(),
            seconds,
            requests: 0,
            calls: calls::Calls::new(),
            cpu_seconds: None,
            memory: None,
            steady: None,
            streams: None,
            failure: None,
        }
    }

    #[test]
    fn a_ratio_above_the_floors_is_a_miss() {
        let rounds = [
            round(Contender::Operator, 2.5),
            round(Contender::Floor, 2.0),
        ];
        let targets = targets(&rounds);
        assert_eq!(targets.len(), 1);
        assert_eq!(targets.first().and_then(|target| target.met), Some(false));
    }

    fn steady() -> Steady {
        let memory = |rss_kb, peak_kb| Memory {
            rss_kb,
            pss_kb: rss_kb,
            peak_kb,
        };
        let change = |calls: &[(&str, f64)]| {
            let calls = calls
                .iter()
                .map(|(call, count)| ((*call).to_owned(), *count));
            calls.collect()
        };
        Steady {
            memory: memory(100, 100),
            idle_seconds: 60,
            idle_cpu_seconds: 0.0,
            idle_requests: calls::Calls::new(),
            latency: crate::measure::Percentiles::default(),
            latency_cpu_seconds: 0.0,
            changes: 1,
            calls_per_change: BTreeMap::from([(
                "WritingPipeline".to_owned(),
                change(&[
                    ("patch configmaps", 0.1),
                    ("patch writingpipelines/status", 1.0),
                ]),
            )]),
            relist: memory(140, 151),
            relist_after: memory(115, 151),
            relist_requests: calls::Calls::from([
                ("list configmaps".to_owned(), 9),
                ("patch configmaps".to_owned(), 1),
            ]),
        }
    }

    #[test]
    fn listing_anew_is_held_against_rest_and_writes_after_it_are_a_miss() {
        let targets = steady_targets(&steady(), None);
        let of = |measure: &str| {
            let found = targets.iter().find(|target| target.measure == measure);
            found.map(|target| (target.ours, target.met))
        };
        assert_eq!(
            of("RSS at most while listing anew, by that at rest"),
            Some((1.51, Some(false)))
        );
        assert_eq!(
            of("RSS a minute after listing anew, by that at rest"),
            Some((1.15, Some(true)))
        );
        assert_eq!(
            of("requests after a relist, lists and watches apart"),
            Some((1.0, Some(false)))
        );
        assert_eq!(
            of("requests for a change of a WritingPipeline: patch configmaps"),
            Some((0.1, None))
        );
    }
}
