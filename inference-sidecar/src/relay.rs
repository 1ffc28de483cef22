//! Forwards a stream of chunks event by event: watches it, bounds it in time, ends it cleanly in the
//! caller's dialect when it breaks, and settles its account.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    dialect::openai::{Observer, Operation, Seen},
    error::ApiError,
    ingress::KeyFile,
    limits::may_keep,
    meter::{Account, Receipt},
    outcome::Outcome,
    shield::Shielded,
    sse::{Event, Splitter},
    voice::Voice,
};

/// How long the upstream may take to end after `[DONE]`, so that its connection can be used again.
const LINGER: Duration = Duration::from_millis(50);

/// Bytes from the upstream; an error is why they ended early.
pub type Upstream = BoxStream<'static, Result<Bytes, ApiError>>;

/// Events of an upstream, some of them held back.
pub struct Source {
    upstream: Upstream,
    splitter: Splitter,
    observer: Observer,
    ready: VecDeque<Event>,
    held: VecDeque<(Event, Seen)>,
    /// Longest silence of the upstream; none while only the first token's time counts.
    gap: Option<Duration>,
    ended: bool,
}

/// A stream on its way to the caller.
pub struct Relay<A> {
    pub source: Source,
    /// Policy on what it says; none where there is none. Where the caller goes away it ends before the account, which says
    /// what was scanned.
    pub shield: Option<Box<Shielded>>,
    pub account: A,
    /// When the whole answer must have come to a caller who reads, and the span that this is the end of.
    pub deadline: (Instant, Duration),
    /// Longest silence of the upstream.
    pub gap: Duration,
    pub voice: Voice,
    /// Whether the caller did not ask for the usage chunk.
    pub strip_usage: bool,
    /// What the trailers say; none sends no trailers.
    pub trailers: Option<fn(&Receipt) -> HeaderMap>,
    /// What no word of the upstream's errors may hold.
    pub secret: Option<KeyFile>,
    /// Kept until the stream ends: the admission of an ingress.
    pub guard: Option<Box<dyn Send + Sync>>,
}

enum State<A> {
    /// Since when the caller may take more.
    Open(Box<Relay<A>>, Instant),
    /// The last event was sent; the upstream may end, then trailers follow.
    Ending(Box<Source>, Option<HeaderMap>),
    Closed,
}

// === impl Source ===

impl Source {
    pub fn new(upstream: Upstream, operation: Operation) -> Self {
        Self {
            upstream,
            splitter: Splitter::default(),
            observer: Observer::of(operation),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            gap: None,
            ended: false,
        }
    }

    /// The same for so many choices: whole is what ended in each.
    pub fn of_choices(mut self, choices: u64) -> Self {
        self.observer.expect(choices);
        self
    }

    /// Waits for the first token and holds what came before: until then another route can answer.
    ///
    /// # Errors
    /// When the stream failed or ended before.
    pub async fn first_token(&mut self) -> Result<(), ApiError> {
        let mut kept = 0;
        loop {
            let Some((event, seen)) = self.read().await? else {
                let whole = self.observer.finished || self.observer.done;
                return if whole {
                    Ok(())
                } else {
                    Err(ApiError::StreamCut)
                };
            };
            match &seen {
                Seen::Error { code, message } => return Err(reported(code, message)),
                Seen::Malformed(problem) => {
                    return Err(ApiError::UpstreamMalformed(problem.clone()));
                }
                _ => {}
            }
            kept += event.raw.len();
            may_keep(kept).map_err(ApiError::UpstreamMalformed)?;
            let first = matches!(seen, Seen::Token | Seen::Done);
            self.held.push_back((event, seen));
            if first {
                return Ok(());
            }
        }
    }

    /// What is known of the stream so far.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// All its bytes once more, from the first on.
    pub fn into_bytes(mut self) -> Upstream {
        let held = self.held.into_iter().map(|(event, _)| event.raw);
        let ready = self.ready.into_iter().map(|event| event.raw);
        let read: Vec<_> = held.chain(ready).chain([self.splitter.rest()]).collect();
        let read = read.into_iter().filter(|bytes| !bytes.is_empty()).map(Ok);
        let read = futures::stream::iter(read);
        // One that ended is not to be asked again.
        if self.ended {
            read.boxed()
        } else {
            read.chain(self.upstream).boxed()
        }
    }

