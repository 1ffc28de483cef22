//! The results file and the table. A target that is missed stands in both as missed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// One claim: what was measured, beside what, and whether it holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are those of the results file"
)]
pub struct Target {
    pub measure: String,
    /// Null where it could not be measured, and so the peer's.
    pub ours: f64,
    pub peer: String,
    pub peer_value: f64,
    /// Ours by the peer's; 0 where the peer has no value.
    pub ratio: f64,
    /// What is asked for, in words.
    pub target: String,
    /// `None` where a comparison is shown and nothing is asked for.
    pub met: Option<bool>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Ours is at most so many times the peer's.
    Ratio(f64),
    /// Ours is more than so many times the peer's.
    Above(f64),
    /// Ours is at most this.
    AtMost(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours is off the peer's by no more than this part of it.
    Within(f64),
    /// Shown beside each other, nothing asked.
    Shown,
}

impl Target {
    /// A target whose own value could not be measured is missed; without the peer's nothing can be said.
    pub fn of(
        measure: &str,
        ours: Option<f64>,
        peer: &str,
        theirs: Option<f64>,
        bound: Bound,
    ) -> Self {
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let theirs = if peer.is_empty() { Some(0.0) } else { theirs };
        let target = Self::new(measure, known(ours), peer, known(theirs), bound);
        let met = target.met.filter(|_| ours.is_none() || theirs.is_some());
        Self { met, ..target }
    }

    pub fn new(measure: &str, ours: f64, peer: &str, peer_value: f64, bound: Bound) -> Self {
        let ratio = if peer_value > 0.0 {
            (ours / peer_value * 1000.0).round() / 1000.0
        } else {
            0.0
        };
        let (target, met) = match bound {
            // Of a peer that gains time a ratio says nothing.
            Bound::Ratio(most) => (
                format!("ratio at most {most}"),
                Some(ours <= most * peer_value),
            ),
            Bound::Above(times) => (
                format!("above {times} times"),
                Some(ours > times * peer_value),
            ),
            Bound::AtMost(most) => (format!("at most {most}"), Some(ours <= most)),
            Bound::AtLeast(least) => (format!("at least {least}"), Some(ours >= least)),
            Bound::Within(part) => (
                format!("within {part} of it"),
                Some((ours - peer_value).abs() <= part * peer_value),
            ),
            Bound::Shown => ("shown".to_owned(), None),
        };
        Self {
            measure: measure.to_owned(),
            ours,
            peer: peer.to_owned(),
            peer_value,
            ratio,
            target,
            met,
        }
    }
}

/// A benchmark's whole result.
#[derive(Debug, Serialize)]
pub struct Results<R> {
    pub benchmark: &'static str,
    pub at: String,
    pub machine: Machine,
    pub versions: Value,
    pub settings: Value,
    pub rounds: Vec<R>,
    pub targets: Vec<Target>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_kb: u64,
    pub kernel: String,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
                .unwrap_or_default()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        Self {
            processor: after(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_kb: memory
                .split(' ')
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl<R: Serialize> Results<R> {
    /// Writes `FOLDER/BENCHMARK.json`.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.benchmark));
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// The targets as a table for people.
pub fn table(targets: &[Target]) -> String {
    let mut rows = vec![
        [
            "measure", "ours", "peer", "peer's", "ratio", "target", "met",
        ]
        .map(str::to_owned),
    ];
    rows.extend(targets.iter().map(|target| {
        let peer = |text: String| {
            if target.peer.is_empty() {
                String::new()
            } else {
                text
            }
        };
        [
            target.measure.clone(),
            number(target.ours),
            target.peer.clone(),
            peer(number(target.peer_value)),
            peer(number(target.ratio)),
            target.target.clone(),
            match target.met {
                Some(true) => "yes",
                Some(false) => "MISSED",
                None => "",
            }
            .to_owned(),
        ]
    }));
    aligned(&rows)
}

/// Columns as wide as their widest cell.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What is not known is a dash.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "-".to_owned()
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_says_so_in_the_table() {
        let missed = Target::new("time", 3.0, "floor", 2.0, Bound::Ratio(1.2));
        assert_eq!((missed.ratio, missed.met), (1.5, Some(false)));
        assert!(table(&[missed]).contains("MISSED"));
    }

    #[test]
    fn what_is_not_known_of_ours_is_missed_and_of_a_peer_is_open() {
        let bound = Bound::Ratio(1.0);
        let missed = Target::of("time", None, "peer", Some(2.0), bound);
        assert_eq!(missed.met, Some(false));
        assert!(table(&[missed]).contains(" -  "));
        assert_eq!(Target::of("time", Some(1.0), "peer", None, bound).met, None);
        let bound = Bound::AtMost(1.0);
        assert_eq!(Target::of("time", None, "", None, bound).met, Some(false));
        assert_eq!(
            Target::of("time", Some(1.0), "", None, bound).met,
            Some(true)
        );
    }

    #[test]
    fn a_bound_on_ours_needs_no_peer() {
        let held = Target::new("requests when idle", 0.0, "", 0.0, Bound::AtMost(0.0));
        assert_eq!(held.met, Some(true));
        assert_eq!(Target::new("p50", 2.0, "twin", 4.0, Bound::Shown).met, None);
    }
}
