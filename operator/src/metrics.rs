//! What the operator counts. Every label is a closed set.

use std::{sync::atomic::AtomicI64, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{
    ca::Stage,
    control::{Seat, Speeds},
    error::Verb,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    verb: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

/// What a part of a cold start was for; `total` is all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabel {
    part: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

/// Handles to every metric; clones count together.
#[derive(Clone)]
pub struct Metrics {
    reconciles: Family<Reconcile, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
    requests: Family<Write, Counter>,
    streams: Family<RoleLabel, Gauge>,
    leader: Gauge,
    ca_stage: Family<StageLabel, Gauge>,
    ca_awaited: Gauge,
    ca_expiry: Gauge,
    refused_namespaces: Gauge,
    cold_starts: Family<PartLabel, Histogram, fn() -> Histogram>,
    /// What egresses say of models.
    pub speeds: Speeds,
}

/// Counts a stream while it lives.
pub struct Connected(Gauge<i64, AtomicI64>);

impl Metrics {
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 8))
            }),
            requests: Family::default(),
            streams: Family::default(),
            leader: Gauge::default(),
            ca_stage: Family::default(),
            ca_awaited: Gauge::default(),
            ca_expiry: Gauge::default(),
            refused_namespaces: Gauge::default(),
            cold_starts: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.5, 2.0, 13))
            }),
            speeds: Speeds::default(),
        };
        registry.register_collector(Box::new(metrics.speeds.clone()));
        registry.register(
            "aios_operator_reconciles",
            "Reconciles by kind and outcome",
            metrics.reconciles.clone(),
        );
        registry.register(
            "aios_operator_reconcile_duration_seconds",
            "Time of one reconcile",
            metrics.durations.clone(),
        );
        registry.register(
            "aios_operator_api_requests",
            "Requests to the API server by verb and outcome, watches and leases apart",
            metrics.requests.clone(),
        );
        registry.register(
            "aios_operator_control_streams",
            "Data planes attached, by role",
            metrics.streams.clone(),
        );
        registry.register(
            "aios_operator_leader",
            "Whether this operator holds the lease",
            metrics.leader.clone(),
        );
        registry.register(
            "aios_operator_ca_stage",
            "1 for the stage of rotation that the CA is in",
            metrics.ca_stage.clone(),
        );
        registry.register(
            "aios_operator_ca_awaited_pods",
            "Pods that hold up the rotation of the CA",
            metrics.ca_awaited.clone(),
        );
        registry.register(
            "aios_operator_ca_expiry_timestamp_seconds",
            "When the CA that signs ends",
            metrics.ca_expiry.clone(),
        );
        registry.register(
            "aios_operator_refused_namespaces",
            "Namespaces that this operator selects and another serves",
            metrics.refused_namespaces.clone(),
        );
        registry.register(
            "aios_model_cold_start_seconds",
            "Time that groups of models took from nothing to ready, by what it was for",
            metrics.cold_starts.clone(),
        );
        metrics
    }

    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.reconciles
            .get_or_create(&Reconcile { kind, outcome })
            .inc();
        self.durations
            .get_or_create(&KindLabel { kind })
            .observe(took.as_secs_f64());
    }

    pub fn requested(&self, verb: Verb, ok: bool) {
        let outcome = if ok { "ok" } else { "error" };
        self.requests
            .get_or_create(&Write {
                verb: verb.as_str(),
                outcome,
            })
            .inc();
    }

    pub fn started_cold(&self, part: &'static str, took: Duration) {
        self.cold_starts
            .get_or_create(&PartLabel { part })
            .observe(took.as_secs_f64());
    }

    pub fn refused_namespaces(&self) -> Gauge {
        self.refused_namespaces.clone()
    }

    pub fn lead(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The stage of rotation that the CA is in, and when the one that signs ends.
    pub fn ca(&self, stage: &'static str, expiry: Option<Timestamp>) {
        for other in Stage::ALL {
            let label = StageLabel { stage: other };
            let is_in = i64::from(other == stage);
            self.ca_stage.get_or_create(&label).set(is_in);
        }
        if let Some(expiry) = expiry {
            self.ca_expiry.set(expiry.as_second());
        }
    }

    /// Pods that hold the rotation up.
    pub fn ca_awaits(&self, pods: usize) {
        self.ca_awaited.set(i64::try_from(pods).unwrap_or(i64::MAX));
    }

    pub fn stream(&self, seat: &Seat) -> Connected {
        let gauge = self.streams.get_or_create_owned(&RoleLabel {
            role: seat.as_str(),
        });
        gauge.inc();
        Connected(gauge)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
