//! What a failed attempt means, and what is done about it. Pure.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::{
    error::{ApiError, SHOULD_RETRY},
    face::{Face, retry_after},
    outcome::Outcome,
};

/// Longest wait that a server may ask for before the next route is the better answer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(2);
/// Nodes learn so late of a group that is ready, or has taken over.
const SPREAD: Duration = Duration::from_secs(5);
/// Longest wait between two looks whether they know.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// A failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub outcome: Outcome,
    /// For the error body: without addresses, keys or text of documents.
    pub detail: String,
    pub retry_after: Option<Duration>,
    /// The refusal as it came, if the upstream says that the request is wrong.
    pub rejection: Option<Rejection>,
    /// Why the call was held in vain; asking again later helps.
    pub held: Option<ApiError>,
    /// Whether it was answered over a connection that was there before the call. One that is dialled anew may
    /// lead elsewhere.
    pub over_kept: bool,
}

/// An upstream's refusal, forwarded when no route accepts the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub status: StatusCode,
    pub body: Bytes,
}

/// How long one route is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Its addresses failed of late, and others are left: once.
    Once,
    /// As often as its retries say.
    Retries,
    /// No other is left, and groups of this cluster serve it: also while nodes may not know yet of the one that
    /// is ready.
    UntilKnown,
}

/// How often one route was tried so far, and since when it fails.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    pub tries: u32,
    /// Tries that nobody took while a group may be there that nodes do not know yet.
    pub looks: u32,
    pub failing_for: Duration,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same model after a wait.
    Retry(Duration),
    /// The same, which is no further try: nobody took the last one.
    Look(Duration),
    /// The next route.
    Route,
}

/// Decides. `jitter` is in `0.0..1.0`.
pub fn next(
    failure: &Failure,
    tried: Tried,
    patience: Patience,
    retries: u32,
    jitter: f64,
) -> Next {
    let may_be_there = patience == Patience::UntilKnown && tried.failing_for < SPREAD;
    if may_be_there && failure.outcome == Outcome::Unreachable {
        return Next::Look(backoff(tried.looks + 1, jitter).min(LAST_LOOK));
    }
    let retries = if patience == Patience::Once {
        0
    } else {
        retries
    };
    let wait = failure
        .retry_after
        .unwrap_or_else(|| backoff(tried.tries, jitter));
    if failure.may_pass() && tried.tries <= retries && wait <= LONGEST_WAIT {
        Next::Retry(wait)
    } else {
        Next::Route
    }
}

