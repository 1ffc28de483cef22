use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Why the gateway could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "namespace {namespace} has no ConfigMap aios-ca with the key ca.crt: its first \
         WritingPipeline makes it; apply one and see `kubectl aios doctor`"
    )]
    NoCa { namespace: String },
    #[error(
        "ca.crt of ConfigMap aios-ca cannot be used: {0}; delete it and the operator writes it anew"
    )]
    BadCa(String),
    #[error(
        "namespace {namespace} has no Service aios-gateway: its first WritingPipeline makes it; \
         apply one and see `kubectl aios status`"
    )]
    NoGateway { namespace: String },
    #[error(
        "no pod of Service aios-gateway in {namespace} is ready: see `kubectl -n {namespace} get \
         pods` and `kubectl aios doctor`"
    )]
    NotReady { namespace: String },
    #[error("{doing}: {error}")]
    Kubernetes {
        doing: String,
        error: Box<kube::Error>,
    },
    #[error(
        "the token holds characters that no token has: pass what `kubectl create token` prints"
    )]
    BadToken,
    #[error("TLS with {name}: {error}")]
    Tls { name: String, error: String },
    #[error("the gateway did not answer: {0}")]
    Transport(String),
    #[error("the gateway did not answer within {0} s")]
    TimedOut(u64),
    #[error("{0}")]
    Refused(Box<Problem>),
    #[error("the gateway's answer to {what} is not what this version expects: {error}")]
    Answer { what: String, error: String },
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
}

/// A refusal as the gateway words it (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub detail: Option<String>,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Members beyond those of the RFC, as the digest that stands now.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl ClientError {
    pub(super) fn kubernetes(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        |error| Self::Kubernetes {
            doing,
            error: Box::new(error),
        }
    }

    /// The HTTP status, where the gateway refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            _ => None,
        }
    }
}

impl Problem {
    /// Reads an error body; one that is no problem document keeps its words.
    pub(super) fn read(status: http::StatusCode, body: &[u8]) -> Self {
        let mut problem = serde_json::from_slice::<Self>(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(body).trim().to_owned();
            Self {
                detail: Some(text).filter(|text| !text.is_empty()),
                ..Self::default()
            }
        });
        problem.status = status.as_u16();
        if problem.title.is_empty() {
            status
                .canonical_reason()
                .unwrap_or("refused")
                .clone_into(&mut problem.title);
        }
        problem
    }

    fn hint(&self) -> Option<&'static str> {
        match self.status {
            401 => Some(
                "pass --as-service-account NAME, or --token from `kubectl create token NAME --audience aios`",
            ),
            // A refused author lacks no right: only the bare refusal is told where rights come from.
            403 if self.title == "forbidden" => Some(
                "bind the caller to ClusterRole aios-author, aios-reviewer or aios-auditor, or to a Role of your own",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the gateway refused ({}): {}", self.status, self.title)?;
        if let Some(detail) = self
            .detail
            .as_deref()
            .filter(|detail| *detail != self.title)
        {
            write!(f, ": {detail}")?;
        }
        for name in ["remedy", "field", "currentDigest"] {
            if let Some(Value::String(text)) = self.more.get(name) {
                write!(f, "; {name}: {text}")?;
            }
        }
        if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}
