//! The only reads: the Job and what is lent of the budget from the server, pipeline and report from watch
//! and index.

use aios_compile::references;
use aios_crds::{WritingPipeline, WritingRun};
use aios_proto::control::RunReport;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use crate::{
    context::Context, control::Account, error::Result, pipeline::without_price, spending::Spending,
    watch::valid,
};

pub struct Found {
    pub pipeline: Option<WritingPipeline>,
    /// What the gateway said of the run, if it did since this operator leads.
    pub report: Option<RunReport>,
    pub job: Option<Job>,
    /// Of a run with a budget.
    pub spending: Option<Spending>,
    /// Models that the budget cannot pay for.
    pub unpriced: Vec<String>,
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
    let mut spending = None;
    let mut unpriced = Vec::new();
    if let Some(budget) = &run.spec.budget {
        let account = Account::of_run(namespace, &run.name_any(), &uid);
        let book = context.book(&account).await?;
        spending = Some(Spending::of_run(budget, &book, Timestamp::now()));
        let models = pipeline
            .as_ref()
            .map(|pipeline: &WritingPipeline| references::of_pipeline(&pipeline.spec).models);
        let currency = budget.currency.as_deref();
        unpriced = without_price(&models.unwrap_or_default(), currency, namespace, context);
    }
    Ok(Found {
        pipeline,
        report,
        job,
        spending,
        unpriced,
    })
}