/// Doubles from the first back-off; the jitter keeps callers from coming back in step.
fn backoff(tries_done: u32, jitter: f64) -> Duration {
    let doubled = FIRST_BACKOFF * 2_u32.saturating_pow(tries_done.saturating_sub(1).min(10));
    doubled
        .min(LAST_BACKOFF)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

// === impl Failure ===

impl Failure {
    /// A failure on this side of the upstream's answer.
    pub fn of(error: &ApiError) -> Self {
        Self {
            outcome: error.outcome(),
            detail: error.to_string(),
            retry_after: None,
            rejection: None,
            held: None,
            over_kept: false,
        }
    }

    /// The same of an answer that had begun: its prompt was read, and may be charged.
    pub fn of_begun(mut self) -> Self {
        if self.outcome == Outcome::Failed {
            self.outcome = Outcome::Cut;
        }
        self
    }

    /// A call that was held in vain.
    pub fn held(error: ApiError) -> Self {
        let failure = Self::of(&error);
        Self {
            held: Some(error),
            ..failure
        }
    }

    /// A call that the model cannot be asked.
    pub fn untranslatable(error: &ApiError) -> Self {
        Self {
            outcome: Outcome::Rejected,
            rejection: Some(Rejection {
                status: error.status(),
                body: error.body().to_string().into(),
            }),
            ..Self::of(error)
        }
    }

    /// Whether another try may end otherwise.
    pub fn may_pass(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Unreachable | Outcome::RateLimited | Outcome::Failed | Outcome::Cut
        )
    }

    /// Whether the call is the next address's to answer: a standby is there for groups that die, not for those
    /// that have their hands full.
    pub fn leads_on(&self, from_next_revision: bool) -> bool {
        self.may_pass() && (from_next_revision || self.outcome != Outcome::RateLimited)
    }

    /// Whether the same address may lead to another who takes the call.
    pub fn is_stale(&self) -> bool {
        self.over_kept && self.outcome == Outcome::Unreachable
    }

    /// What a model's addresses came to, one after the other: somebody who was asked and failed says more than
    /// nobody.
    pub fn or_later(self, later: Self) -> Self {
        if later.outcome == Outcome::Unreachable && self.outcome != Outcome::Unreachable {
            self
        } else {
            later
        }
    }

    /// A failure that the upstream answered with.
    pub fn from_answer(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let error = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|mut body| body.get_mut("error").map(Value::take))
            .unwrap_or_default();
        let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
        let hopeless = headers
            .get(SHOULD_RETRY)
            .is_some_and(|value| value == "false");
        let outcome = outcome(status, text("code"), hopeless);
        let rejected = matches!(outcome, Outcome::Rejected | Outcome::ContextExceeded);
        Self {
            outcome,
            detail: format!("status {}: {}", status.as_u16(), cut(text("message"))),
            retry_after: retry_after(headers),
            rejection: (rejected && error.is_object()).then_some(Rejection { status, body }),
            held: None,
            over_kept: false,
        }
    }
}