    async fn next(&mut self) -> Result<Option<(Event, Seen)>, ApiError> {
        match self.held.pop_front() {
            Some(held) => Ok(Some(held)),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Option<(Event, Seen)>, ApiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                let seen = self.observer.see(&event);
                return Ok(Some((event, seen)));
            }
            if self.ended {
                return Ok(None);
            }
            let part = match self.gap {
                None => self.upstream.next().await,
                Some(gap) => timeout(gap, self.upstream.next())
                    .await
                    .map_err(|_| ApiError::UpstreamStalled(gap))?,
            };
            if let Some(bytes) = part {
                let events = self.splitter.push(&bytes?);
                let events =
                    events.map_err(|error| ApiError::UpstreamMalformed(error.to_string()))?;
                self.ready.extend(events);
            } else {
                self.ended = true;
                self.ready.extend(self.splitter.finish());
            }
        }
    }
}

// === impl Relay ===

impl<A: Account> Relay<A> {
    /// The body of the answer. Dropping it cancels the upstream.
    pub fn into_body(mut self) -> Body {
        self.source.gap = Some(self.gap);
        let open = State::Open(Box::new(self), Instant::now());
        let frames = futures::stream::unfold(open, |state| async move {
            let (frame, state) = step(state).await?;
            Some((Ok::<_, Infallible>(frame), state))
        });
        Body::new(StreamBody::new(frames))
    }

    /// What the caller hears of an event.
    fn say(&mut self, event: Event) -> Result<Bytes, ApiError> {
        let Some(shield) = &mut self.shield else {
            return self.voice.say(event);
        };
        let events = shield.push(event)?;
        self.say_all(events)
    }

    /// What the caller hears at the end.
    fn last(&mut self, event: Option<Event>) -> Result<Bytes, ApiError> {
        let Some(shield) = &mut self.shield else {
            return Ok(self.voice.end(event));
        };
        let rest = shield.finish()?;
        let mut said = BytesMut::from(&*self.say_all(rest)?);
        said.extend_from_slice(&self.voice.end(None));
        Ok(said.freeze())
    }

    fn say_all(&mut self, events: Vec<Event>) -> Result<Bytes, ApiError> {
        let mut said = events.into_iter().map(|event| self.voice.say(event));
        let first = said.next().transpose()?.unwrap_or_default();
        let mut all = None::<BytesMut>;
        for more in said {
            all.get_or_insert_with(|| BytesMut::from(&*first))
                .extend_from_slice(&more?);
        }
        Ok(all.map_or(first, BytesMut::freeze))
    }

    /// What the caller hears of an event that says what went wrong. Its words are the server's, too.
    fn repeat(&mut self, mut event: Event, code: &str, message: &str) -> Bytes {
        event.raw = KeyFile::hidden_in(self.secret.as_ref(), event.raw);
        match &self.shield {
            None => self.voice.repeat(event, &reported(code, message)),
            Some(_) => self.voice.fail(&reported(code, "it does not say why")),
        }
    }

    /// Ends a stream that broke.
    fn fail(mut self, error: &ApiError) -> (Frame<Bytes>, State<A>) {
        let outcome = match error.outcome() {
            Outcome::Timeout => Outcome::Timeout,
            // The model did its part; what it said so far is counted.
            _ if matches!(error, ApiError::AnswerBlocked { .. }) => Outcome::Cancelled,
            _ => Outcome::Cut,
        };
        let last = self.voice.fail(error);
        self.end(outcome, last)
    }

    /// Ends the stream; `last` is what the caller still gets.
    fn end(mut self, outcome: Outcome, last: Bytes) -> (Frame<Bytes>, State<A>) {
        self.account.told(&last);
        if let Some(shield) = &mut self.shield {
            shield.close();
        }
        let receipt = self.account.settle(outcome);
        let mut trailers = self.trailers.map(|write| write(&receipt));
        if let (Some(trailers), Some(shield)) = (&mut trailers, &self.shield) {
            shield.write(trailers);
        }
        (
            Frame::data(last),
            State::Ending(Box::new(self.source), trailers),
        )
    }
}

