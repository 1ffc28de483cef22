//! Asks a model once for all calls that may share its answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;

use super::{Broadcast, Found, Key, Origin, Seat, kept::Kept};
use crate::{
    dialect::openai::Operation,
    egress::{
        attempt::{Started, Whole},
        exchange::{Exchange, Given, Reply, UnderWay, body},
        failure::{Failure, Patience},
        payer::{Payer, nothing},
        route::Candidate,
    },
    error::ApiError,
    meter::{Account, Meter, Receipt},
    outcome::Outcome,
    relay::Source,
};

/// How a shared call ended for all who wait for it.
#[derive(Clone)]
pub struct Landing {
    /// Requests that were sent.
    attempts: u32,
    /// Time spent waiting for others.
    waited: Duration,
    end: Result<Result<Landed, Failure>, ApiError>,
}

/// What all who wait are given.
#[derive(Clone)]
enum Landed {
    Whole(Box<(Whole, Receipt)>),
    Stream(Arc<Broadcast>),
}

/// What a call may share, and how it asks.
struct Sharing {
    key: Key,
    flight: Key,
    ttl: Duration,
    operation: Operation,
    choices: u64,
    stream: bool,
    usage_asked: bool,
}

impl Exchange {
    /// The answer of a model: kept, shared with an equal call that is under way, or its own.
    ///
    /// # Errors
    /// Why there is none: from this model, or at all.
    pub async fn answer(
        &mut self,
        candidate: &Candidate,
        patience: Patience,
    ) -> Result<Result<Given, Failure>, ApiError> {
        let Some(sharing) = self.sharing(candidate)? else {
            return self.own(candidate, patience, None).await;
        };
        let found = {
            let exchange = self.apart();
            let candidate = candidate.clone();
            let keys = (sharing.key, sharing.flight, sharing.ttl);
            self.cache.find(keys, sharing.stream, |seat| {
                exchange.fly(candidate, patience, seat).boxed()
            })
        };
        let labels = &candidate.model.labels;
        let (flight, began) = match found {
            Found::Kept(kept) => {
                self.metrics.cache_looked_up(labels, Origin::Kept);
                return Ok(Ok(sharing.kept(kept, candidate)));
            }
            Found::Streaming(broadcast) => {
                let Some(given) = sharing.joined(broadcast, false) else {
                    return self.own(candidate, patience, Some(Origin::Model)).await;
                };
                self.metrics.cache_looked_up(labels, Origin::Shared);
                return Ok(Ok(given));
            }
            Found::Nothing => return self.own(candidate, patience, Some(Origin::Model)).await,
            Found::Starting(flight, began) => (flight, began),
        };
        self.metrics.cache_looked_up(labels, origin(began));
        let since = Instant::now();
        let landing = flight.await;
        if began {
            self.attempts += landing.attempts;
            self.waited += landing.waited;
        } else {
            self.waited += since.elapsed();
        }
        let landed = match landing.end? {
            Ok(landed) => landed,
            Err(failure) => return Ok(Err(failure)),
        };
        let given = match landed {
            Landed::Whole(paid) => Some(whole(*paid, candidate, began)),
            Landed::Stream(broadcast) => sharing.joined(broadcast, began),
        };
        given.map(Ok).ok_or(ApiError::StreamCut)
    }

    /// Asks the model for this call alone.
    async fn own(
        &mut self,
        candidate: &Candidate,
        patience: Patience,
        origin: Option<Origin>,
    ) -> Result<Result<Given, Failure>, ApiError> {
        if let Some(origin) = origin {
            self.metrics
                .cache_looked_up(&candidate.model.labels, origin);
        }
        let ended = self.candidate(candidate, patience).await?;
        Ok(ended.map(|(reply, meter, under_way)| Given {
            reply,
            payer: Payer::Own(Box::new(meter)),
            under_way,
            origin,
        }))
    }

    /// What the call may share with others; none where it is its own.
    fn sharing(&mut self, candidate: &Candidate) -> Result<Option<Sharing>, ApiError> {
        let question = self.question.clone();
        let Some(terms) = &question.sharing else {
            return Ok(None);
        };
        // What the model cannot be asked is said where it is asked.
        let Ok(request) = question.asked.of(&candidate.model.dialect) else {
            return Ok(None);
        };
        let body: Bytes = body(request, candidate)?;
        self.rewritten = Some((candidate.model.clone(), body.clone()));
        let asked = (request.operation, &body);
        let key = terms.key(&candidate.model, asked, &question.caller);
        Ok(key.map(|key| Sharing {
            key,
            flight: key.paid_by(self.funds.run.as_deref()),
            ttl: terms.ttl,
            operation: request.operation,
            choices: request.choices,
            stream: request.stream,
            usage_asked: request.usage_asked,
        }))
    }

    /// The same call, counted on its own.
    fn apart(&self) -> Self {
        Self {
            attempts: 0,
            waited: Duration::ZERO,
            ..self.clone()
        }
    }

    /// Asks the model for all who wait. Dropped when the last of them goes away.
    async fn fly(mut self, candidate: Candidate, patience: Patience, seat: Seat) -> Landing {
        let end = match self.candidate(&candidate, patience).await {
            Ok(Ok(given)) => Ok(Ok(land(given, &candidate, seat))),
            Ok(Err(failure)) => Ok(Err(failure)),
            Err(error) => Err(error),
        };
        Landing {
            attempts: self.attempts,
            waited: self.waited,
            end,
        }
    }
}

fn land(
    (reply, meter, under_way): (Reply, Meter, UnderWay),
    candidate: &Candidate,
    seat: Seat,
) -> Landed {
    match reply {
        Reply::Whole(whole) => {
            let receipt = meter.settle(Outcome::Ok);
            let whole = Whole {
                counted: Some(receipt.usage),
                ..whole
            };
            seat.keep(Kept::whole(&whole), &candidate.model);
            Landed::Whole(Box::new((whole, receipt)))
        }
        Reply::Started(started) => {
            let broadcast =
                Broadcast::of(*started, meter, under_way, candidate.model.clone(), seat);
            Landed::Stream(broadcast)
        }
    }
}

// === impl Sharing ===

impl Sharing {
    fn kept(&self, kept: Kept, candidate: &Candidate) -> Given {
        let model = &candidate.model;
        Given {
            reply: kept.reply(self.operation, self.usage_asked, model.timeout),
            payer: Payer::Settled(nothing(model.pricing.as_ref())),
            under_way: (None, None),
            origin: Some(Origin::Kept),
        }
    }

    /// None for a stream whose beginning is forgotten.
    fn joined(&self, broadcast: Arc<Broadcast>, began: bool) -> Option<Given> {
        let started = Started {
            source: Source::new(broadcast.join()?, self.operation).of_choices(self.choices),
            deadline: broadcast.deadline,
            headers: broadcast.headers.clone(),
            usage_asked: self.usage_asked,
        };
        Some(Given {
            reply: Reply::Started(Box::new(started)),
            payer: Payer::Shared { broadcast, began },
            under_way: (None, None),
            origin: Some(origin(began)),
        })
    }
}

fn origin(began: bool) -> Origin {
    if began { Origin::Model } else { Origin::Shared }
}

/// A whole answer; who began it is told what it came to.
fn whole((whole, receipt): (Whole, Receipt), candidate: &Candidate, began: bool) -> Given {
    let receipt = if began {
        receipt
    } else {
        nothing(candidate.model.pricing.as_ref())
    };
    Given {
        reply: Reply::Whole(whole),
        payer: Payer::Settled(receipt),
        under_way: (None, None),
        origin: Some(origin(began)),
    }
}
