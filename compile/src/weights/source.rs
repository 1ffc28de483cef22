//! Where a file comes from.

use std::fmt;

use crate::{Diagnostic, checks};

/// Where a file comes from, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Fetched over HTTP, as in `https://models.example.com/a.gguf`.
    Http { url: String },
    /// Fetched from Hugging Face or a mirror of it, as in `hf://org/repo/a.gguf`.
    HuggingFace {
        org: String,
        repo: String,
        /// Branch, tag or commit.
        revision: String,
        /// Path in the repository.
        file: String,
    },
    /// On a volume of the namespace, as in `pvc://claim/a.gguf`.
    Claim { name: String, path: String },
    /// In an image that is mounted, as in `oci://registry.example.com/models/a:1.0/a.gguf`.
    Image { reference: String, path: String },
}

impl Source {
    /// Parses an address; `at` is where it stands in the spec.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(at: &str, uri: &str) -> Result<Self, Diagnostic> {
        let wrong =
            |message: &str, remedy: &str| Diagnostic::new(at, format!("`{uri}` {message}"), remedy);
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        match scheme {
            "http" | "https" => {
                checks::authority(at, uri)?;
                Ok(Self::Http {
                    url: uri.to_owned(),
                })
            }
            "hf" => hugging_face(rest).ok_or_else(|| {
                wrong(
                    "names no file of a repository",
                    "write hf://ORG/REPO/FILE, as in hf://org/repo/model-Q4_K_M.gguf",
                )
            }),
            "pvc" => claim(rest).ok_or_else(|| {
                wrong(
                    "names no file on a claim",
                    "write pvc://CLAIM/FILE, as in pvc://models/model-Q4_K_M.gguf: the claim is of \
                     this namespace",
                )
            }),
            "oci" => image(rest).ok_or_else(|| {
                wrong(
                    "names no file in an image",
                    "write oci://REGISTRY/IMAGE:TAG/FILE or oci://REGISTRY/IMAGE@sha256:…/FILE, as \
                     in oci://registry.example.com/models/small:1.0/model-Q4_K_M.gguf",
                )
            }),
            _ => Err(wrong(
                "has no scheme that AIOS knows",
                "begin with https://, http://, hf://, pvc:// or oci://",
            )),
        }
    }

    /// The same file at another revision; `at` is where the revision stands in the spec.
    pub(super) fn at(self, at: &str, revision: &str) -> Result<Self, Diagnostic> {
        let Self::HuggingFace {
            org, repo, file, ..
        } = self
        else {
            return Err(Diagnostic::new(
                at,
                "only hf:// has revisions",
                "leave it out",
            ));
        };
        if path(revision).is_none() {
            return Err(Diagnostic::new(
                at,
                format!("`{revision}` is no branch, tag or commit"),
                "use only letters, digits and ._-/, as in main or a commit",
            ));
        }
        Ok(Self::HuggingFace {
            org,
            repo,
            file,
            revision: revision.to_owned(),
        })
    }

    /// Where the file is fetched; `None` for files that are mounted. `hub` is the address of Hugging
    /// Face or its mirror, without a trailing slash.
    pub fn url(&self, hub: &str) -> Option<String> {
        match self {
            Self::Http { url } => Some(url.clone()),
            Self::HuggingFace {
                org,
                repo,
                revision,
                file,
            } => {
                let revision = revision.replace('/', "%2F");
                Some(format!("{hub}/{org}/{repo}/resolve/{revision}/{file}"))
            }
            Self::Claim { .. } | Self::Image { .. } => None,
        }
    }

    /// Whether the file is downloaded, not mounted.
    pub fn is_fetched(&self) -> bool {
        matches!(self, Self::Http { .. } | Self::HuggingFace { .. })
    }

    /// Last segment of the file's path.
    pub fn file_name(&self) -> &str {
        match self {
            Self::Http { url } => file_name(url),
            Self::HuggingFace { file, .. } => file_name(file),
            Self::Claim { path, .. } | Self::Image { path, .. } => file_name(path),
        }
    }
}

/// The address, whole: two sources are the same if their texts are.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url } => f.write_str(url),
            Self::HuggingFace {
                org,
                repo,
                revision,
                file,
            } => write!(f, "hf://{org}/{repo}@{revision}/{file}"),
            Self::Claim { name, path } => write!(f, "pvc://{name}/{path}"),
            Self::Image { reference, path } => write!(f, "oci://{reference}/{path}"),
        }
    }
}

