//! The only reads: the Job from the server, pipeline and report from watch and index.

use aios_crds::{WritingPipeline, WritingRun};
use aios_proto::control::RunReport;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use crate::{context::Context, error::Result, watch::valid};

pub struct Found {
    pub pipeline: Option<WritingPipeline>,
    /// What the gateway said of the run, if it did since this operator leads.
    pub report: Option<RunReport>,
    pub job: Option<Job>,
}

pub async fn fetch(run: &WritingRun, namespace: &str, context: &Context) -> Result<Found> {
    let uid = run.uid().unwrap_or_default();
    let pipeline = context
        .stores
        .pipeline(namespace, &run.spec.pipeline_ref.name)
        .and_then(|guarded| valid(&guarded).cloned());
    let report = context
        .hub
        .read(|index| index.run_report(namespace, &uid).cloned());
    let job = context
        .applier
        .get::<Job>(namespace, &run.name_any())
        .await?;
    // A Job of that name may be somebody else's, or of an earlier run of the name.
    let job = job.filter(|job| job.owner_references().iter().any(|owner| owner.uid == uid));
    Ok(Found {
        pipeline,
        report,
        job,
    })
}
