//! Counts for the operator, when they changed, at most once a second.

use std::time::Duration;

use aios_proto::control::{PipelineReport, Report, RunReport};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{gateway::Gateway, rates};
use crate::store::{StatusCounts, StoreError};

const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Keeps the report true until shutdown.
pub async fn run(gateway: Gateway, reports: watch::Sender<Report>, shutdown: CancellationToken) {
    let mut changes = gateway.store.changes();
    let mut configured = gateway.enforced.changes();
    loop {
        changes.mark_unchanged();
        match report(&gateway).await {
            Ok(report) => {
                reports.send_if_modified(|known| {
                    let differs = *known != report;
                    *known = report;
                    differs
                });
            }
            Err(error) => tracing::error!(%error, "cannot count"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(AT_MOST_EVERY) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = changes.changed() => {}
            _ = configured.changed() => {}
        }
    }
}

pub(super) async fn report(gateway: &Gateway) -> Result<Report, StoreError> {
    let configuration = gateway.enforced.load();
    // Before it is counted: what comes meanwhile is counted again.
    let log_size = gateway.store.with_log(aios_audit::Log::size);
    let counts = gateway.store.counts().await?;
    let pipelines = configuration
        .pipelines
        .keys()
        .map(|name| pipeline_report(name, counts.get(name).unwrap_or(&StatusCounts::new())))
        .collect();
    let mut runs = Vec::new();
    for run in configuration.runs.values() {
        let Some(row) = gateway.store.run(&run.uid).await? else {
            continue;
        };
        let counts = gateway.store.run_counts(&run.uid).await?;
        runs.push(RunReport {
            run: run.name.clone(),
            run_uid: run.uid.clone(),
            accepted: number(counts.accepted),
            drafted: number(counts.drafted),
            published: number(counts.published),
            refused: number(counts.refused),
            waiting: number(counts.waiting),
            parked: number(counts.parked),
            error: row.error,
            overdue: number(counts.overdue),
        });
    }
    let policies = rates::reports(&gateway.store, &gateway.enforced.policies()).await?;
    Ok(Report {
        pipelines,
        runs,
        log_size,
        policies,
        ..Report::default()
    })
}

fn pipeline_report(name: &str, counts: &StatusCounts) -> PipelineReport {
    let of = |status: &str| number(counts.get(status).copied().unwrap_or(0));
    PipelineReport {
        pipeline: name.to_owned(),
        accepted: number(counts.values().sum()),
        published: of("Published"),
        refused: of("Refused"),
        waiting: of("Review") + of("Parked"),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
