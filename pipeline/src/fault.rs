//! Fault injection for tests: `AIOS_KILL_AT=POINT` ends the process at that point, as `kill -9` would.
//! Off unless set. It happens once: a marker file is left, so that the restart goes on.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// Where the process can be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KillPoint {
    /// A worker holds a lease and has done nothing.
    LeaseHeld,
    /// A draft came back and was reported to nobody.
    DraftedUnreported,
    /// The intent to publish is recorded, nothing was sent.
    IntentFenced,
    /// The request left; its answer is not read.
    RequestSent,
    /// The target answered; nobody has looked at it.
    ResponseLost,
    /// The answer is known, the receipt is not recorded.
    ReceiptUnwritten,
    /// An approval is recorded, nobody was told.
    ApprovalRecorded,
}

/// The switch.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<(KillPoint, PathBuf)>);

impl Faults {
    /// Armed at `point`, unless the marker in `folder` says that it happened.
    pub fn new(point: Option<KillPoint>, folder: &Path) -> Self {
        Self(point.map(|point| {
            let name = point.to_possible_value().map(|v| v.get_name().to_owned());
            (
                point,
                folder.join(format!("killed-at-{}", name.unwrap_or_default())),
            )
        }))
    }

    /// True when the process will end at `point`.
    pub fn armed(&self, point: KillPoint) -> bool {
        self.0
            .as_ref()
            .is_some_and(|(at, marker)| *at == point && !marker.exists())
    }

    /// Ends the process if it is armed at `point`. No destructor runs, nothing is flushed.
    pub fn hit(&self, point: KillPoint) {
        if !self.armed(point) {
            return;
        }
        if let Some((_, marker)) = &self.0 {
            if let Err(error) = std::fs::write(marker, b"") {
                tracing::error!(%error, "no marker, no kill");
                return;
            }
            tracing::warn!(?point, "killed on request");
            std::process::abort();
        }
    }
}
