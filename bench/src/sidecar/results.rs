//! Medians over rounds, as a table of all entrants and as targets.

use std::collections::BTreeMap;

use super::{Entrant, RATES, Round, turn::Turn};
use crate::{
    measure::median,
    report::{Bound, Target, aligned, number},
};

/// A turn in which others took more of a core is named in the table.
const QUIET_PERCENT: f64 = 10.0;
/// What is asked of an idle sidecar.
const IDLE_MIB: f64 = 20.0;

const STRETCH: &str = ", stretch";

type Measure = fn(&Turn) -> f64;
/// What is asked of an entrant's rounds.
type Asked<'a> = &'a dyn Fn(&Of<'_>) -> Option<f64>;

const ADDED: [(&str, Measure); 2] = [
    ("p50", |turn| turn.added_p50),
    ("p90", |turn| turn.added_p90),
];

/// What a round came to, in a line.
pub fn line(round: &Round) -> String {
    let turns = round.plain.iter().chain(&round.streams);
    let void = turns.clone().filter_map(|turn| turn.void.clone());
    let mut parts: Vec<String> = turns
        .map(|turn| {
            format!(
                "{}/s: {} µs of processor, {} µs added",
                turn.rate,
                number(turn.cpu_per_request),
                number(turn.added_p50)
            )
        })
        .collect();
    parts.extend(round.highest.map(|rate| format!("at most {rate}/s")));
    parts.extend(void.map(|why| format!("void: {why}")));
    parts.extend(
        round
            .failure
            .as_ref()
            .map(|why| format!("then failed: {why}")),
    );
    parts.join("; ")
}

/// Everybody's medians.
pub fn tables(rounds: &[Round], missing: &BTreeMap<Entrant, String>) -> String {
    let head = [
        "entrant",
        "at a second",
        "CPU µs",
        "added p50 µs",
        "p90",
        "p99",
        "own time µs",
        "remarks",
    ];
    let mut plain = vec![head.map(str::to_owned)];
    let head = [
        "entrant",
        "streams/s",
        "CPU µs a token",
        "added first token µs",
        "idle MiB",
        "loaded",
        "large bodies",
        "highest/s",
    ];
    let mut rest = vec![head.map(str::to_owned)];
    for entrant in Entrant::ALL {
        let of = Of { rounds, entrant };
        if !of.takes_part() {
            continue;
        }
        for rate in RATES {
            plain.push(of.plain_row(rate));
        }
        rest.push(of.rest_row());
    }
    let mut text = format!("{}\n{}", aligned(&plain), aligned(&rest));
    for (entrant, why) in missing {
        text.extend([entrant.words(), " takes no part: ", why, "\n"]);
    }
    text
}

/// What the issue asks for.
pub fn targets(rounds: &[Round], ceiling: Option<f64>) -> Vec<Target> {
    let of = |entrant| Of { rounds, entrant };
    let (off, on) = (of(Entrant::AiosOff), of(Entrant::AiosOn));
    let hops = of(Entrant::AiosOnTwoHops);
    let others = || Entrant::ALL.into_iter().filter(|one| !one.is_ours());
    let peers = || others().filter(|one| *one != Entrant::Nginx);
    let mut targets = Vec::new();
    let mut compare = |what: &str, ours: &Of<'_>, peer, measure: Asked<'_>, bound| {
        let peer = of(peer);
        if ours.takes_part() && peer.takes_part() {
            let (ours, theirs) = (measure(ours), measure(&peer));
            targets.push(Target::of(what, ours, peer.entrant.words(), theirs, bound));
        }
    };
    let fastest = RATES.last().copied().unwrap_or_default();
    let cpu: Asked<'_> = &|one| one.plain(fastest, |turn| turn.cpu_per_request);
    for (who, ours, [must, stretch]) in [
        ("off", &off, [(Entrant::Nginx, 2.0), (Entrant::Nginx, 1.5)]),
        (
            "on",
            &on,
            [(Entrant::SglangRouter, 1.0), (Entrant::VllmRouter, 1.0)],
        ),
        (
            "on, two hops",
            &hops,
            [(Entrant::Smg, 1.0), (Entrant::SglangRouter, 1.0)],
        ),
    ] {
        for ((peer, most), name) in [(must, ""), (stretch, STRETCH)] {
            let what = format!("CPU µs a request, {who}{name}");
            compare(&what, ours, peer, cpu, Bound::Ratio(most));
        }
    }
    let token: Asked<'_> = &|one| one.streams(|turn| turn.cpu_per_token);
    for (most, name) in [(1.0, ""), (0.5, STRETCH)] {
        let what = format!("CPU µs a streamed token, on{name}");
        compare(&what, &on, Entrant::Smg, token, Bound::Ratio(most));
    }
    for rate in RATES {
        for (name, measure) in ADDED {
            let added: Asked<'_> = &|one| one.plain(rate, measure);
            let Some(peer) = best(peers(), |peer| Some(-added(&of(peer))?)) else {
                continue;
            };
            for (who, ours) in [("off", &off), ("on", &on)] {
                let what = format!("added {name} µs at {rate}/s, {who}");
                compare(&what, ours, peer, added, Bound::Ratio(1.0));
            }
        }
    }
    let first: Asked<'_> = &|one| one.streams(|turn| turn.added_first_token);
    if let Some(peer) = best(peers(), |peer| Some(-first(&of(peer))?)) {
        for (who, ours, bound) in [("off", &off, Bound::Ratio(1.0)), ("on", &on, Bound::Shown)] {
            let what = format!("added first token µs, {who}");
            compare(&what, ours, peer, first, bound);
        }
    }
    if let Some(peer) = best(peers(), |peer| of(peer).highest()) {
        // Near the rig's own ceiling a rate says more of the rig than of the gateway.
        let is_below = on
            .highest()
            .zip(ceiling)
            .is_none_or(|(ours, most)| ours < most / 2.0);
        let bound = if is_below {
            Bound::Above(1.0)
        } else {
            Bound::Shown
        };
        let what = "highest rate a second with p99 under 10 ms, on";
        compare(what, &on, peer, &|one| one.highest(), bound);
    }
    for (who, one) in [("off", &off), ("on", &on), ("on, two hops", &hops)] {
        for rate in RATES {
            if let Some(own) = one.own_time(rate) {
                let measure = format!("own time µs at {rate}/s, {who}");
                targets.push(Target::new(&measure, own, "", 0.0, Bound::Shown));
            }
        }
    }
    for (who, one, processes) in [
        ("off", &off, 1.0),
        ("on", &on, 1.0),
        ("on, two hops", &hops, 2.0),
    ] {
        if one.takes_part() {
            let what = format!("idle PSS MiB, {who}");
            let idle = one.memory(|round| round.idle_kb);
            let bound = Bound::AtMost(IDLE_MIB * processes);
            targets.push(Target::of(&what, idle, "", None, bound));
        }
    }
    targets
}

/// Who has most of it.
fn best(
    entrants: impl Iterator<Item = Entrant>,
    measure: impl Fn(Entrant) -> Option<f64>,
) -> Option<Entrant> {
    let known = entrants.filter_map(|entrant| Some((entrant, measure(entrant)?)));
    let best = known.max_by(|one, other| one.1.total_cmp(&other.1));
    best.map(|(entrant, _)| entrant)
}

/// The rounds of an entrant.
struct Of<'a> {
    rounds: &'a [Round],
    entrant: Entrant,
}

