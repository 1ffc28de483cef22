//! The loop over routes, addresses and tries: the first answer wins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    asked::Asked,
    attempt::{Attempt, Started, Whole},
    cache::{self, Cache, Origin},
    call::Call,
    demand::{Calling, Demand},
    failure::{self, Failure, Next, Patience, Tried},
    hedge::Hedges,
    hold::{Holds, Pass, Place},
    payer::Payer,
    retries::Retries,
    route::{Candidate, Plan},
    traces,
    unanswered::Unanswered,
};
use crate::{
    breaker::Breakers,
    client::Client,
    config::Live,
    dialect::openai::{CapField, Operation, Request, Rewrite},
    error::{ApiError, Note},
    meter::{Account, Meter},
    metrics::{Metrics, Side},
    money::{Funds, Money, Reserved, Sent},
    outcome::Outcome,
    replicas::Picked,
    snapshot::Model,
    trace,
};

/// A call, whoever answers it.
pub struct Question {
    pub call: Call,
    pub asked: Asked,
    pub caller: HeaderMap,
    /// Where the call stands among a hundred, of which the next revision takes some.
    pub stand: u32,
    /// Where spans of its attempts stand; none where nobody keeps them.
    pub within: Option<trace::Place>,
    /// Whose answers it may be given; none asks a model.
    pub sharing: Option<cache::Terms>,
}

/// A call and all that it needs. Borrows nothing: one that is shared outlives who began it.
#[derive(Clone)]
pub struct Exchange {
    pub live: Live,
    pub client: Arc<Client>,
    pub metrics: Arc<Metrics>,
    pub holds: Arc<Holds>,
    pub breakers: Arc<Breakers>,
    pub retries: Arc<Retries>,
    pub hedges: Arc<Hedges>,
    pub demand: Arc<Demand>,
    pub cache: Arc<Cache>,
    pub money: Arc<Money>,
    /// What pays, beside the model's own budget.
    pub funds: Funds,
    pub question: Arc<Question>,
    /// Attempts so far.
    pub attempts: u32,
    /// Time spent waiting for others so far.
    pub waited: Duration,
    /// What this model is sent, where that was made already to look for an answer that is there.
    pub rewritten: Option<(Arc<Model>, Bytes)>,
}

/// What is sent, and where to.
#[derive(Clone, Copy)]
pub struct To<'a> {
    pub first: &'a str,
    /// Where a call goes that is sent a second time.
    pub again: &'a str,
    pub body: &'a Bytes,
}

/// An answer and who gave it.
pub struct Answered {
    pub given: Given,
    pub candidate: Candidate,
    /// How the model was asked.
    pub operation: Operation,
}

/// An answer, and who accounts for it.
pub struct Given {
    pub reply: Reply,
    pub payer: Payer,
    pub under_way: UnderWay,
    /// Where it is from; none where nothing is used again.
    pub origin: Option<Origin>,
}

/// Kept until the answer is whole: the call is under way.
pub type UnderWay = (Option<Calling>, Option<Pass>);

/// An answer in either form.
pub enum Reply {
    Whole(Whole),
    Started(Box<Started>),
}

