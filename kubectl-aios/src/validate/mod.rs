//! Says on a laptop what the API server and the operator would say: structure by the kinds' own
//! schemas and CEL rules, then everything that a compiler sees, with references among the files.

mod compiled;
mod finding;
mod path;
mod sources;
mod structure;

pub use compiled::texts;
pub use finding::{Finding, Report};
pub use sources::{Source, SourceError, collect};

use sources::Manifest;

/// What the files are checked as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Namespace of objects that name none.
    pub namespace: String,
    /// Objects that the files do not hold are taken to exist.
    pub partial: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "default".into(),
            partial: false,
        }
    }
}

/// Checks all files together.
pub fn validate(sources: &[Source], options: &Options) -> Report {
    let mut report = Report::default();
    let mut sound = Vec::new();
    for source in sources {
        let (manifests, mistakes) = sources::manifests(source, &options.namespace);
        report.findings.extend(mistakes);
        for manifest in manifests {
            let mistakes = structure::check(&manifest);
            if mistakes.is_empty() {
                sound.push(manifest);
            } else {
                report.findings.extend(mistakes);
                report.broken.insert(manifest.key());
            }
        }
    }
    report.checked = sound.iter().filter(|m| m.kind.is_some()).count() + report.broken.len();
    report.others = sound.iter().filter(|m| m.kind.is_none()).count();
    compiled::check(&sound, options, &mut report);
    report
}

/// A kind of this product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ModelDeployment,
    PolicySet,
    ClusterPolicySet,
    WritingPipeline,
    WritingRun,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::ModelDeployment,
        Self::PolicySet,
        Self::ClusterPolicySet,
        Self::WritingPipeline,
        Self::WritingRun,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ModelDeployment => "ModelDeployment",
            Self::PolicySet => "PolicySet",
            Self::ClusterPolicySet => "ClusterPolicySet",
            Self::WritingPipeline => "WritingPipeline",
            Self::WritingRun => "WritingRun",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Kind, namespace and name: what must be unique.
pub(crate) type Key = (String, String, String);

impl Manifest {
    fn key(&self) -> Key {
        (
            self.kind_name.clone(),
            self.namespace.clone(),
            self.name.clone(),
        )
    }
}
