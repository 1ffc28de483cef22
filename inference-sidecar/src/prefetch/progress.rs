//! Tells how far a file is: to the log, and to the operator over the control stream. Coarse, for each
//! step may become a write of a status.

use std::{path::PathBuf, sync::Arc};

use aios_proto::control::{ItemAck, Report, Role, Snapshot, WeightsReport};
use aios_runtime::{
    control::{AttachConfig, Enforce, attach},
    tls::ClientTls,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Percent of one step.
const STEP: u64 = 10;

/// Where progress is reported; without an address it is only logged.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Operator {
    /// The operator's control address.
    #[arg(long, env = "AIOS_OPERATOR_URI")]
    pub operator_uri: Option<String>,
    /// CA of the operator.
    #[arg(long, env = "AIOS_CA_FILE")]
    pub operator_ca_file: Option<PathBuf>,
    /// Projected token for the operator.
    #[arg(long, env = "AIOS_CONTROL_TOKEN_FILE")]
    pub control_token_file: Option<PathBuf>,
    /// Name of the ModelDeployment.
    #[arg(long, env = "AIOS_MODEL", default_value = "")]
    pub model: String,
    /// What the operator calls this set of files.
    #[arg(long, env = "AIOS_WEIGHTS", default_value = "")]
    pub weights: String,
}

/// Tells of all files.
#[derive(Clone)]
pub struct Teller {
    weights: String,
    reports: watch::Sender<Report>,
    /// Bytes before what is told of, and of all: where one thing is many files.
    part: Option<(u64, u64)>,
}

/// Tells of one file.
pub struct Meter {
    teller: Teller,
    file: String,
    doing: Doing,
    told: Option<u64>,
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Fetching,
    Checking,
}

impl Operator {
    /// Starts to report until shutdown. Files are fetched whether or not the operator hears of it.
    pub fn attach(&self, shutdown: CancellationToken) -> Teller {
        let (reports, reading) = watch::channel(Report::default());
        if let Some(config) = self.config() {
            tokio::spawn(async move {
                if let Err(error) = attach(config, Arc::new(Nothing), reading, shutdown).await {
                    tracing::warn!(%error, "progress is not reported");
                }
            });
        }
        Teller {
            weights: self.weights.clone(),
            reports,
            part: None,
        }
    }

    fn config(&self) -> Option<AttachConfig> {
        let operator_uri = self.operator_uri.clone()?;
        let ca = self.operator_ca_file.as_deref();
        let tls = match ca.map(|ca| ClientTls::new(Some(ca), None)).transpose() {
            Ok(tls) => tls,
            Err(error) => {
                tracing::warn!(%error, "progress is not reported");
                return None;
            }
        };
        Some(AttachConfig {
            operator_uri,
            tls,
            token_file: self.control_token_file.clone(),
            certificates: Vec::new(),
            role: Role::Prefetch,
            model: self.model.clone(),
        })
    }
}

impl Teller {
    /// The same for one of many files: `before` bytes of `whole` were done before it.
    pub fn part(&self, before: u64, whole: u64) -> Self {
        Self {
            part: Some((before, whole)),
            ..self.clone()
        }
    }

    /// Begins to tell of a file.
    pub fn meter(&self, file: &str, doing: Doing) -> Meter {
        Meter {
            teller: self.clone(),
            file: file.to_owned(),
            doing,
            told: None,
        }
    }

    /// What was told last.
    pub fn latest(&self) -> Option<WeightsReport> {
        self.reports.borrow().weights.clone()
    }
}

impl Meter {
    /// `have` bytes of `total` are done.
    pub fn at(&mut self, have: u64, total: Option<u64>) {
        let (have, total) = match self.teller.part {
            Some((before, whole)) => (before.saturating_add(have), Some(whole)),
            None => (have, total),
        };
        let Some(total) = total.filter(|total| *total > 0) else {
            return;
        };
        let percent = have.saturating_mul(100) / total / STEP * STEP;
        if self.told == Some(percent) {
            return;
        }
        self.told = Some(percent);
        let checking = self.doing == Doing::Checking;
        let weights = WeightsReport {
            weights: self.teller.weights.clone(),
            file: self.file.clone(),
            percent: u32::try_from(percent).unwrap_or(100),
            bytes: total,
            checking,
        };
        // The next of many files begins in the step in which the one before ended.
        let is_new = self.teller.reports.send_if_modified(|report| {
            let is_new = report.weights.as_ref() != Some(&weights);
            report.weights = Some(weights);
            is_new
        });
        if is_new {
            tracing::info!(file = self.file, percent, total, checking, "progress");
        }
    }
}

/// A prefetch has no configuration.
struct Nothing;

impl Enforce for Nothing {
    fn enforce(&self, _: Snapshot) -> Vec<ItemAck> {
        Vec::new()
    }
}