impl Of<'_> {
    fn takes_part(&self) -> bool {
        self.rounds().next().is_some()
    }

    fn rounds(&self) -> impl Iterator<Item = &Round> {
        let is_its = |round: &&Round| round.entrant == Some(self.entrant);
        self.rounds.iter().filter(is_its)
    }

    /// The turns at a rate that count.
    fn turns(&self, rate: f64) -> impl Iterator<Item = &Turn> {
        let turns = self.rounds().flat_map(|round| &round.plain);
        turns.filter(move |turn| turn.void.is_none() && (turn.rate - rate).abs() < 0.5)
    }

    fn plain(&self, rate: f64, measure: impl Fn(&Turn) -> f64) -> Option<f64> {
        median_of(self.turns(rate).map(measure))
    }

    /// As the sidecar says it; nobody else does.
    fn own_time(&self, rate: f64) -> Option<f64> {
        median_of(self.turns(rate).filter_map(|turn| turn.own_time))
    }

    fn streams(&self, measure: impl Fn(&Turn) -> f64) -> Option<f64> {
        let turns = self.rounds().flat_map(|round| &round.streams);
        median_of(turns.filter(|turn| turn.void.is_none()).map(measure))
    }

    fn highest(&self) -> Option<f64> {
        median_of(self.rounds().filter_map(|round| round.highest))
    }

    /// In MiB.
    fn memory(&self, measure: impl Fn(&Round) -> u64) -> Option<f64> {
        let known = self.rounds().map(measure).filter(|kb| *kb > 0);
        median_of(known.map(|kb| kb as f64 / 1024.0))
    }

    fn plain_row(&self, rate: f64) -> [String; 8] {
        let cell = |measure: Measure| with_spread(self.turns(rate).map(measure).collect());
        [
            self.entrant.words().to_owned(),
            number(rate),
            cell(|turn| turn.cpu_per_request),
            cell(|turn| turn.added_p50),
            cell(|turn| turn.added_p90),
            cell(|turn| turn.times.p99),
            shown(self.own_time(rate)),
            self.remarks(rate),
        ]
    }

    /// Why there are no figures, or what to think of them.
    fn remarks(&self, rate: f64) -> String {
        if self.turns(rate).next().is_some() {
            let others = self.plain(rate, |turn| turn.others_percent);
            let others = others.filter(|percent| *percent > QUIET_PERCENT);
            return others.map_or_else(String::new, |percent| format!("others {percent} %"));
        }
        let turns = || self.rounds().flat_map(|round| &round.plain);
        if turns().any(|turn| turn.is_saturated) {
            let held = turns().filter(|turn| turn.void.is_none());
            let held = held.map(|turn| turn.rate).max_by(f64::total_cmp);
            return match self.highest().or(held) {
                Some(rate) => format!("saturated at {}/s", number(rate)),
                None => "saturated".to_owned(),
            };
        }
        let void = turns().find_map(|turn| turn.void.clone());
        let failed = || self.rounds().find_map(|round| round.failure.clone());
        void.or_else(failed).unwrap_or_default()
    }

    fn rest_row(&self) -> [String; 8] {
        let turns = self.rounds().flat_map(|round| &round.streams);
        let held = turns.filter(|turn| turn.void.is_none());
        [
            self.entrant.words().to_owned(),
            shown(median_of(held.map(|turn| turn.rate))),
            shown(self.streams(|turn| turn.cpu_per_token)),
            shown(self.streams(|turn| turn.added_first_token)),
            shown(self.memory(|round| round.idle_kb)),
            shown(self.memory(|round| round.loaded_kb)),
            shown(self.memory(|round| round.large_kb)),
            shown(self.highest()),
        ]
    }
}

