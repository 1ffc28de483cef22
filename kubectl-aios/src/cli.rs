//! The command line's words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

/// Validate, run, review and audit AI-generated writing.
#[derive(Debug, Parser)]
#[command(name = "kubectl aios", bin_name = "kubectl aios", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  kubectl aios validate manifests/                   check manifests without a cluster
  kubectl aios run --pipeline savings --upload customer=customers.ndjson --wait
  kubectl aios review list --pipeline savings --as-service-account editor
  kubectl aios audit verify bundle.ndjson            check the record without a cluster
  kubectl aios doctor                                say what is missing, and how to mend it";

/// Where, and as whom.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Namespace; the kubeconfig's when left out.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Ask the gateway as this ServiceAccount of the namespace: a short token is requested for it.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "AIOS_SERVICE_ACCOUNT",
        conflicts_with = "token"
    )]
    pub as_service_account: Option<String>,
    /// Ask the gateway with this token (`kubectl create token NAME --audience aios`).
    #[arg(long, global = true, env = "AIOS_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check manifests without a cluster: structure, rules, templates, expressions, references.
    Validate(Validate),
    /// Show every object of the namespace: whether it is ready, why not, and counts.
    Status(Status),
    /// Upload records and start a WritingRun.
    Run(Run),
    /// Decide what waits for a person.
    #[command(subcommand)]
    Review(Review),
    /// Write one document and judge it, without keeping it.
    Preview(Preview),
    /// Compare the variants of a pipeline's experiments.
    #[command(subcommand)]
    Experiment(Experiment),
    /// Try policies on a text, without a cluster.
    #[command(subcommand)]
    Policy(Policy),
    /// Export the log, and verify it without a cluster.
    #[command(subcommand)]
    Audit(Audit),
    /// Say what is missing for AIOS to work here, and how to mend it.
    Doctor(Doctor),
}

/// Exit code 1 if anything is wrong. Each line: file: object: field: what is wrong (what to do).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios validate campaign/
  kubectl aios validate policy.yaml pipeline.yaml
  helm template chart | kubectl aios validate -
  kubectl aios validate --partial pipeline.yaml      its models and policies are in the cluster")]
