//! Metrics of both roles: OpenTelemetry's `gen_ai` names in Prometheus form, and `aios_sidecar_`.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use aios_proto::config::Dialect;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    cost::{Basis, Cost, Usage},
    dialect::openai::Operation,
    egress::Origin,
    ingress::Measures,
    money::Fund,
    outcome::Outcome,
    shield::Meters,
    speeds::{Part, Speeds},
};

const DURATIONS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKENS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const PER_TOKEN: [f64; 12] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0,
];
const TOKENS: [f64; 11] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
];
const OWN: [f64; 12] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1,
];

const HOLDS: [f64; 12] = [
    0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 900.0,
];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Labels of a model: as many values as there are ModelDeployments in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelLabels {
    aios_model: Arc<String>,
    gen_ai_request_model: Arc<String>,
    gen_ai_provider_name: &'static str,
}

/// How a wait for a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    /// The call went on.
    Released,
    /// It had waited for `holdFor`.
    Expired,
    /// There was no place for it, or it had to give its own to another caller's.
    Full,
    /// The caller went away.
    Cancelled,
}

/// How it went with a call that was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeEnd {
    /// The second request answered first.
    Won,
    /// The first request answered first.
    Lost,
    /// Neither answered.
    Failed,
    /// No second request was sent, for the share of calls was spent, or no budget paid for it.
    Denied,
}

/// Why a budget does not pay for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBudget {
    /// It has no room for what the call may cost.
    Exhausted,
    /// The model has no price in the budget's currency.
    Unpriced,
    /// The call asks for what nobody can price beforehand.
    Unbounded,
    /// Nobody grants more of it while the operator is away.
    Unreachable,
}

/// Which end of a call is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Egress.
    Client,
    /// Ingress.
    Server,
}

