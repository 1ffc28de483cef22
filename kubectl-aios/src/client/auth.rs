//! Who asks: a bearer token with audience `aios`, given or requested for a ServiceAccount.

use std::{fmt, time::Duration};

use http::HeaderValue;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::Mutex, time::Instant};

use super::error::ClientError;

/// Audience that the gateway asks of tokens.
pub const AUDIENCE: &str = "aios";
/// Life of a requested token; ten minutes is the least the API server grants.
const LIFE: Duration = Duration::from_hours(1);
/// A token is renewed when it lives for less than this.
const SPARE: Duration = Duration::from_mins(5);

/// Who the gateway is asked as.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// A token is requested for this ServiceAccount of the namespace, and renewed.
    ServiceAccount(String),
    /// A token as given.
    Token(String),
}

/// Tokens must not reach logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(name) => write!(f, "ServiceAccount({name})"),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

pub(super) struct Credentials {
    source: Source,
}

enum Source {
    Given(HeaderValue),
    Requested {
        accounts: Box<Api<ServiceAccount>>,
        name: String,
        kept: Mutex<Option<(HeaderValue, Instant)>>,
    },
}

impl Credentials {
    pub(super) fn new(client: Client, namespace: &str, auth: Auth) -> Result<Self, ClientError> {
        let source = match auth {
            Auth::Token(token) => Source::Given(bearer(&token)?),
            Auth::ServiceAccount(name) => Source::Requested {
                accounts: Box::new(Api::namespaced(client, namespace)),
                name,
                kept: Mutex::new(None),
            },
        };
        Ok(Self { source })
    }

    pub(super) fn given(token: &str) -> Result<Self, ClientError> {
        Ok(Self {
            source: Source::Given(bearer(token)?),
        })
    }

    /// The `authorization` header of the next request.
    pub(super) async fn header(&self) -> Result<HeaderValue, ClientError> {
        let (accounts, name, kept) = match &self.source {
            Source::Given(header) => return Ok(header.clone()),
            Source::Requested {
                accounts,
                name,
                kept,
            } => (accounts, name, kept),
        };
        let mut kept = kept.lock().await;
        if let Some((header, renew)) = kept.as_ref()
            && Instant::now() < *renew
        {
            return Ok(header.clone());
        }
        let header = bearer(&request(accounts, name).await?)?;
        *kept = Some((header.clone(), Instant::now() + LIFE - SPARE));
        Ok(header)
    }
}

async fn request(accounts: &Api<ServiceAccount>, name: &str) -> Result<String, ClientError> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![AUDIENCE.to_owned()],
            expiration_seconds: i64::try_from(LIFE.as_secs()).ok(),
            bound_object_ref: None,
        },
        ..TokenRequest::default()
    };
    accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .map_err(ClientError::kubernetes(format!(
            "cannot request a token for ServiceAccount {name} (create it, and allow yourself \
             `create` on serviceaccounts/token)"
        )))?
        .status
        .map(|status| status.token)
        .ok_or(ClientError::BadToken)
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| ClientError::BadToken)?;
    header.set_sensitive(true);
    Ok(header)
}