/// The median, and between what it lies.
fn with_spread(values: Vec<f64>) -> String {
    let least = values.iter().copied().min_by(f64::total_cmp);
    let most = values.iter().copied().max_by(f64::total_cmp);
    match least.zip(most) {
        Some((least, most)) if values.len() > 1 => format!(
            "{} ({} to {})",
            number(median(values)),
            number(least),
            number(most)
        ),
        _ => shown(least),
    }
}

/// What nobody could measure is a dash.
fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

fn median_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| median(values))
}

#[cfg(test)]
mod tests {
    use super::{tables, targets};
    use crate::sidecar::{Entrant, Round, turn::Turn};

    fn round(entrant: Entrant, cpu: f64, void: Option<&str>) -> Round {
        let turn = Turn {
            rate: 1000.0,
            cpu_per_request: cpu,
            void: void.map(str::to_owned),
            ..Turn::default()
        };
        Round {
            entrant: Some(entrant),
            idle_kb: 1024,
            plain: vec![turn],
            ..Round::default()
        }
    }

    #[test]
    fn a_void_turn_does_not_count() {
        let rounds = [
            round(Entrant::AiosOff, 40.0, None),
            round(Entrant::AiosOff, 900.0, Some("status 500")),
            round(Entrant::Nginx, 21.0, None),
        ];
        let targets = targets(&rounds, None);
        assert!((targets[0].ours - 40.0).abs() < f64::EPSILON);
        let met: Vec<_> = targets.iter().map(|target| target.met).collect();
        let expected = [Some(true), Some(false), Some(true)];
        assert_eq!(met, expected, "the stretch and memory, too");
    }

    #[test]
    fn what_could_not_be_measured_of_ours_is_missed() {
        let rounds = [
            round(Entrant::AiosOff, 40.0, Some("status 500")),
            round(Entrant::Nginx, 21.0, None),
        ];
        let targets = targets(&rounds, None);
        assert_eq!(targets[0].met, Some(false));
        let text = tables(&rounds, &[].into());
        assert!(text.contains("status 500"), "{text}");
    }

    #[test]
    fn a_rate_that_is_not_held_is_saturated_at_the_highest_that_is() {
        let mut slow = round(Entrant::Litellm, 9000.0, Some("it does not hold the rate"));
        slow.plain[0].is_saturated = true;
        slow.highest = Some(112.5);
        let text = tables(&[slow], &[].into());
        assert!(text.contains("saturated at 112.5/s"), "{text}");
    }

    #[test]
    fn who_takes_no_part_is_named() {
        let missing = [(Entrant::Smg, "no wheel".to_owned())].into();
        let text = tables(&[round(Entrant::Nginx, 21.0, None)], &missing);
        assert!(text.contains("smg takes no part: no wheel"), "{text}");
    }
}
