//! Sends a call a second time when its first token is later than most calls' were: the first answer wins,
//! the other is cancelled and counted by estimate. Nothing was told of either until then.

mod pace;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex},
};

use futures::future::{Either, select};
use tokio::time::{Instant, sleep};

use self::pace::Pace;
use super::{
    demand::Calling,
    exchange::{Exchange, Reply, To},
    failure::Failure,
    route::Candidate,
};
use crate::{
    dialect::openai::Request, lock::lock, meter::Meter, metrics::HedgeEnd, snapshot::Model,
};

/// How fast the models were, and how many of their calls were sent twice.
#[derive(Default)]
pub struct Hedges(Mutex<HashMap<String, Arc<Mutex<Pace>>>>);

type Ended = Result<(Reply, Meter), Failure>;

impl Hedges {
    fn pace(&self, model: &Model) -> Arc<Mutex<Pace>> {
        let mut paces = lock(&self.0);
        if let Some(pace) = paces.get(&model.name) {
            return pace.clone();
        }
        paces.entry(model.name.clone()).or_default().clone()
    }
}

impl Exchange {
    /// Asks one address, or late two.
    ///
    /// # Errors
    /// Why the first request failed, if the second did not help.
    pub async fn ask(
        &mut self,
        request: &Request,
        candidate: &Candidate,
        to: To<'_>,
        calling: Option<&Calling>,
    ) -> Ended {
        let sent = Instant::now();
        let ended = if candidate.model.hedge.is_some() {
            // A call that is never sent twice does not carry the state of two.
            let (ended, requests) = Box::pin(self.hedged(request, candidate, to, calling)).await;
            self.attempts += requests;
            ended
        } else {
            let first = (to.first, to.body);
            let ended = self.attempt(request, candidate, first, calling).await;
            self.attempts += requests(&ended);
            ended
        };
        self.waited += sent.elapsed();
        ended
    }

    /// The first answer, and how many requests were sent for it.
    async fn hedged(
        &self,
        request: &Request,
        candidate: &Candidate,
        to: To<'_>,
        calling: Option<&Calling>,
    ) -> (Ended, u32) {
        let model = &candidate.model;
        let pace = self.hedges.pace(model);
        let took = |ended: &Ended, since: Instant| {
            if ended.is_ok() {
                lock(&pace).took(request.stream, since.elapsed(), Instant::now());
            }
        };
        let began = Instant::now();
        let first = (to.first, to.body);
        let mut first = pin!(self.attempt(request, candidate, first, calling));
        let patience = model
            .hedge
            .and_then(|hedge| lock(&pace).called(hedge, request.stream, began));
        let slow = async {
            match patience {
                Some(patience) => sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = &mut first => {
                took(&ended, began);
                let requests = requests(&ended);
                return (ended, requests);
            }
            () = slow => {}
        }
        if !lock(&pace).take() {
            self.metrics.hedged(&model.labels, HedgeEnd::Denied);
            let ended = first.await;
            took(&ended, began);
            let requests = requests(&ended);
            return (ended, requests);
        }
        tracing::debug!(model = model.name, "sent twice");
        let again = Instant::now();
        let second = (to.again, to.body);
        let second = pin!(self.attempt(request, candidate, second, calling));
        let (ended, end, requests) = match select(first, second).await {
            Either::Left((Err(failure), second)) => {
                let (first, second) = (Err(failure), second.await);
                let requests = requests(&first) + requests(&second);
                match second {
                    Ok(given) => (Ok(given), HedgeEnd::Won, requests),
                    Err(late) => (first, without(&late, HedgeEnd::Failed), requests),
                }
            }
            Either::Left((ended, _)) => (ended, HedgeEnd::Lost, 2),
            Either::Right((Ok(given), _)) => (Ok(given), HedgeEnd::Won, 2),
            Either::Right((Err(late), first)) => {
                let ended = first.await;
                let end = if ended.is_ok() {
                    HedgeEnd::Lost
                } else {
                    HedgeEnd::Failed
                };
                let end = without(&late, end);
                let requests = requests(&ended) + requests(&Err(late));
                (ended, end, requests)
            }
        };
        if end == HedgeEnd::Won {
            took(&ended, again);
        }
        // The slow one took at least so long: without it, what is slow would seem to grow rare.
        took(&ended, began);
        self.metrics.hedged(&model.labels, end);
        (ended, requests)
    }
}

/// How many were sent: what no budget pays for never was.
fn requests(ended: &Ended) -> u32 {
    u32::from(!matches!(ended, Err(failure) if failure.held.is_some()))
}

/// How it went where the second request failed so.
fn without(late: &Failure, end: HedgeEnd) -> HedgeEnd {
    match late.held {
        Some(_) => HedgeEnd::Denied,
        None => end,
    }
}
