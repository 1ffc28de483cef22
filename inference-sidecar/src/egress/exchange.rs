//! The loop over routes, addresses and tries: the first answer wins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    attempt::{Attempt, Started, Whole},
    failure::{self, Failure, Next, Rejection},
    route::{Candidate, Plan},
};
use crate::{
    client::Client,
    dialect::openai::{Operation, Request, Rewrite},
    error::{ApiError, Note},
    meter::Meter,
    metrics::{Metrics, Side},
};

/// A call and all that it needs.
pub struct Exchange<'a> {
    pub client: &'a Client,
    pub metrics: &'a Arc<Metrics>,
    pub request: &'a Request,
    pub caller: &'a HeaderMap,
    /// Attempts so far.
    pub attempts: u32,
    /// Time spent waiting for others so far.
    pub waited: Duration,
}

/// An answer and who gave it.
pub struct Answered {
    pub reply: Reply,
    pub candidate: Candidate,
    pub meter: Meter,
}

/// An answer in either form.
pub enum Reply {
    Whole(Whole),
    Started(Started),
}

/// Why nobody answered.
pub enum Unanswered {
    Refused(ApiError),
    /// Every route was reached, and every one says that the request is wrong.
    Rejected(Rejection),
}

impl Exchange<'_> {
    /// Tries candidates in order.
    ///
    /// # Errors
    /// Why none answered.
    pub async fn run(&mut self, plan: Plan) -> Result<Answered, Unanswered> {
        let mut notes = plan.passed;
        let mut rejection = None;
        let mut all_rejected = true;
        for candidate in plan.candidates {
            match self
                .candidate(&candidate)
                .await
                .map_err(Unanswered::Refused)?
            {
                Ok((reply, meter)) => {
                    return Ok(Answered {
                        reply,
                        candidate,
                        meter,
                    });
                }
                Err(failure) => {
                    // The detail may quote the prompt, which is no matter for logs.
                    let (model, outcome) = (&candidate.model.name, failure.outcome.as_str());
                    tracing::warn!(model, outcome, "route failed");
                    all_rejected &= failure.rejection.is_some();
                    notes.push(Note {
                        route: candidate.route,
                        model: candidate.model.name.clone(),
                        outcome: failure.outcome,
                        detail: failure.detail,
                    });
                    rejection = rejection.or(failure.rejection);
                }
            }
        }
        match rejection {
            Some(rejection) if all_rejected => Err(Unanswered::Rejected(rejection)),
            _ => Err(Unanswered::Refused(ApiError::RoutesExhausted(notes))),
        }
    }

    /// Tries one model until it answers or its tries are spent.
    async fn candidate(
        &mut self,
        candidate: &Candidate,
    ) -> Result<Result<(Reply, Meter), Failure>, ApiError> {
        let model = &candidate.model;
        let body = self.request.rewritten(&Rewrite {
            model: &model.name,
            cap: (self.request.operation == Operation::Chat)
                .then_some((model.cap_field, candidate.cap)),
            include_usage: true,
        })?;
        let mut tries = 1;
        loop {
            let mut addresses = model.endpoints.iter().peekable();
            while let Some(endpoint) = addresses.next() {
                let failure = match self.attempt(candidate, endpoint, &body).await {
                    Ok(answered) => return Ok(Ok(answered)),
                    Err(failure) => failure,
                };
                let further = addresses.peek().is_some();
                match failure::next(&failure, further, tries, model.retries, rand::random()) {
                    Next::Standby => {}
                    Next::Route => return Ok(Err(failure)),
                    Next::Retry(wait) => {
                        tokio::time::sleep(wait).await;
                        self.waited += wait;
                        break;
                    }
                }
            }
            tries += 1;
        }
    }

    async fn attempt(
        &mut self,
        candidate: &Candidate,
        endpoint: &str,
        body: &Bytes,
    ) -> Result<(Reply, Meter), Failure> {
        let (model, request) = (&candidate.model, self.request);
        self.attempts += 1;
        let mut meter = Meter::start(
            self.metrics.clone(),
            Side::Client,
            request.operation,
            model.clone(),
            request.prompt_tokens,
        );
        let attempt = Attempt {
            http: &self.client.get(),
            url: &format!("{endpoint}/v1/{}", request.operation.path()),
            body,
            caller: self.caller,
            timeout: model.timeout,
            first_token_timeout: model.first_token_timeout,
        };
        let sent = Instant::now();
        let reply = if request.stream {
            attempt.stream().await.map(Reply::Started)
        } else {
            attempt.whole().await.map(Reply::Whole)
        };
        self.waited += sent.elapsed();
        match reply {
            Ok(Reply::Whole(whole)) => {
                meter.note(whole.answer.usage, whole.answer.text_bytes);
                Ok((Reply::Whole(whole), meter))
            }
            Ok(Reply::Started(started)) => {
                meter.watch(started.source.observer());
                Ok((Reply::Started(started), meter))
            }
            Err(failure) => {
                meter.settle(failure.outcome);
                Err(failure)
            }
        }
    }
}
