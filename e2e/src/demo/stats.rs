//! A run in numbers, as the gateway gives them, in words.

use std::collections::BTreeMap;

use aios_crds::writing_run::ItemCounts;
use serde::Deserialize;

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

/// What the gateway measured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// By status.
    pub documents: BTreeMap<String, u64>,
    pub steps: BTreeMap<String, Latency>,
    pub first_draft: Latency,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub tokens_per_second: f64,
    pub cost: BTreeMap<String, String>,
    pub cost_per_thousand_tokens: BTreeMap<String, String>,
    pub exact: bool,
    pub model_calls: u64,
}

/// Steps in the order in which a document takes them.
const ORDER: [&str; 6] = ["retrieve", "draft", "final", "check", "review", "publish"];

impl Stats {
    /// Documents by where they stand, as a run's status has them.
    pub fn items(&self) -> ItemCounts {
        let of = |status: &str| {
            let count = self.documents.get(status).copied().unwrap_or_default();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let accepted = self.documents.keys().map(|status| of(status)).sum();
        ItemCounts {
            accepted,
            drafted: accepted - of("Accepted") - of("Writing"),
            published: of("Published"),
            refused: of("Refused"),
            waiting: of("Review") + of("Parked"),
        }
    }

    /// A line for each step, then speed and cost.
    pub fn lines(&self) -> Vec<String> {
        let steps = ORDER
            .iter()
            .filter_map(|step| Some((*step, self.steps.get(*step)?)));
        let mut lines: Vec<String> = steps.map(|(step, l)| line(step, l)).collect();
        lines.push(line("time to first draft", &self.first_draft));
        let counted = if self.exact {
            "exact"
        } else {
            "estimated in part"
        };
        lines.push(format!(
            "{:.1} tokens per second of model time; {} read and {} written in {} calls ({counted})",
            self.tokens_per_second, self.input_tokens, self.output_tokens, self.model_calls
        ));
        lines.push(format!("cost per 1k tokens: {}", self.costs()));
        lines
    }

    fn costs(&self) -> String {
        let costs: Vec<String> = self
            .cost_per_thousand_tokens
            .iter()
            .map(|(currency, each)| {
                let all = self.cost.get(currency).map_or("?", String::as_str);
                format!("{each} {currency} ({all} {currency} in all)")
            })
            .collect();
        if costs.is_empty() {
            "no model has a price".to_owned()
        } else {
            costs.join(", ")
        }
    }
}

fn line(what: &str, l: &Latency) -> String {
    let (p50, p95, p99) = (time(l.p50), time(l.p95), time(l.p99));
    format!(
        "{what}: p50 {p50}, p95 {p95}, p99 {p99} ({} times)",
        l.count
    )
}

fn time(millis: u64) -> String {
    if millis < 1000 {
        format!("{millis} ms")
    } else {
        format!("{:.1} s", millis as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_numbers_are_read_and_told_in_the_order_of_steps() {
        let json = serde_json::json!({
            "documents": {"Published": 1}, "origins": {}, "refusals": {}, "parked": {},
            "steps": {"publish": {"count": 1, "p50": 2, "p95": 2, "p99": 2},
                      "draft": {"count": 3, "p50": 900, "p95": 1500, "p99": 1500}},
            "firstDraft": {"count": 1, "p50": 1234, "p95": 1234, "p99": 1234},
            "inputTokens": 10, "outputTokens": 5, "tokensPerSecond": 12.5,
            "cost": {"EUR": "0.002"}, "costPerThousandTokens": {"EUR": "0.00002"},
            "exact": true, "modelCalls": 3, "editRatePercent": 0.0,
        });
        let stats: Stats = serde_json::from_value(json).unwrap();
        assert_eq!((stats.items().accepted, stats.items().published), (1, 1));
        let lines = stats.lines();
        assert_eq!(
            lines[0],
            "draft: p50 900 ms, p95 1.5 s, p99 1.5 s (3 times)"
        );
        assert!(lines[1].starts_with("publish: "));
        assert!(lines[3].contains("12.5 tokens per second"));
        assert_eq!(
            lines[4],
            "cost per 1k tokens: 0.00002 EUR (0.002 EUR in all)"
        );
    }
}