fn outcome(status: StatusCode, code: &str, hopeless: bool) -> Outcome {
    match (status.as_u16(), code) {
        (_, "context_length_exceeded") => Outcome::ContextExceeded,
        (_, "upstream_unreachable" | "not_configured") => Outcome::Unreachable,
        (_, "upstream_timeout") => Outcome::Timeout,
        (_, "upstream_malformed") => Outcome::Malformed,
        (_, "stream_cut" | "upstream_gone") => Outcome::Cut,
        (429 | 500..=599, _) if hopeless => Outcome::Refused,
        (429, _) => Outcome::RateLimited,
        (401 | 403 | 404, _) => Outcome::Refused,
        (408 | 409 | 500..=599, _) => Outcome::Failed,
        (400..=499, _) => Outcome::Rejected,
        _ => Outcome::Malformed,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

impl Rejection {
    /// As the caller's dialect has it.
    pub fn into_answer(self, face: Face) -> Response {
        let openai = serde_json::from_slice(&self.body).unwrap_or_default();
        let response = (self.status, self.body).into_response();
        let mut response = face.shaped(response, &openai);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};
    use rstest::rstest;

    use super::{Failure, Next, Patience, Tried, next};
    use crate::Outcome;

    #[rstest]
    #[case(429, "", None, Outcome::RateLimited)]
    #[case(429, "insufficient_quota", Some("false"), Outcome::Refused)]
    #[case(500, "", None, Outcome::Failed)]
    #[case(502, "upstream_unreachable", Some("true"), Outcome::Unreachable)]
    #[case(503, "not_configured", Some("true"), Outcome::Unreachable)]
    #[case(502, "credentials_refused", Some("false"), Outcome::Refused)]
    #[case(504, "upstream_timeout", Some("false"), Outcome::Timeout)]
    #[case(502, "stream_cut", Some("false"), Outcome::Cut)]
    #[case(502, "upstream_gone", Some("true"), Outcome::Cut)]
    #[case(403, "caller_not_allowed", Some("false"), Outcome::Refused)]
    #[case(404, "model_not_found", None, Outcome::Refused)]
    #[case(400, "context_length_exceeded", None, Outcome::ContextExceeded)]
    #[case(400, "unsupported_by_model", Some("false"), Outcome::Rejected)]
    #[case(422, "", None, Outcome::Rejected)]
    #[case(302, "", None, Outcome::Malformed)]
    fn every_answer_has_its_outcome(
        #[case] status: u16,
        #[case] code: &str,
        #[case] retry: Option<&str>,
        #[case] expected: Outcome,
    ) {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert("x-should-retry", retry.parse().unwrap());
        }
        let body = format!(r#"{{"error":{{"message":"m","code":"{code}"}}}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            Failure::from_answer(status, &headers, body.into()).outcome,
            expected
        );
    }

    fn failure(outcome: Outcome, retry_after: Option<u64>) -> Failure {
        Failure {
            outcome,
            detail: String::new(),
            retry_after: retry_after.map(Duration::from_millis),
            rejection: None,
            held: None,
            over_kept: false,
        }
    }

    #[rstest]
    #[case::unreachable(Outcome::Unreachable, None, 1, Next::Retry(Duration::from_millis(100)))]
    #[case::doubled(Outcome::Failed, None, 2, Next::Retry(Duration::from_millis(200)))]
    #[case::spent(Outcome::Failed, None, 3, Next::Route)]
    #[case::asked(
        Outcome::RateLimited,
        Some(1500),
        1,
        Next::Retry(Duration::from_millis(1500))
    )]
    #[case::too_long(Outcome::RateLimited, Some(60_000), 1, Next::Route)]
    #[case::slow(Outcome::Timeout, None, 1, Next::Route)]
    #[case::rejected(Outcome::Rejected, None, 1, Next::Route)]
    fn a_failure_leads_on(
        #[case] outcome: Outcome,
        #[case] retry_after: Option<u64>,
        #[case] tries_done: u32,
        #[case] expected: Next,
    ) {
        let failure = failure(outcome, retry_after);
        let tried = tried(tries_done, 0, Duration::from_secs(1));
        assert_eq!(next(&failure, tried, Patience::Retries, 2, 1.0), expected);
        let once = next(&failure, tried, Patience::Once, 2, 1.0);
        assert_eq!(once, Next::Route);
    }

    fn tried(tries: u32, looks: u32, failing_for: Duration) -> Tried {
        Tried {
            tries,
            looks,
            failing_for,
        }
    }

    #[rstest]
    #[case::at_first(Outcome::Unreachable, 0, 0, Next::Look(Duration::from_millis(100)))]
    #[case::often(Outcome::Unreachable, 9, 4900, Next::Look(Duration::from_millis(250)))]
    #[case::in_vain(Outcome::Unreachable, 9, 5000, Next::Route)]
    #[case::asked(Outcome::Failed, 0, 0, Next::Route)]
    fn a_group_that_may_be_ready_is_looked_for_as_long_as_nodes_take_to_learn(
        #[case] outcome: Outcome,
        #[case] looks: u32,
        #[case] failing_for_ms: u64,
        #[case] expected: Next,
    ) {
        let tried = tried(1, looks, Duration::from_millis(failing_for_ms));
        let failure = failure(outcome, None);
        let next = next(&failure, tried, Patience::UntilKnown, 0, 1.0);
        assert_eq!(next, expected);
    }

    #[test]
    fn who_was_asked_and_failed_says_more_than_nobody() {
        let of = |outcome| failure(outcome, None);
        let told = |first, later| of(first).or_later(of(later)).outcome;
        let (nobody, failed, cut) = (Outcome::Unreachable, Outcome::Failed, Outcome::Cut);
        assert_eq!(told(failed, nobody), failed);
        assert_eq!(told(nobody, failed), failed);
        assert_eq!(told(cut, failed), failed);
        assert_eq!(told(nobody, nobody), nobody);
    }

    #[test]
    fn a_busy_group_is_no_matter_for_its_standby() {
        let busy = failure(Outcome::RateLimited, None);
        assert!(!busy.leads_on(false) && busy.leads_on(true));
        assert!(failure(Outcome::Cut, None).leads_on(false));
        assert!(!failure(Outcome::Timeout, None).leads_on(true));
    }
}
