//! Asks a revision of a model that is on trial the inputs of an evaluation, and the stable one beside it,
//! and judges their answers. It calls their ingresses itself: routes, fallbacks and queues of an egress
//! would blur who answered. It tells names of inputs and rules, never a word of an answer.

mod ask;
mod judge;
mod options;

use std::{fs, io, path::PathBuf};

use aios_proto::evaluation::{Compared, EvaluationReport};
use aios_runtime::tls::{ClientTls, TlsError};
use tokio_util::sync::CancellationToken;

pub use options::Options;

use self::{
    ask::{AskError, Asked},
    judge::{Judge, JudgeError},
};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the inputs cannot be read: {0}")]
    Inputs(io::Error),
    #[error("input {0}: {1}")]
    Input(String, String),
    #[error("the inputs changed meanwhile: they are asked anew")]
    Changed,
    #[error("the report has no JSON form: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("the report cannot be written to {0}: {1}")]
    Report(PathBuf, io::Error),
    #[error("ended from outside")]
    ShutDown,
}

/// Asks, judges, and writes the report, or why there is none.
///
/// # Errors
/// Why there is no report.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), EvaluateError> {
    let file = options.report_file.clone();
    let reported = tokio::select! {
        report = evaluate(&options) => report,
        () = shutdown.cancelled() => Err(EvaluateError::ShutDown),
    };
    let text = match &reported {
        Ok(report) => serde_json::to_string(report)?,
        Err(error) => error.to_string(),
    };
    fs::write(&file, text).map_err(|error| EvaluateError::Report(file, error))?;
    reported.map(drop)
}

/// One input after the other: the answers of a model that is busy with others say nothing of it.
async fn evaluate(options: &Options) -> Result<EvaluationReport, EvaluateError> {
    let inputs = options::inputs(&options.inputs, &options.inputs_digest)?;
    let judge = Judge::new(&options.policies)?;
    let tls = tls(options)?;
    let of = |address: &str| Asked::new(options, tls.as_ref(), address);
    let candidate = of(&options.candidate)?;
    let stable = options.stable.as_deref().map(of).transpose()?;
    for asked in stable.iter().chain([&candidate]) {
        asked.reach().await?;
    }
    let mut compared = Vec::with_capacity(inputs.len());
    for (name, input) in &inputs {
        let now = judge.verdict(input, candidate.ask(input).await);
        let before = match &stable {
            Some(stable) => Some(judge.verdict(input, stable.ask(input).await)),
            None => None,
        };
        let passed_before = before.as_ref().map(Result::is_ok);
        tracing::info!(input = name, passed = now.is_ok(), passed_before, "judged");
        compared.push(Compared {
            input: name.clone(),
            now,
            before,
        });
    }
    Ok(EvaluationReport::of(&compared))
}

fn tls(options: &Options) -> Result<Option<ClientTls>, TlsError> {
    let identity = options
        .client_cert_file
        .as_deref()
        .zip(options.client_key_file.as_deref());
    let ca = options.ca_file.as_deref();
    ca.map(|ca| ClientTls::new(Some(ca), identity)).transpose()
}

#[cfg(test)]
mod tests;