/// Last segment of an address, without its query.
pub fn file_name(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

fn hugging_face(rest: &str) -> Option<Source> {
    let mut parts = rest.splitn(3, '/');
    let (org, repo, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Source::HuggingFace {
        org: segment(org)?,
        repo: segment(repo)?,
        revision: "main".to_owned(),
        file: path(file)?,
    })
}

fn claim(rest: &str) -> Option<Source> {
    let (name, file) = rest.split_once('/')?;
    let edges = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let legal = name.starts_with(edges)
        && name.ends_with(edges)
        && name.len() <= 253
        && name.chars().all(|c| edges(c) || c == '-' || c == '.');
    legal.then_some(Source::Claim {
        name: name.to_owned(),
        path: path(file)?,
    })
}

/// The reference ends with its tag or digest: the first segment after the registry that has one.
fn image(rest: &str) -> Option<Source> {
    let (registry, _) = rest.split_once('/')?;
    let tagged = rest.get(registry.len()..)?;
    let end = registry.len() + tagged.find([':', '@'])?;
    let length = rest.get(end..)?.find('/')?;
    let (reference, file) = rest.split_at_checked(end + length)?;
    let repository = rest.get(..end)?;
    let tag = rest.get(end + 1..end + length)?;
    let tag = tag.strip_prefix("sha256:").unwrap_or(tag);
    let legal = |text: &str, also: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let parts = repository.split('/').all(|part| legal(part, "._-:"));
    (parts && legal(tag, "._-")).then_some(Source::Image {
        reference: reference.to_owned(),
        path: path(file.strip_prefix('/')?)?,
    })
}

/// A relative path that stays below where it starts.
fn path(text: &str) -> Option<String> {
    text.split('/')
        .all(|part| segment(part).is_some())
        .then(|| text.to_owned())
}

fn segment(text: &str) -> Option<String> {
    let legal = !matches!(text, "" | "." | "..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-+=@".contains(c));
    legal.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Source;

    fn parse(uri: &str) -> Option<Source> {
        Source::parse("spec.uri", uri).ok()
    }

    #[test]
    fn each_scheme_is_read_into_its_parts() {
        let image = |reference: &str, path: &str| {
            Some(Source::Image {
                reference: reference.into(),
                path: path.into(),
            })
        };
        assert_eq!(
            parse("hf://org/repo/sub/a.gguf"),
            Some(Source::HuggingFace {
                org: "org".into(),
                repo: "repo".into(),
                revision: "main".into(),
                file: "sub/a.gguf".into()
            })
        );
        assert_eq!(
            parse("pvc://models.v1/sub/a.gguf"),
            Some(Source::Claim {
                name: "models.v1".into(),
                path: "sub/a.gguf".into()
            })
        );
        assert_eq!(
            parse("oci://localhost:5000/models/small:1.0/sub/a.gguf"),
            image("localhost:5000/models/small:1.0", "sub/a.gguf")
        );
        let digest = format!("r.example/small@sha256:{}", "0".repeat(64));
        assert_eq!(
            parse(&format!("oci://{digest}/a.gguf")),
            image(&digest, "a.gguf")
        );
    }

    #[test]
    fn what_names_no_single_file_is_refused() {
        for uri in [
            "a.gguf",
            "ftp://a/b.gguf",
            "https://user:pass@a/b.gguf",
            "hf://org/repo",
            "hf://org/repo/",
            "hf://org//a.gguf",
            "hf://org/repo/../a.gguf",
            "pvc://models",
            "pvc://models/../a.gguf",
            "pvc://Models/a.gguf",
            "oci://r.example/small/a.gguf",
            "oci://small:1.0/a.gguf",
            "oci://r.example/small:1.0",
            "oci://r.example/small:1.0/",
        ] {
            assert_eq!(parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_revision_with_a_slash_stays_one_segment_of_the_hubs_address() {
        let source = parse("hf://org/repo/a.gguf").unwrap();
        let source = source.at("spec.revision", "refs/pr/1").unwrap();
        assert_eq!(
            source.url("https://hub.example").as_deref(),
            Some("https://hub.example/org/repo/resolve/refs%2Fpr%2F1/a.gguf")
        );
    }
}