pub struct Validate {
    /// Files, folders of manifests, or - for standard input.
    #[arg(required_unless_present = "filenames")]
    pub files: Vec<PathBuf>,
    /// The same, as kubectl takes them.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filenames: Vec<PathBuf>,
    /// Take objects that the files do not hold to exist.
    #[arg(long)]
    pub partial: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios status -n bank
  kubectl aios status --all-namespaces")]
pub struct Status {
    /// Every namespace.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios run --pipeline savings --upload customer=customers.ndjson --wait --as-service-account author
  kubectl aios run --pipeline savings --over customer          records were uploaded before
  kubectl aios run --pipeline savings --pointers pointers.ndjson --name trial")]
pub struct Run {
    /// The WritingPipeline.
    #[arg(short, long)]
    pub pipeline: String,
    /// Records to upload first, one JSON object a line; replaces the context's records.
    #[arg(long, value_name = "CONTEXT=FILE", value_parser = upload)]
    pub upload: Vec<Upload>,
    /// One document for each record of this context; the first uploaded one when left out.
    #[arg(long, value_name = "CONTEXT", conflicts_with = "pointers")]
    pub over: Option<String>,
    /// One document for each line: pointers such as {"customerId": 17}; at most 1000.
    #[arg(long, value_name = "FILE")]
    pub pointers: Option<PathBuf>,
    /// Name of the WritingRun; the pipeline's with the time when left out.
    #[arg(long)]
    pub name: Option<String>,
    /// When no document is begun any more, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Timestamp>,
    /// Wait until every item is published, refused or waiting for a person.
    #[arg(short, long)]
    pub wait: bool,
    /// Longest wait in seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub timeout: u64,
}

/// A context and the file with its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub context: String,
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kubectl aios review list -p savings --as-service-account editor
  kubectl aios review diff -p savings 0198c2
  kubectl aios review approve -p savings 0198c2
  kubectl aios review reject -p savings 0198c2 --reason 'wrong segment'
  kubectl aios review edit -p savings 0198c2 --part text=better.txt")]
pub enum Review {
    /// What waits, oldest first.
    List(Pipeline),
    /// The text with what policy marks in it, and what was changed.
    Diff(Item),
    /// Approve the text as it stands.
    Approve(Decide),
    /// Reject it; it is never published.
    Reject(Reject),
    /// Change parts of it; it is judged anew, and approvals of the old text are void.
    Edit(Edit),
}

#[derive(Clone, Debug, Args)]
pub struct Pipeline {
    /// The WritingPipeline.
    #[arg(short, long)]
    pub pipeline: String,
}

#[derive(Clone, Debug, Args)]
pub struct Item {
    #[command(flatten)]
    pub pipeline: Pipeline,
    /// The document, or the beginning of its id if only one that waits begins so.
    pub document: String,
}

#[derive(Clone, Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    pub item: Item,
    /// Digest that was read; refused if the text is another by now. The present text's when left out.
    #[arg(long)]
    pub digest: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Reject {
    #[command(flatten)]
    pub decide: Decide,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
}

#[derive(Clone, Debug, Args)]
pub struct Edit {
    #[command(flatten)]
    pub decide: Decide,
    /// A part's new text; without any, $EDITOR opens each part.
    #[arg(long = "part", value_name = "NAME=FILE", value_parser = upload)]
    pub parts: Vec<Upload>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios preview -p savings --pointer '{\"customerId\": 17}' --as-service-account author")]
pub struct Preview {
    #[command(flatten)]
    pub pipeline: Pipeline,
    /// The pointer, as a JSON object.
    #[arg(long)]
    pub pointer: String,
}

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Run the tests that the policies of the files hold, or judge a document by all of them. Exit code 1 if a
    /// test fails, or if the document may not pass.
    Test(PolicyTest),
    /// What each rule of the files checks, reads, does, and means for text that is being written.
    Explain(PolicyExplain),
    /// What would change for the documents of a pipeline if the policy of the file were enforced.
    Replay(PolicyReplay),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios policy explain -f policy.yaml")]
pub struct PolicyExplain {
    /// Files with policies.
    #[arg(short = 'f', long = "file", required = true)]
    pub files: Vec<PathBuf>,
    /// The same as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The gateway judges the texts as they stand, twice: by the policies in force, and with this one in the place of
the one of its name. Nothing is stored, and no text leaves the gateway.
Examples:
  kubectl aios policy replay -p savings -f new.yaml --as-service-account editor")]
pub struct PolicyReplay {
    #[command(flatten)]
    pub pipeline: Pipeline,
    /// File with the policy.
    #[arg(short = 'f', long = "file")]
    pub file: PathBuf,
    /// Every change as JSON, one a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The document is text (a part `text`), or JSON: {\"parts\": [{\"name\": \"text\", \"kind\": \"Plain\", \"text\": \"...\"}]}
Examples:
  kubectl aios policy test -f policy.yaml            its own spec.tests, as the operator runs them
  kubectl aios policy test -f policy.yaml mail.txt
  kubectl aios policy test -f policy.yaml mail.json --vars customer.json --language de")]
pub struct PolicyTest {
    /// Files with policies.
    #[arg(short = 'f', long = "file", required = true)]
    pub files: Vec<PathBuf>,
    /// The document; without one, the policies' own tests are run.
    pub document: Option<PathBuf>,
    /// JSON object: `vars` of rules, known to `facts`.
    #[arg(long, requires = "document")]
    pub vars: Option<PathBuf>,
    /// `labels` of rules.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label, requires = "document")]
    pub labels: Vec<(String, String)>,
    /// `language` of rules.
    #[arg(long, default_value = "en")]
    pub language: String,
    /// The verdict, or what became of each test, as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kubectl aios experiment report -p savings --as-service-account author")]
pub enum Experiment {
    /// How the documents of each variant fared, and what was reported of them. Counts and intervals, no verdict.
    Report(ExperimentReport),
}

#[derive(Debug, Args)]
pub struct ExperimentReport {
    #[command(flatten)]
    pub pipeline: Pipeline,
    /// The same as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kubectl aios audit export -o bundle.ndjson --as-service-account auditor
  kubectl aios audit verify bundle.ndjson
  kubectl aios audit verify bundle.ndjson --witness-size 1200 --witness-root 6f0c...")]
pub enum Audit {
    /// Save the whole log as one file.
    Export(Export),
    /// Verify an exported file offline. Exit code 1, and where, at the first fault.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Export {
    /// File to write.
    #[arg(short, long)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The exported file.
    pub file: PathBuf,
    /// Leaves of a head that a witness kept: the operator's, or yours from an earlier export.
    #[arg(long, value_name = "N", requires = "witness_root")]
    pub witness_size: Option<u64>,
    /// Root of that head, 64 hex digits.
    #[arg(long, value_name = "HEX", requires = "witness_size")]
    pub witness_root: Option<String>,
    /// The tenant's verifier key, name+id+base64; any key is accepted when left out.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl aios doctor -n bank --as-service-account author")]
pub struct Doctor {
    /// Namespace of the operator; the one that serves this namespace, or else aios-system, when left out.
    #[arg(long, env = "AIOS_OPERATOR_NAMESPACE")]
    pub operator_namespace: Option<String>,
}

fn upload(text: &str) -> Result<Upload, String> {
    let (context, file) = named(text, "NAME=FILE, as in customer=customers.ndjson")?;
    Ok(Upload {
        context,
        file: file.into(),
    })
}

fn label(text: &str) -> Result<(String, String), String> {
    named(text, "NAME=VALUE, as in segment=private")
}

fn named(text: &str, form: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("write {form}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
