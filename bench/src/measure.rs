//! What is measured of times and of processes. Pure, but for reading `/proc`.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

/// Kernel ticks a second in `/proc/PID/stat`: fixed at 100 in Linux's interface to processes.
const TICKS: f64 = 100.0;

/// Percentiles of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub count: usize,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    pub fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        let at = |percent: usize| {
            // Nearest rank: the smallest value that at least so many per cent do not exceed.
            let rank = (samples.len() * percent).div_ceil(100).max(1) - 1;
            samples.get(rank).map_or(0.0, |value| milliseconds(*value))
        };
        Self {
            count: samples.len(),
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }
}

pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The middle of some values; the mean of the middle two. 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    if values.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    }
}

/// Memory of a process, in kB as the kernel counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are those of the results file"
)]
pub struct Memory {
    pub rss_kb: u64,
    pub pss_kb: u64,
    /// The most RSS since it was reset.
    pub peak_kb: u64,
}

/// A process that is measured from outside.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    pub fn memory(self) -> Result<Memory> {
        let status = self.read("status")?;
        let rollup = self.read("smaps_rollup")?;
        Ok(Memory {
            rss_kb: field(&status, "VmRSS:").context("no VmRSS")?,
            pss_kb: field(&rollup, "Pss:").context("no Pss")?,
            peak_kb: field(&status, "VmHWM:").context("no VmHWM")?,
        })
    }

    /// Lets the peak begin anew, proc(5).
    pub fn reset_peak(self) -> Result<()> {
        fs::write(self.path("clear_refs"), "5").context("cannot reset the peak of a process")
    }

    /// Time on processors so far, user and system.
    pub fn cpu_seconds(self) -> Result<f64> {
        cpu_seconds(&self.read("stat")?).context("/proc/PID/stat is not as expected")
    }

    /// The same by the scheduler's own clock, which is finer than ticks, as long as no thread ends.
    pub fn busy(self) -> Result<Duration> {
        let tasks = fs::read_dir(self.path("task")).context("the process ended")?;
        let of_task = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let spent = text.split(' ').next().and_then(|spent| spent.parse().ok());
            anyhow::Ok(Duration::from_nanos(spent.unwrap_or_default()))
        };
        Ok(tasks.map(of_task).filter_map(Result::ok).sum())
    }

    fn read(self, file: &str) -> Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn path(self, file: &str) -> std::path::PathBuf {
        Path::new("/proc").join(self.0.to_string()).join(file)
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15, counted from behind the name, which may hold spaces and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let samples = (1..=100).map(Duration::from_millis).collect();
        let found = Percentiles::of(samples);
        assert_eq!(
            (found.p50, found.p95, found.p99, found.max),
            (50.0, 95.0, 99.0, 100.0)
        );
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < f64::EPSILON);
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn processor_time_is_read_past_a_name_with_brackets() {
        let stat = "7 (a) (b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn this_process_was_busy() {
        let me = Process(std::process::id());
        assert!(!me.busy().unwrap().is_zero());
    }

    #[test]
    fn this_process_has_memory() {
        let memory = Process(std::process::id()).memory().unwrap();
        assert!(memory.rss_kb > 0 && memory.peak_kb >= memory.rss_kb);
    }
}
