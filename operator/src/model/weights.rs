//! The files that an engine loads, and where each stands in pods. Pure.

use aios_compile::{Format, Source, WeightsFile, WeightsPlan};
use aios_crds::{reference::KeyRef, weights::WeightsCache};
use sha2::{Digest, Sha256};

/// Where the cache is mounted.
pub const CACHE: &str = "/weights";

/// Every file of a model.
#[derive(Clone, Debug)]
pub struct Weights {
    /// None for an engine that brings its own.
    pub model: Option<File>,
    pub adapters: Vec<File>,
    pub cache: Option<WeightsCache>,
    /// Names the prefetch Job: one for each set of sources, digests and what must stand there.
    pub hash: String,
}

/// One file, or a folder in place of one.
#[derive(Clone, Debug)]
pub struct File {
    /// What people call it.
    pub name: String,
    pub source: Source,
    pub digest: String,
    pub credentials: Option<KeyRef>,
    pub format: Format,
    /// Where it stands in the pods of prefetch and engine. Another digest of a fetched file is another
    /// path: an engine that still runs keeps its own.
    pub path: String,
}

impl Weights {
    pub fn new(plan: WeightsPlan, cache: Option<WeightsCache>) -> Self {
        let lines = plan.files().map(|file| {
            let must_be = match file.format {
                Format::Gguf => String::new(),
                Format::Folder { quantization } => format!("{quantization:?}\n"),
                Format::Any => "any\n".to_owned(),
            };
            format!("{}\n{}\n{}\n{must_be}", file.name, file.source, file.digest)
        });
        let hash = short(&lines.collect::<String>());
        Self {
            model: plan.model.map(File::new),
            adapters: plan.adapters.into_iter().map(File::new).collect(),
            cache,
            hash,
        }
    }

    /// Every file, the model first.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.model.iter().chain(&self.adapters)
    }

    /// Whether there is nothing to bring.
    pub fn is_empty(&self) -> bool {
        self.files().next().is_none()
    }

    /// Where the model stands; empty for an engine that brings its own.
    pub fn path(&self) -> &str {
        self.model.as_ref().map_or("", |model| &model.path)
    }

    /// Whether any file goes to the cache.
    pub fn is_fetched(&self) -> bool {
        self.files().any(|file| file.source.is_fetched())
    }

    /// Whether any file is in a mounted image.
    pub fn needs_images(&self) -> bool {
        self.files()
            .any(|file| matches!(file.source, Source::Image { .. }))
    }
}

impl File {
    fn new(file: WeightsFile) -> Self {
        let path = match &file.source {
            Source::Http { .. } | Source::HuggingFace { .. } => {
                let digest = place(&file.digest);
                match file.format {
                    // Some servers tell by a file's name what it is.
                    Format::Any => format!("{CACHE}/{digest}-{}", file.source.file_name()),
                    Format::Gguf | Format::Folder { .. } => format!("{CACHE}/{digest}.gguf"),
                }
            }
            Source::Snapshot { repo, .. } => format!("{CACHE}/{}-{repo}", place(&file.digest)),
            Source::Claim { name, path } => format!("{}/{path}", claim_folder(name)),
            Source::Image { reference, path } => format!("{}/{path}", image_folder(reference)),
        };
        Self {
            name: file.name,
            source: file.source,
            digest: file.digest,
            credentials: file.credentials,
            format: file.format,
            path,
        }
    }
}

/// What stands in the cache is named after its digest.
fn place(digest: &str) -> String {
    let digits = digest.trim_start_matches("sha256:");
    digits.chars().take(32).collect()
}

pub fn claim_folder(claim: &str) -> String {
    format!("/claims/{claim}")
}

pub fn image_folder(reference: &str) -> String {
    format!("/images/{}", short(reference))
}

/// Ten hex digits of a SHA-256: a name for what is too long to be one.
pub fn short(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(10).collect()
}
