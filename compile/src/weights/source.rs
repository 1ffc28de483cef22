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
    /// A whole repository of the same, fetched into a folder, as in `hf://org/repo`.
    Snapshot {
        org: String,
        repo: String,
        /// 40 hex digits: a branch would move while its files are fetched.
        commit: String,
    },
    /// On a volume of the namespace, as in `pvc://claim/a.gguf`.
    Claim { name: String, path: String },
    /// In an image that is mounted, as in `oci://registry.example.com/models/a:1.0/a.gguf`.
    Image { reference: String, path: String },
}

impl Source {
    /// Parses an address and its revision; `at` is where they stand in the spec.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(at: &str, uri: &str, revision: Option<&str>) -> Result<Self, Diagnostic> {
        let wrong = |message: &str, remedy: &str| {
            Diagnostic::new(format!("{at}.uri"), format!("`{uri}` {message}"), remedy)
        };
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        if let (Some(revision), true) = (revision, scheme != "hf" && !scheme.is_empty()) {
            let message = format!("`{revision}` is of no use: only hf:// has revisions");
            let at = format!("{at}.revision");
            return Err(Diagnostic::new(at, message, "leave it out"));
        }
        match scheme {
            "http" | "https" => {
                checks::authority(&format!("{at}.uri"), uri)?;
                Ok(Self::Http {
                    url: uri.to_owned(),
                })
            }
            "hf" => hugging_face(at, rest, revision).unwrap_or_else(|| {
                Err(wrong(
                    "names no file of a repository",
                    "write hf://ORG/REPO/FILE, as in hf://org/repo/model-Q4_K_M.gguf, or hf://ORG/REPO \
                     for a whole folder",
                ))
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

    /// Where the file is fetched; `None` for folders, and for files that are mounted. `hub` is the address of Hugging
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
            Self::Snapshot { .. } | Self::Claim { .. } | Self::Image { .. } => None,
        }
    }

    /// Whether the file is downloaded, not mounted.
    pub fn is_fetched(&self) -> bool {
        !matches!(self, Self::Claim { .. } | Self::Image { .. })
    }

    /// Last segment of the file's path, or the repository's name.
    pub fn file_name(&self) -> &str {
        match self {
            Self::Http { url } => file_name(url),
            Self::HuggingFace { file, .. } => file_name(file),
            Self::Snapshot { repo, .. } => repo,
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
            Self::Snapshot { org, repo, commit } => write!(f, "hf://{org}/{repo}@{commit}"),
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

/// A file, or a whole repository where no file is named. `None` for what is neither.
fn hugging_face(
    at: &str,
    rest: &str,
    revision: Option<&str>,
) -> Option<Result<Source, Diagnostic>> {
    let mut parts = rest.splitn(3, '/');
    let (org, repo) = (segment(parts.next()?)?, segment(parts.next()?)?);
    let file = match parts.next() {
        Some(file) => Some(path(file)?),
        None => None,
    };
    let at = format!("{at}.revision");
    let source = match (file, revision) {
        (None, Some(commit)) if is_commit(commit) => Ok(Source::Snapshot {
            org,
            repo,
            commit: commit.to_owned(),
        }),
        (None, _) => Err(Diagnostic::new(
            at,
            format!("`hf://{org}/{repo}` is a whole repository, which is fetched at one commit"),
            "set revision to the commit, 40 hex digits, as the repository's history shows it; for one \
             file write hf://ORG/REPO/FILE",
        )),
        (Some(_), Some(revision)) if path(revision).is_none() => Err(Diagnostic::new(
            at,
            format!("`{revision}` is no branch, tag or commit"),
            "use only letters, digits and ._-/, as in main or a commit",
        )),
        (Some(file), revision) => Ok(Source::HuggingFace {
            org,
            repo,
            revision: revision.unwrap_or("main").to_owned(),
            file,
        }),
    };
    Some(source)
}

/// As Git writes a commit in full (SHA-1).
fn is_commit(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.len() == 40 && text.bytes().all(hex)
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
        Source::parse("spec", uri, None).ok()
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
        let source = Source::parse("spec", "hf://org/repo/a.gguf", Some("refs/pr/1")).unwrap();
        assert_eq!(
            source.url("https://hub.example").as_deref(),
            Some("https://hub.example/org/repo/resolve/refs%2Fpr%2F1/a.gguf")
        );
    }

    #[test]
    fn a_repository_without_a_file_is_a_folder_at_one_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let source = Source::parse("spec", "hf://org/repo", Some(commit)).unwrap();
        assert_eq!(source.to_string(), format!("hf://org/repo@{commit}"));
        assert_eq!((source.file_name(), source.is_fetched()), ("repo", true));
        for revision in [
            None,
            Some("main"),
            Some(&commit[1..]),
            Some(&*commit.to_uppercase()),
        ] {
            let found = Source::parse("spec", "hf://org/repo", revision).unwrap_err();
            assert_eq!(found.path, "spec.revision");
        }
    }
}
