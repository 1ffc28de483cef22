//! Who calls: every token is shown to the API server, and a pod may only take its own seat.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tonic::{Status, metadata::MetadataMap};

use crate::{
    control::{Seat, expiry::expiry},
    names,
};

/// Audience of data planes' tokens.
pub const AUDIENCE: &str = "aios-control";
/// How long an answer of the API server is believed, until the token's own end at most. A deleted pod's
/// token works that much longer.
const CACHED: Duration = Duration::from_mins(1);
/// Answers kept; beyond it all are dropped.
const CACHE_LIMIT: usize = 4096;

/// Questions to the API server at once. After a restart thousands of data planes attach at the same moment:
/// the lease must not wait behind them all.
const REVIEWS: usize = 16;

/// A data plane whose token is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub namespace: String,
    pub service_account: String,
    pub pod: String,
    pub pod_uid: String,
    pub expires: Option<Timestamp>,
}

pub struct Authenticator {
    client: Client,
    cache: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
    reviews: Semaphore,
}

impl Authenticator {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            cache: Mutex::default(),
            reviews: Semaphore::new(REVIEWS),
        }
    }

    /// The caller of a gRPC request.
    pub async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let token = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("send `authorization: Bearer TOKEN`"))?;
        self.of_token(token).await
    }

    /// Whose token this is.
    pub async fn of_token(&self, token: &str) -> Result<Caller, Status> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(caller) = self.cached(&digest) {
            return Ok(caller);
        }
        let status = self.review(token, AUDIENCE).await?;
        let caller = parse(&status, expiry(token)).map_err(Status::unauthenticated)?;
        self.keep(digest, caller.clone());
        Ok(caller)
    }

    /// Asks the API server whose token this is, for one audience.
    pub async fn review(&self, token: &str, audience: &str) -> Result<TokenReviewStatus, Status> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![audience.to_owned()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let turn = self.reviews.acquire().await;
        let answer = Api::<TokenReview>::all(self.client.clone())
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "token review");
                Status::unavailable("the API server does not answer")
            })?;
        drop(turn);
        Ok(answer.status.unwrap_or_default())
    }

    fn cached(&self, digest: &[u8; 32]) -> Option<Caller> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, caller) = cache.get(digest)?;
        let is_over = caller.expires.is_some_and(|end| end <= Timestamp::now());
        (at.elapsed() < CACHED && !is_over).then(|| caller.clone())
    }

    fn keep(&self, digest: [u8; 32], caller: Caller) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (at, _)| at.elapsed() < CACHED);
        if cache.len() >= CACHE_LIMIT {
            cache.clear();
        }
        cache.insert(digest, (Instant::now(), caller));
    }
}

/// Reads an answer. The token must be a service account's and bound to a pod.
fn parse(status: &TokenReviewStatus, expires: Option<Timestamp>) -> Result<Caller, String> {
    if status.authenticated != Some(true) {
        return Err("the token is not valid for audience aios-control".into());
    }
    let audiences = status.audiences.as_deref().unwrap_or_default();
    if !audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err("the token is not for audience aios-control".into());
    }
    let user = status.user.clone().unwrap_or_default();
    let name = user.username.unwrap_or_default();
    let mut parts = name.split(':');
    let (Some("system"), Some("serviceaccount"), Some(namespace), Some(account), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err("the token is not a service account's".into());
    };
    let extra = user.extra.unwrap_or_default();
    let claim = |key: &str| {
        extra
            .get(&format!("authentication.kubernetes.io/{key}"))
            .and_then(|v| v.first())
            .cloned()
    };
    let (Some(pod), Some(pod_uid)) = (claim("pod-name"), claim("pod-uid")) else {
        return Err("the token is not bound to a pod: use a projected token".into());
    };
    Ok(Caller {
        namespace: namespace.into(),
        service_account: account.into(),
        pod,
        pod_uid,
        expires,
    })
}

impl Caller {
    /// Whether both tokens are of one pod, whatever they say of their end.
    pub fn is_same_pod(&self, other: &Self) -> bool {
        self.pod_uid == other.pod_uid
            && self.namespace == other.namespace
            && self.service_account == other.service_account
    }

    /// Whether the caller's service account may take a seat.
    pub fn may_sit(&self, seat: &Seat) -> bool {
        let account = self.service_account.as_str();
        match seat {
            Seat::Gateway => account == names::GATEWAY,
            Seat::Worker => account == names::WORKER,
            Seat::Egress => account == names::GATEWAY || account == names::WORKER,
            Seat::Ingress(model) | Seat::Prefetch(model) => account == names::model_service(model),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Caller, parse};
    use crate::control::Seat;
    use k8s_openapi::api::authentication::v1::TokenReviewStatus;
    use serde_json::json;

    fn answer(username: &str, audience: &str) -> TokenReviewStatus {
        serde_json::from_value(json!({
            "authenticated": true,
            "audiences": [audience],
            "user": {"username": username, "extra": {
                "authentication.kubernetes.io/pod-name": ["gateway-0"],
                "authentication.kubernetes.io/pod-uid": ["u"],
            }},
        }))
        .unwrap()
    }

    fn caller(account: &str) -> Caller {
        let name = format!("system:serviceaccount:team:{account}");
        parse(&answer(&name, "aios-control"), None).unwrap()
    }

    #[test]
    fn a_bound_token_names_namespace_account_and_pod() {
        let caller = caller("aios-gateway");
        assert_eq!(
            (caller.namespace.as_str(), caller.pod.as_str()),
            ("team", "gateway-0")
        );
    }

    #[test]
    fn tokens_of_users_other_audiences_and_unbound_ones_are_refused() {
        assert!(parse(&answer("alice", "aios-control"), None).is_err());
        assert!(parse(&answer("system:serviceaccount:team:x", "aios"), None).is_err());
        let mut unbound = answer("system:serviceaccount:team:x", "aios-control");
        unbound.user.as_mut().unwrap().extra = None;
        assert!(parse(&unbound, None).is_err());
        assert!(parse(&TokenReviewStatus::default(), None).is_err());
    }

    #[test]
    fn a_pod_takes_only_its_own_seat() {
        assert!(caller("aios-gateway").may_sit(&Seat::Gateway));
        assert!(caller("aios-gateway").may_sit(&Seat::Egress));
        assert!(!caller("aios-worker").may_sit(&Seat::Gateway));
        assert!(caller("small-model").may_sit(&Seat::Ingress("small".into())));
        assert!(!caller("small-model").may_sit(&Seat::Ingress("large".into())));
        assert!(caller("small-model").may_sit(&Seat::Prefetch("small".into())));
        assert!(!caller("small-model").may_sit(&Seat::Prefetch("large".into())));
        assert!(!caller("default").may_sit(&Seat::Egress));
    }
}