impl Exchange {
    /// Tries candidates in order.
    ///
    /// # Errors
    /// Why none answered.
    pub async fn run(&mut self, plan: Plan) -> Result<Answered, Unanswered> {
        let mut notes = plan.passed;
        let mut rejection = None;
        let mut all_rejected = true;
        let mut held = None;
        // Routes whose addresses all fail are the last to be tried, and once if there are others: what
        // comes back is waited for as ever where nothing else is left.
        let (working, failing): (Vec<_>, Vec<_>) = plan
            .candidates
            .into_iter()
            .partition(|candidate| self.works(candidate));
        let others_work = !working.is_empty();
        let working = working.into_iter().map(|candidate| (candidate, false));
        let failing = failing
            .into_iter()
            .map(|candidate| (candidate, others_work));
        let mut candidates = working.chain(failing).peekable();
        while let Some((candidate, once)) = candidates.next() {
            let is_last = candidates.peek().is_none();
            let patience = match (once, is_last && candidate.model.hosted.is_none()) {
                (true, _) => Patience::Once,
                (false, false) => Patience::Retries,
                (false, true) => Patience::UntilKnown,
            };
            match self
                .answer(&candidate, patience)
                .await
                .map_err(Unanswered::Refused)?
            {
                Ok(given) => {
                    let asked = self.question.asked.of(&candidate.model.dialect);
                    return Ok(Answered {
                        operation: asked.map_or(Operation::Chat, |request| request.operation),
                        given,
                        candidate,
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
                    held = held.or(failure.held);
                }
            }
        }
        match rejection {
            Some(rejection) if all_rejected => Err(Unanswered::Rejected(rejection)),
            // Unlike routes that are exhausted, this one may be there in a moment.
            _ => Err(Unanswered::Refused(
                held.unwrap_or(ApiError::RoutesExhausted(notes)),
            )),
        }
    }

    /// Whether an address of the model is worth a try. Where calls are held, the queue sees to that.
    fn works(&self, candidate: &Candidate) -> bool {
        let model = &candidate.model;
        if !model.hold_for.is_zero() {
            return true;
        }
        let groups = self.live.groups_of(&model.name);
        // What is said of the groups is said of their Service, which is asked behind them.
        let service = model.endpoints.first().filter(|_| groups.is_some());
        let others = model.addresses(self.question.stand);
        let others = others.filter(|address| service.is_none_or(|service| service != address));
        let groups = groups.iter().flat_map(|groups| groups.iter());
        let mut all = groups.map(String::as_str).chain(others);
        all.any(|address| self.breakers.is_preferred(address))
    }

    /// Tries one model until it answers, its tries are spent, or the call was held long enough.
    pub async fn candidate(
        &mut self,
        candidate: &Candidate,
        patience: Patience,
    ) -> Result<Result<(Reply, Meter, UnderWay), Failure>, ApiError> {
        let model = &candidate.model;
        let question = self.question.clone();
        let request = match question.asked.of(&model.dialect) {
            Ok(request) => request,
            Err(error) => return Ok(Err(Failure::untranslatable(&error))),
        };
        let calling = self.demand.calling(model);
        let size = question.asked.kept();
        let mut place = self.holds.place(model, question.call.owner(), size);
        let (mut tries, mut looks, mut failing_since) = (1, 0, None);
        self.retries.called(&model.name);
        loop {
            let pass = match &mut place {
                None => None,
                Some(place) => match self.turn(place, calling.as_ref()).await {
                    Ok(pass) => Some(pass),
                    Err(error) => return Ok(Err(Failure::held(error))),
                },
            };
            let failure = match self.round(request, candidate, calling.as_ref()).await? {
                Ok((reply, meter)) => {
                    pass.iter().for_each(Pass::served);
                    return Ok(Ok((reply, meter, (calling, pass))));
                }
                Err(failure) => failure,
            };
            match (pass, failure.outcome) {
                (Some(pass), Outcome::Unreachable) => {
                    pass.unreachable();
                    continue;
                }
                (Some(pass), Outcome::RateLimited) => {
                    pass.overloaded();
                    continue;
                }
                _ => {}
            }
            let tried = Tried {
                tries,
                looks,
                failing_for: failing_since.get_or_insert_with(Instant::now).elapsed(),
            };
            let wait = match failure::next(&failure, tried, patience, model.retries, rand::random())
            {
                Next::Route => return Ok(Err(failure)),
                Next::Retry(_) if !self.retries.take(&model.name) => {
                    self.metrics.retry_denied(&model.labels);
                    return Ok(Err(failure));
                }
                Next::Retry(wait) => {
                    tries += 1;
                    wait
                }
                Next::Look(wait) => {
                    looks += 1;
                    wait
                }
            };
            tokio::time::sleep(wait).await;
            self.waited += wait;
        }
    }

    /// Waits until the call may go on. Neither is it an attempt meanwhile, nor does its time run.
    async fn turn(
        &mut self,
        place: &mut Place<'_>,
        calling: Option<&Calling>,
    ) -> Result<Pass, ApiError> {
        if let Some(pass) = place.pass() {
            return Ok(pass);
        }
        let since = Instant::now();
        let _held = calling.map(Calling::held);
        let turn = place.wait().await;
        self.waited += since.elapsed();
        turn
    }

    /// Tries the model's addresses in order, until one answers or says that the call is wrong; then, at once,
    /// those again where a kept connection led to one who is gone.
    async fn round(
        &mut self,
        request: &Request,
        candidate: &Candidate,
        calling: Option<&Calling>,
    ) -> Result<Result<(Reply, Meter), Failure>, ApiError> {
        let model = &candidate.model;
        let body = match &self.rewritten {
            Some((of, body)) if Arc::ptr_eq(of, model) => body.clone(),
            _ => body(request, candidate)?,
        };
        let mut last: Option<Failure> = None;
        let next = model.next.as_ref().map(|next| next.endpoint.as_str());
        let groups = self.live.groups_of(&model.name);
        let picked = Picked::of(groups.as_deref(), |address| self.client.calls(address));
        let addresses = picked.and_others(model, self.question.stand);
        let mut addresses = self.breakers.in_order(addresses);
        let known = addresses.len();
        let mut at = 0;
        while let Some(endpoint) = addresses.get(at).copied() {
            let to = To {
                first: endpoint,
                again: picked.again(endpoint),
                body: &body,
            };
            let asked = self.ask(request, candidate, to, calling);
            let failure = match asked.await {
                // What the next revision fails at is the present one's to answer.
                Err(failure) if failure.leads_on(next == Some(endpoint)) => failure,
                ended => return Ok(ended),
            };
            if failure.is_stale() && at < known {
                addresses.push(endpoint);
            }
            last = Some(match last {
                Some(earlier) => earlier.or_later(failure),
                None => failure,
            });
            at += 1;
        }
        let nowhere = || Failure::of(&ApiError::UpstreamUnreachable("no address".to_owned()));
        Ok(Err(last.unwrap_or_else(nowhere)))
    }

    /// Puts aside what an attempt may come to. Where a budget has no room for it, another route may be
    /// cheaper.
    async fn reserve(
        &self,
        request: &Request,
        candidate: &Candidate,
        body: &Bytes,
    ) -> Result<Option<Reserved>, Failure> {
        let sent = Sent {
            request,
            body,
            cap: candidate.cap,
        };
        let reserved = self
            .money
            .reserve(&self.funds, &candidate.model, &sent)
            .await;
        reserved.map_err(Failure::held)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn attempt(
        &self,
        request: &Request,
        candidate: &Candidate,
        (endpoint, body): (&str, &Bytes),
        calling: Option<&Calling>,
    ) -> Result<(Reply, Meter), Failure> {
        let model = &candidate.model;
        let reserved = self.reserve(request, candidate, body).await?;
        let mut meter = Meter::start(
            self.metrics.clone(),
            Side::Client,
            request.operation,
            model.clone(),
            request.prompt_tokens,
        );
        meter.tally(calling.map(Calling::output_tokens));
        meter.paid_from(reserved);
        meter.judged_by(self.breakers.judge(endpoint, &model.labels));
        let within = self.question.within.as_ref();
        let span = within.map(|place| traces::attempt(place, model, request.operation, endpoint));
        let trace = span.as_ref().map(|span| span.place().context());
        meter.traced(span);
        let connections = match self.client.at(endpoint, model.shown_at(endpoint)) {
            Ok(connections) => connections,
            Err(error) => {
                meter.settle(error.outcome());
                return Err(Failure::of(&error));
            }
        };
        let attempt = Attempt {
            connections: &connections,
            operation: request.operation,
            choices: request.choices,
            usage_asked: request.usage_asked,
            body,
            caller: &self.question.caller,
            trace,
            timeout: model.timeout,
            first_token_timeout: model.first_token_timeout,
        };
        let reply = if request.stream {
            attempt
                .stream()
                .await
                .map(|started| Reply::Started(Box::new(started)))
        } else {
            attempt.whole().await.map(Reply::Whole)
        };
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
                if failure.outcome == Outcome::Unreachable {
                    self.client.leave(&connections);
                }
                meter.settle(failure.outcome);
                Err(failure)
            }
        }
    }
}

/// What a model is sent.
///
/// # Errors
/// As [`Request::rewritten`].
pub fn body(request: &Request, candidate: &Candidate) -> Result<Bytes, ApiError> {
    let model = &candidate.model;
    let cap_field = match request.operation {
        Operation::Chat => Some(model.cap_field),
        Operation::Messages => Some(CapField::MaxTokens),
        Operation::Embeddings | Operation::Moderations => None,
    };
    request.rewritten(&Rewrite {
        model: &model.name,
        cap: cap_field.map(|field| (field, candidate.cap)),
        include_usage: request.operation == Operation::Chat,
    })
}