async fn step<A: Account>(state: State<A>) -> Option<(Frame<Bytes>, State<A>)> {
    let mut relay = match state {
        State::Open(mut relay, since) => {
            // Time in which nobody reads is not the model's.
            relay.deadline.0 += since.elapsed();
            relay
        }
        State::Ending(mut source, trailers) => {
            let _ = timeout(LINGER, source.read()).await;
            return trailers.map(|trailers| (Frame::trailers(trailers), State::Closed));
        }
        State::Closed => return None,
    };
    loop {
        let (deadline, span) = relay.deadline;
        let read = match timeout_at(deadline, relay.source.next()).await {
            Ok(read) => read,
            Err(_) => Err(ApiError::UpstreamTimeout(span)),
        };
        relay.account.watch(&relay.source.observer);
        let observer = &relay.source.observer;
        match read {
            Ok(Some((_, Seen::Usage))) if relay.strip_usage => {}
            Ok(Some((_, Seen::Blank))) => {}
            Ok(Some((_, Seen::Malformed(problem)))) => {
                // What is wrong is said with the server's words.
                let problem = match relay.shield {
                    Some(_) => "an event is no chunk".to_owned(),
                    None => problem,
                };
                return Some(relay.fail(&ApiError::UpstreamMalformed(problem)));
            }
            Ok(Some((event, Seen::Error { code, message }))) => {
                let last = relay.repeat(event, &code, &message);
                return Some(relay.end(Outcome::Failed, last));
            }
            Ok(Some((event, Seen::Done))) => {
                return Some(match relay.last(Some(event)) {
                    Ok(last) => relay.end(Outcome::Ok, last),
                    Err(error) => relay.fail(&error),
                });
            }
            Ok(Some((event, _))) => match relay.say(event) {
                Ok(said) if said.is_empty() => {}
                Ok(said) => {
                    relay.account.told(&said);
                    return Some((Frame::data(said), State::Open(relay, Instant::now())));
                }
                Err(error) => return Some(relay.fail(&error)),
            },
            // Some servers end after the reason without `[DONE]`; whole is whole.
            Ok(None) if observer.finished => {
                return Some(match relay.last(None) {
                    Ok(last) => relay.end(Outcome::Ok, last),
                    Err(error) => relay.fail(&error),
                });
            }
            Ok(None) => return Some(relay.fail(&ApiError::StreamCut)),
            Err(error) => return Some(relay.fail(&error)),
        }
    }
}

/// An error event of an ingress, by its code; foreign servers have codes of their own.
fn reported(code: &str, message: &str) -> ApiError {
    match code {
        "rate_limited" | "overloaded" | "rate_limit_error" => {
            ApiError::RateLimited { retry_after: None }
        }
        "credentials_refused" => ApiError::CredentialsRefused,
        "model_refused" => ApiError::ModelRefused,
        "stream_cut" => ApiError::StreamCut,
        "upstream_malformed" => ApiError::UpstreamMalformed(message.to_owned()),
        _ => ApiError::UpstreamBroke(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::channel::mpsc;
    use http_body_util::BodyExt;
    use tokio::time::sleep_until;

    use super::*;
    use crate::{
        cost::{Basis, Cached, Usage},
        face::Face,
    };

    const SPAN: Duration = Duration::from_millis(500);
    const TOKEN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"A\"}}]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[derive(Default)]
    struct Ended(Arc<Mutex<Option<Outcome>>>);

    impl Account for Ended {
        fn watch(&mut self, _: &Observer) {}

        fn settle(self, outcome: Outcome) -> Receipt {
            *self.0.lock().unwrap() = Some(outcome);
            let usage = Usage {
                input: 0,
                output: 0,
                cached: Cached::default(),
                basis: Basis::Estimated,
            };
            Receipt { usage, cost: None }
        }
    }

    fn relay(upstream: Upstream, account: Ended, until: Instant) -> Body {
        let relay = Relay {
            source: Source::new(upstream, Operation::Chat),
            account,
            deadline: (until, SPAN),
            gap: Duration::from_mins(1),
            voice: Voice::Same(Face::Chat),
            shield: None,
            strip_usage: false,
            trailers: None,
            secret: None,
            guard: None,
        };
        relay.into_body()
    }

    async fn said(body: &mut Body) -> Option<Bytes> {
        body.frame().await?.unwrap().into_data().ok()
    }

    #[tokio::test]
    async fn time_in_which_the_caller_does_not_read_is_not_the_models() {
        let (model, upstream) = mpsc::unbounded();
        let (ended, deadline) = (Ended::default(), Instant::now() + SPAN);
        let outcome = ended.0.clone();
        let mut body = relay(upstream.boxed(), ended, deadline);
        model.unbounded_send(Ok(TOKEN.into())).unwrap();
        assert_eq!(said(&mut body).await.unwrap(), TOKEN);
        sleep_until(deadline).await;
        let goes_on = async { model.unbounded_send(Ok(DONE.into())) };
        let (last, sent) = tokio::join!(said(&mut body), goes_on);
        sent.unwrap();
        assert_eq!(last.unwrap(), DONE);
        assert_eq!(*outcome.lock().unwrap(), Some(Outcome::Ok));
    }

    #[tokio::test]
    async fn a_model_that_is_waited_for_too_long_is_given_up() {
        let (_model, upstream) = mpsc::unbounded();
        let ended = Ended::default();
        let outcome = ended.0.clone();
        let mut body = relay(upstream.boxed(), ended, Instant::now());
        let last = said(&mut body).await.unwrap();
        assert!(last.starts_with(b"event: error\n"), "{last:?}");
        assert_eq!(*outcome.lock().unwrap(), Some(Outcome::Timeout));
    }
}
