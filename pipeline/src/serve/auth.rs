//! Who calls, and what they may: TokenReview through the operator, RBAC in the namespace.

use std::time::Duration;

use aios_runtime::control::Operator;
use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
use sha2::{Digest, Sha256};

/// What may be asked for: verbs on `writingpipelines/documents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Create,
    Preview,
    Approve,
    Publish,
    /// What became of a document outside.
    Report,
    Audit,
    Get,
    List,
    /// Erasure: no auditor or reader may destroy what they read.
    Delete,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
}

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("no bearer token: send `Authorization: Bearer TOKEN` with audience `aios`")]
    NoToken,
    #[error("the token is not valid for audience `aios`")]
    BadToken,
    #[error(
        "`{user}` may not {verb} documents of pipeline `{pipeline}`: a Role needs verb `{verb}` on `writingpipelines/documents`"
    )]
    Forbidden {
        user: String,
        verb: &'static str,
        pipeline: String,
    },
    #[error("callers cannot be checked now: {0}")]
    Unavailable(String),
}

/// Answers both questions.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whose token this is.
    async fn authenticate(&self, token: &str) -> Result<User, AuthError>;
    /// Whether they may do this with the documents of a pipeline.
    async fn allowed(&self, user: &User, verb: Verb, pipeline: &str) -> Result<bool, AuthError>;
}

/// The operator for tokens, the API server for RBAC; answers are kept shortly.
pub struct KubeAuthorizer {
    operator: Operator,
    reviews: Api<LocalSubjectAccessReview>,
    namespace: String,
    users: Cache<[u8; 32], User>,
    verdicts: Cache<(String, Verb, String), bool>,
}

impl Verb {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Preview => "preview",
            Self::Approve => "approve",
            Self::Publish => "publish",
            Self::Report => "report",
            Self::Audit => "audit",
            Self::Get => "get",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

impl KubeAuthorizer {
    pub fn new(operator: Operator, client: Client, namespace: &str) -> Self {
        let cache = |seconds| (Duration::from_secs(seconds), 10_000);
        let (users, verdicts) = (cache(60), cache(10));
        Self {
            operator,
            reviews: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            users: Cache::builder()
                .time_to_live(users.0)
                .max_capacity(users.1)
                .build(),
            verdicts: Cache::builder()
                .time_to_live(verdicts.0)
                .max_capacity(verdicts.1)
                .build(),
        }
    }

    async fn ask(&self, user: &User, verb: Verb, pipeline: &str) -> Result<bool, AuthError> {
        let attributes = ResourceAttributes {
            group: Some(aios_crds::GROUP.to_owned()),
            resource: Some("writingpipelines".to_owned()),
            subresource: Some("documents".to_owned()),
            name: Some(pipeline.to_owned()),
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.as_str().to_owned()),
            ..ResourceAttributes::default()
        };
        let mut review = LocalSubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                groups: Some(user.groups.clone()),
                resource_attributes: Some(attributes),
                uid: Some(user.uid.clone()),
                user: Some(user.name.clone()),
                ..SubjectAccessReviewSpec::default()
            },
            ..LocalSubjectAccessReview::default()
        };
        review.metadata.namespace = Some(self.namespace.clone());
        let answer = self
            .reviews
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| AuthError::Unavailable(error.to_string()))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

#[async_trait]
impl Authorizer for KubeAuthorizer {
    async fn authenticate(&self, token: &str) -> Result<User, AuthError> {
        // The cache never holds a token.
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(user) = self.users.get(&key).await {
            return Ok(user);
        }
        let answer = self
            .operator
            .review_token(token)
            .await
            .map_err(|status| AuthError::Unavailable(status.message().to_owned()))?;
        if !answer.authenticated {
            return Err(AuthError::BadToken);
        }
        let user = User {
            name: answer.username,
            uid: answer.uid,
            groups: answer.groups,
        };
        self.users.insert(key, user.clone()).await;
        Ok(user)
    }

    async fn allowed(&self, user: &User, verb: Verb, pipeline: &str) -> Result<bool, AuthError> {
        let key = (user.name.clone(), verb, pipeline.to_owned());
        if let Some(allowed) = self.verdicts.get(&key).await {
            return Ok(allowed);
        }
        let allowed = self.ask(user, verb, pipeline).await?;
        self.verdicts.insert(key, allowed).await;
        Ok(allowed)
    }
}
