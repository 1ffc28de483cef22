//! What can go wrong between the operator and the API server, and what users are told of it.

use aios_crds::Reason;

/// What was asked of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Create,
    Apply,
    Delete,
    Patch,
    /// Apply on the status subresource.
    Status,
}

impl Verb {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Patch => "patch",
            Self::Status => "status",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {} {kind} {name}: {source}", verb.as_str())]
    Api {
        verb: Verb,
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("cannot issue a certificate: {0}")]
    Certificate(#[from] crate::ca::CaError),
    #[error("cannot write as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("no randomness: {0}")]
    Randomness(&'static str),
}

/// Classes of errors: labels of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Another writer was faster.
    Conflict,
    /// The operator's RBAC does not allow it.
    Forbidden,
    /// The API server refuses the object.
    Invalid,
    /// The API server cannot be reached or is overloaded.
    Unavailable,
    Internal,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl Error {
    pub fn api(verb: Verb, kind: &str, name: &str, source: kube::Error) -> Self {
        Self::Api {
            verb,
            kind: kind.into(),
            name: name.into(),
            source: Box::new(source),
        }
    }

    pub fn class(&self) -> Class {
        let Self::Api { source, .. } = self else {
            return Class::Internal;
        };
        match source.as_ref() {
            kube::Error::Api(status) => match status.code {
                409 => Class::Conflict,
                401 | 403 => Class::Forbidden,
                400 | 404 | 405 | 413 | 415 | 422 => Class::Invalid,
                _ => Class::Unavailable,
            },
            _ => Class::Unavailable,
        }
    }

    /// The one mapping from errors to what a condition says.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Api { .. } => Reason::ApiError,
            // Tried again; only the log can tell more.
            Self::Certificate(_) | Self::Encode(_) | Self::Randomness(_) => Reason::Progressing,
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
