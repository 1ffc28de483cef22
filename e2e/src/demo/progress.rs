//! How far a run is and how long it will take, on a terminal as a bar and elsewhere as lines.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use aios_crds::writing_run::ItemCounts;
use indicatif::{ProgressBar, ProgressStyle};

use crate::progress::seconds;

/// Between two lines where nobody watches.
const LINE: Duration = Duration::from_secs(10);

/// Items that need nothing more from the run.
pub fn settled(items: &ItemCounts) -> i64 {
    items.published + items.refused + items.waiting
}

/// Time left at the pace between two sights of the run; none before anything has settled.
pub fn remaining(done: i64, all: i64, elapsed: Duration) -> Option<Duration> {
    let left = all
        .checked_sub(done)
        .filter(|left| *left >= 0 && done > 0)?;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left as f64 / done as f64).ok()
}

fn words(items: &ItemCounts, all: i64, elapsed: Duration) -> String {
    let left = remaining(settled(items), all, elapsed).map_or_else(String::new, |left| {
        format!(", about {} left", seconds(left))
    });
    format!(
        "{} of {all} settled: {} published, {} refused, {} waiting{left}",
        settled(items),
        items.published,
        items.refused,
        items.waiting
    )
}

pub enum Shown {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
}

impl Shown {
    pub fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("  {elapsed_precise} [{bar:32}] {msg}") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// `all` is what the run will accept.
    pub fn update(&mut self, items: &ItemCounts, all: i64, elapsed: Duration) {
        let words = words(items, all, elapsed);
        match self {
            Self::Bar(bar) => {
                bar.set_length(u64::try_from(all).unwrap_or_default());
                bar.set_position(u64::try_from(settled(items)).unwrap_or_default());
                bar.set_message(words);
            }
            Self::Lines { last } if last.is_none_or(|last| last.elapsed() >= LINE) => {
                *last = Some(Instant::now());
                eprintln!("  … {}: {words}", seconds(elapsed));
            }
            Self::Lines { .. } => {}
        }
    }

    pub fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_pace() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(remaining(50, 150, elapsed), Some(Duration::from_secs(20)));
        assert_eq!(remaining(0, 150, elapsed), None);
        assert_eq!(remaining(7, 3, elapsed), None);
    }

    #[test]
    fn a_line_tells_counts_and_what_is_left() {
        let items = ItemCounts {
            published: 40,
            refused: 8,
            waiting: 2,
            ..ItemCounts::default()
        };
        assert_eq!(
            words(&items, 100, Duration::from_mins(1)),
            "50 of 100 settled: 40 published, 8 refused, 2 waiting, about 1 min 0 s left"
        );
    }
}
