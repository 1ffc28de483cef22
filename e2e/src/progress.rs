//! Says what is being done and how long it took, on standard error.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a step that takes long says that it is still at it.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Runs one step and reports its beginning, its end and the time between.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    eprintln!("  • {what} …");
    tokio::pin!(work);
    let mut heartbeat = tokio::time::interval_at((begun + HEARTBEAT).into(), HEARTBEAT);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = heartbeat.tick() => eprintln!("  … {what}, {} so far", seconds(begun.elapsed())),
        }
    };
    let mark = if outcome.is_ok() { "✓" } else { "✗" };
    eprintln!("  {mark} {what} ({})", seconds(begun.elapsed()));
    outcome
}

/// `4.2 s`, `3 min 20 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole >= 60 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(seconds(Duration::from_millis(4210)), "4.2 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }
}
