//! The caller of a request, and what they may.

use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};

use crate::serve::{
    auth::{AuthError, User, Verb},
    gateway::Gateway,
    problem::Problem,
};

/// A caller whose token was checked.
pub struct Caller(pub User);

impl FromRequestParts<Gateway> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Gateway,
    ) -> Result<Self, Self::Rejection> {
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .ok_or(AuthError::NoToken)?;
        Ok(Self(gateway.authorizer.authenticate(token).await?))
    }
}

impl Caller {
    /// Turns the caller away unless RBAC lets them. `*` stands for all pipelines.
    pub async fn may(&self, gateway: &Gateway, verb: Verb, pipeline: &str) -> Result<(), Problem> {
        if gateway.authorizer.allowed(&self.0, verb, pipeline).await? {
            return Ok(());
        }
        let (user, pipeline) = (self.0.name.clone(), pipeline.to_owned());
        Err(AuthError::Forbidden {
            user,
            verb: verb.as_str(),
            pipeline,
        }
        .into())
    }
}