/// All metrics of the process.
pub struct Metrics {
    client_duration: Histograms<CallLabels>,
    client_first_chunk: Histograms<FirstLabels>,
    client_tokens: Histograms<TokenLabels>,
    server_duration: Histograms<CallLabels>,
    server_first_token: Histograms<FirstLabels>,
    server_per_token: Histograms<FirstLabels>,
    own_time: Histograms<OwnLabels>,
    cost: Family<CostLabels, Counter<u64, AtomicU64>>,
    in_flight: Gauge<i64, AtomicI64>,
    engine_running: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    engine_waiting: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    engine_kv_cache: Family<ModelLabels, Gauge<f64, AtomicU64>>,
    engine_ended: Family<ModelLabels, Counter<f64, AtomicU64>>,
    engine_seconds: Family<ModelLabels, Counter<f64, AtomicU64>>,
    engine_asleep: Gauge<i64, AtomicI64>,
    held_calls: Family<ModelLabels, Gauge<i64, AtomicI64>>,
    held_bytes: Family<ModelLabels, Gauge<i64, AtomicI64>>,
    hold_duration: Histograms<HoldLabels>,
    breaker_opened: Family<ModelLabels, Counter<u64, AtomicU64>>,
    retries_denied: Family<ModelLabels, Counter<u64, AtomicU64>>,
    hedges: Family<HedgeLabels, Counter<u64, AtomicU64>>,
    cache_lookups: Family<CacheLabels, Counter<u64, AtomicU64>>,
    cache_bytes: Gauge<i64, AtomicI64>,
    budget_spent: Family<SpentLabels, Counter<u64, AtomicU64>>,
    budget_leased: Family<LeaseLabels, Gauge<i64, AtomicI64>>,
    budget_refused: Family<NoBudgetLabels, Counter<u64, AtomicU64>>,
    records_lost: Counter<u64, AtomicU64>,
    spans_lost: Counter<u64, AtomicU64>,
    /// What policy did to texts.
    pub policy: Meters,
    /// What the operator is told of calls.
    pub speeds: Speeds,
    sequence: Gauge<i64, AtomicI64>,
    refused_items: Gauge<i64, AtomicI64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    gen_ai_operation_name: &'static str,
    #[prometheus(flatten)]
    model: ModelLabels,
    /// Empty on success, which Prometheus takes for absent.
    error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FirstLabels {
    gen_ai_operation_name: &'static str,
    #[prometheus(flatten)]
    model: ModelLabels,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_token_type: &'static str,
    #[prometheus(flatten)]
    model: ModelLabels,
    usage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OwnLabels {
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HoldLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HedgeLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CostLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    currency: String,
    usage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpentLabels {
    scope: &'static str,
    name: String,
    unit: String,
    usage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    scope: &'static str,
    name: String,
    unit: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoBudgetLabels {
    scope: &'static str,
    name: String,
    reason: &'static str,
}

// === impl ModelLabels ===

impl ModelLabels {
    /// The provider, as `GenAI` conventions call it.
    pub fn provider(&self) -> &'static str {
        self.gen_ai_provider_name
    }

    pub fn new(deployment: &str, upstream_model: &str, dialect: &Dialect) -> Self {
        Self {
            aios_model: Arc::new(deployment.to_owned()),
            gen_ai_request_model: Arc::new(upstream_model.to_owned()),
            gen_ai_provider_name: match dialect {
                Dialect::OpenAI => "openai",
                Dialect::Anthropic => "anthropic",
                Dialect::OpenInference(_) | Dialect::OpenInferenceGrpc { .. } => "open_inference",
                Dialect::BentoML(_) => "bentoml",
            },
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Makes and registers all metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            client_duration: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            client_first_chunk: Family::new_with_constructor(|| Histogram::new(FIRST_TOKENS)),
            client_tokens: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            server_duration: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            server_first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKENS)),
            server_per_token: Family::new_with_constructor(|| Histogram::new(PER_TOKEN)),
            own_time: Family::new_with_constructor(|| Histogram::new(OWN)),
            cost: Family::default(),
            in_flight: Gauge::default(),
            engine_running: Family::default(),
            engine_waiting: Family::default(),
            engine_kv_cache: Family::default(),
            engine_ended: Family::default(),
            engine_seconds: Family::default(),
            engine_asleep: Gauge::default(),
            held_calls: Family::default(),
            held_bytes: Family::default(),
            hold_duration: Family::new_with_constructor(|| Histogram::new(HOLDS)),
            breaker_opened: Family::default(),
            retries_denied: Family::default(),
            hedges: Family::default(),
            cache_lookups: Family::default(),
            cache_bytes: Gauge::default(),
            budget_spent: Family::default(),
            budget_leased: Family::default(),
            budget_refused: Family::default(),
            records_lost: Counter::default(),
            spans_lost: Counter::default(),
            policy: Meters::default(),
            speeds: Speeds::default(),
            sequence: Gauge::default(),
            refused_items: Gauge::default(),
        };
        metrics.register(registry);
        metrics
    }

    /// A call ended.
    pub fn call_ended(
        &self,
        side: Side,
        operation: Operation,
        model: &ModelLabels,
        outcome: Outcome,
        took: Duration,
    ) {
        let labels = CallLabels {
            gen_ai_operation_name: operation.as_str(),
            model: model.clone(),
            error_type: if outcome == Outcome::Ok {
                ""
            } else {
                outcome.as_str()
            },
        };
        let family = match side {
            Side::Client => &self.client_duration,
            Side::Server => &self.server_duration,
        };
        family.get_or_create(&labels).observe(took.as_secs_f64());
        if (side, outcome) == (Side::Client, Outcome::Ok) {
            self.speeds.took(&model.aios_model, Part::Answer, took);
        }
    }

    /// A stream released its first token.
    pub fn first_token(&self, side: Side, model: &ModelLabels, took: Duration) {
        let family = match side {
            Side::Client => &self.client_first_chunk,
            Side::Server => &self.server_first_token,
        };
        family
            .get_or_create(&FirstLabels::chat(model))
            .observe(took.as_secs_f64());
        if side == Side::Client {
            self.speeds.took(&model.aios_model, Part::FirstToken, took);
        }
    }

    /// A stream ended: mean time of the tokens after the first.
    pub fn per_token(&self, model: &ModelLabels, took: Duration) {
        let labels = FirstLabels::chat(model);
        self.server_per_token
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Tokens were spent, and perhaps money.
    pub fn spent(
        &self,
        operation: Operation,
        model: &ModelLabels,
        usage: Usage,
        cost: Option<&Cost>,
    ) {
        for (token_type, tokens) in [("input", usage.input), ("output", usage.output)] {
            let labels = TokenLabels {
                gen_ai_operation_name: operation.as_str(),
                gen_ai_token_type: token_type,
                model: model.clone(),
                usage: usage.basis.as_str(),
            };
            self.client_tokens
                .get_or_create(&labels)
                .observe(tokens as f64);
        }
        if let Some(cost) = cost {
            let labels = CostLabels {
                model: model.clone(),
                currency: cost.currency.clone(),
                usage: cost.basis.as_str(),
            };
            self.cost.get_or_create(&labels).inc_by(cost.millionths);
        }
    }

    /// Time of a request that was spent here and not waiting for anyone.
    pub fn own_time(&self, side: Side, took: Duration) {
        let role = match side {
            Side::Client => "egress",
            Side::Server => "ingress",
        };
        self.own_time
            .get_or_create(&OwnLabels { role })
            .observe(took.as_secs_f64());
    }

    /// Calls that the ingress has admitted and not finished.
    pub fn in_flight(&self, change: i64) {
        self.in_flight.inc_by(change);
    }

    /// What the engine says of itself. What it does not say is no metric.
    pub fn engine(&self, model: &ModelLabels, measures: Measures) {
        let gauges = [
            (&self.engine_running, measures.running),
            (&self.engine_waiting, measures.waiting),
            (&self.engine_kv_cache, measures.kv_cache),
        ];
        for (family, value) in gauges {
            match value {
                Some(value) => {
                    family.get_or_create(model).set(value);
                }
                None => {
                    family.remove(model);
                }
            }
        }
        // An engine that starts anew counts anew, as Prometheus expects of a counter.
        let counters = [
            (&self.engine_ended, measures.ended),
            (&self.engine_seconds, measures.seconds),
        ];
        for (family, value) in counters {
            match value {
                Some(value) => {
                    let counter = family.get_or_create(model);
                    counter.inner().store(value.to_bits(), Relaxed);
                }
                None => {
                    family.remove(model);
                }
            }
        }
    }

    /// The engine was put to sleep or woken.
    pub fn engine_asleep(&self, asleep: bool) {
        self.engine_asleep.set(i64::from(asleep));
    }

    /// Calls of a model that wait in the egress, with their bytes.
    pub fn held(&self, model: &ModelLabels, calls: usize, bytes: usize) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.held_calls.get_or_create(model).set(number(calls));
        self.held_bytes.get_or_create(model).set(number(bytes));
    }

    /// A call waits no longer.
    pub fn hold_ended(&self, model: &ModelLabels, end: HoldEnd, took: Duration) {
        let labels = HoldLabels {
            model: model.clone(),
            end: end.as_str(),
        };
        self.hold_duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// An address of the model is tried last for a while.
    pub fn breaker_opened(&self, model: &ModelLabels) {
        self.breaker_opened.get_or_create(model).inc();
    }

    /// A further try was not made, because the model's budget for them is spent.
    pub fn retry_denied(&self, model: &ModelLabels) {
        self.retries_denied.get_or_create(model).inc();
    }

    /// Calls stand in no batch, because nobody took those before.
    pub fn records_lost(&self, calls: u64) {
        self.records_lost.inc_by(calls);
    }

    /// Spans that no collector took.
    pub fn spans_lost(&self, spans: usize) {
        self.spans_lost
            .inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }

    /// A call was late.
    pub fn hedged(&self, model: &ModelLabels, end: HedgeEnd) {
        let labels = HedgeLabels {
            model: model.clone(),
            end: end.as_str(),
        };
        self.hedges.get_or_create(&labels).inc();
    }

    /// A call that may be given another's answer was: by memory, by a call under way, or not.
    pub fn cache_looked_up(&self, model: &ModelLabels, origin: Origin) {
        let labels = CacheLabels {
            model: model.clone(),
            result: origin.as_str(),
        };
        self.cache_lookups.get_or_create(&labels).inc();
    }

    /// Answers that are kept, in bytes.
    pub fn cached(&self, bytes: u64) {
        self.cache_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A budget was charged, in its unit.
    pub fn budget_spent(&self, fund: &Fund, basis: Basis, amount: u64) {
        let labels = SpentLabels {
            scope: fund.scope(),
            name: fund.name.clone(),
            unit: fund.unit.to_string(),
            usage: basis.as_str(),
        };
        self.budget_spent.get_or_create(&labels).inc_by(amount);
    }

    /// What this process holds of a budget, in its unit.
    pub fn budget_leased(&self, fund: &Fund, amount: u64) {
        let labels = LeaseLabels {
            scope: fund.scope(),
            name: fund.name.clone(),
            unit: fund.unit.to_string(),
        };
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        self.budget_leased.get_or_create(&labels).set(amount);
    }

    /// A budget does not pay for a call.
    pub fn budget_refused(&self, fund: &Fund, why: NoBudget) {
        let labels = NoBudgetLabels {
            scope: fund.scope(),
            name: fund.name.clone(),
            reason: why.as_str(),
        };
        self.budget_refused.get_or_create(&labels).inc();
    }

    /// Nobody asks for a budget any more.
    pub fn budget_forgotten(&self, fund: &Fund) {
        let (scope, name, unit) = (fund.scope(), &fund.name, fund.unit.to_string());
        for usage in [Basis::Exact, Basis::Estimated].map(Basis::as_str) {
            self.budget_spent.remove(&SpentLabels {
                scope,
                name: name.clone(),
                unit: unit.clone(),
                usage,
            });
        }
        for reason in NoBudget::ALL.map(NoBudget::as_str) {
            self.budget_refused.remove(&NoBudgetLabels {
                scope,
                name: name.clone(),
                reason,
            });
        }
        let name = name.clone();
        self.budget_leased
            .remove(&LeaseLabels { scope, name, unit });
    }

    /// A configuration came into force.
    pub fn config_in_force(&self, sequence: u64, refused: usize) {
        self.sequence
            .set(i64::try_from(sequence).unwrap_or(i64::MAX));
        self.refused_items
            .set(i64::try_from(refused).unwrap_or(i64::MAX));
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "gen_ai_client_operation_duration_seconds",
            "Duration of calls to models, each attempt on its own",
            self.client_duration.clone(),
        );
        registry.register(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time to the first chunk with generated text of streamed calls",
            self.client_first_chunk.clone(),
        );
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of calls to models",
            self.client_tokens.clone(),
        );
        registry.register(
            "gen_ai_server_request_duration_seconds",
            "Duration of calls to the model's server",
            self.server_duration.clone(),
        );
        registry.register(
            "gen_ai_server_time_to_first_token_seconds",
            "Time to the first token of streamed calls",
            self.server_first_token.clone(),
        );
        registry.register(
            "gen_ai_server_time_per_output_token_seconds",
            "Mean time of the tokens after the first of streamed calls",
            self.server_per_token.clone(),
        );
        registry.register(
            "aios_sidecar_own_time_seconds",
            "Time of a request until its first byte that was not spent waiting for others",
            self.own_time.clone(),
        );
        registry.register(
            "aios_sidecar_cost",
            "Cost of calls, in millionths of the currency",
            self.cost.clone(),
        );
        registry.register(
            "aios_sidecar_in_flight",
            "Calls that the ingress has admitted and not finished",
            self.in_flight.clone(),
        );
        self.register_engine(registry);
        self.register_own(registry);
    }

    fn register_engine(&self, registry: &mut Registry) {
        registry.register(
            "aios_engine_requests_running",
            "Calls that the engine works on, as it says",
            self.engine_running.clone(),
        );
        registry.register(
            "aios_engine_requests_waiting",
            "Calls that wait in the engine, as it says",
            self.engine_waiting.clone(),
        );
        registry.register(
            "aios_engine_kv_cache_usage_ratio",
            "How full the engine's cache of keys and values is, from 0 to 1, as it says",
            self.engine_kv_cache.clone(),
        );
        registry.register(
            "aios_engine_requests_ended",
            "Calls that the engine has ended, as it says",
            self.engine_ended.clone(),
        );
        registry.register(
            "aios_engine_request_seconds",
            "Seconds that the engine took for the calls that it has ended, as it says",
            self.engine_seconds.clone(),
        );
        registry.register(
            "aios_engine_asleep",
            "1 while the engine of a group that stands by sleeps",
            self.engine_asleep.clone(),
        );
    }

    fn register_own(&self, registry: &mut Registry) {
        self.policy.register(registry);
        registry.register(
            "aios_sidecar_held_calls",
            "Calls that wait for a group of the model to take them",
            self.held_calls.clone(),
        );
        registry.register(
            "aios_sidecar_held_bytes",
            "Bytes that calls hold while they wait",
            self.held_bytes.clone(),
        );
        registry.register(
            "aios_sidecar_hold_duration_seconds",
            "Time that calls waited for a group of the model",
            self.hold_duration.clone(),
        );
        registry.register(
            "aios_sidecar_breaker_opened",
            "Times that an address of the model failed so often that others are tried first",
            self.breaker_opened.clone(),
        );
        registry.register(
            "aios_sidecar_retries_denied",
            "Further tries that were not made because the model's budget for them was spent",
            self.retries_denied.clone(),
        );
        registry.register(
            "aios_sidecar_records_lost",
            "Calls that stand in no signed batch, because nobody took those before them",
            self.records_lost.clone(),
        );
        registry.register(
            "aios_sidecar_spans_lost",
            "Spans that the collector did not take, or for which there was no room",
            self.spans_lost.clone(),
        );
        registry.register(
            "aios_sidecar_hedges",
            "Calls that were later than most, by what came of a second request",
            self.hedges.clone(),
        );
        registry.register(
            "aios_sidecar_cache_lookups",
            "Calls that might have been given an answer that was there, by what they were given",
            self.cache_lookups.clone(),
        );
        registry.register(
            "aios_sidecar_cache_bytes",
            "Answers that are kept",
            self.cache_bytes.clone(),
        );
        registry.register(
            "aios_sidecar_budget_spent",
            "What calls took from a budget: millionths of its currency, or tokens",
            self.budget_spent.clone(),
        );
        registry.register(
            "aios_sidecar_budget_leased",
            "What this process holds of a budget, spent or not: millionths of its currency, or tokens",
            self.budget_leased.clone(),
        );
        registry.register(
            "aios_sidecar_budget_refused",
            "Attempts that a budget did not pay for",
            self.budget_refused.clone(),
        );
        registry.register(
            "aios_sidecar_config_sequence",
            "Sequence of the snapshot in force",
            self.sequence.clone(),
        );
        registry.register(
            "aios_sidecar_config_refused_items",
            "Items of the last snapshot that were refused",
            self.refused_items.clone(),
        );
    }
}

// === impl HoldEnd ===

impl HedgeEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

impl HoldEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Full => "full",
            Self::Cancelled => "cancelled",
        }
    }
}

// === impl NoBudget ===

impl NoBudget {
    const ALL: [Self; 4] = [
        Self::Exhausted,
        Self::Unpriced,
        Self::Unbounded,
        Self::Unreachable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Unpriced => "unpriced",
            Self::Unbounded => "unbounded",
            Self::Unreachable => "unreachable",
        }
    }
}

// === impl FirstLabels ===

impl FirstLabels {
    fn chat(model: &ModelLabels) -> Self {
        Self {
            gen_ai_operation_name: Operation::Chat.as_str(),
            model: model.clone(),
        }
    }
}
