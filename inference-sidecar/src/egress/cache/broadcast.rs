//! A stream that several calls hear, and its one account: settled by the first to hear its end, or when the
//! last of them goes away.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_crds::model_deployment::Pricing;
use http::HeaderMap;
use tokio::time::Instant;

use super::{Seat, kept::Kept, tape::Tape};
use crate::{
    dialect::openai::Observer,
    egress::{attempt::Started, exchange::UnderWay, payer::nothing},
    lock::lock,
    meter::{Account, Meter, Receipt},
    outcome::Outcome,
    relay::Upstream,
    snapshot::Model,
};

/// One stream for several calls.
pub struct Broadcast {
    tape: Arc<Tape>,
    ledger: Mutex<Ledger>,
    pub headers: HeaderMap,
    pub deadline: (Instant, Duration),
    model: Arc<Model>,
    /// Where the next equal call finds it, and where it is kept.
    seat: Seat,
    /// Until the last has gone.
    _under_way: UnderWay,
}

enum Ledger {
    /// Bytes of text that the furthest reader heard, and how it broke for one of them.
    Open {
        meter: Box<Meter>,
        text_bytes: u64,
        broke: Option<Outcome>,
    },
    Settled(Receipt),
    Closed,
}

impl Broadcast {
    pub fn of(
        started: Started,
        meter: Meter,
        under_way: UnderWay,
        model: Arc<Model>,
        seat: Seat,
    ) -> Arc<Self> {
        let broadcast = Arc::new(Self {
            ledger: Mutex::new(Ledger::Open {
                text_bytes: started.source.observer().text_bytes,
                meter: Box::new(meter),
                broke: None,
            }),
            tape: Tape::of(started.source.into_bytes()),
            headers: started.headers,
            deadline: started.deadline,
            model,
            seat,
            _under_way: under_way,
        });
        broadcast.seat.streams(&broadcast);
        broadcast
    }

    /// All of it, for one call more; none once its beginning is forgotten.
    pub fn join(&self) -> Option<Upstream> {
        self.tape.reader()
    }

    pub fn pricing(&self) -> Option<&Pricing> {
        self.model.pricing.as_ref()
    }

    /// Notes what the furthest of them heard.
    pub fn watch(&self, observer: &Observer) {
        if let Ledger::Open {
            meter, text_bytes, ..
        } = &mut *lock(&self.ledger)
            && observer.text_bytes >= *text_bytes
        {
            *text_bytes = observer.text_bytes;
            meter.watch(observer);
        }
    }

    /// What it came to so far.
    pub fn receipt(&self) -> Receipt {
        match &*lock(&self.ledger) {
            Ledger::Open { meter, .. } => meter.receipt(),
            Ledger::Settled(receipt) => receipt.clone(),
            Ledger::Closed => nothing(self.pricing()),
        }
    }

    /// It ended so for one of them. Others may hear more of what broke off for this one.
    pub fn settle(&self, outcome: Outcome) -> Receipt {
        let mut ledger = lock(&self.ledger);
        match std::mem::replace(&mut *ledger, Ledger::Closed) {
            Ledger::Open { meter, .. } if outcome == Outcome::Ok => {
                let receipt = meter.settle(outcome);
                *ledger = Ledger::Settled(receipt.clone());
                drop(ledger);
                self.keep();
                receipt
            }
            Ledger::Open {
                meter, text_bytes, ..
            } => {
                let receipt = meter.receipt();
                *ledger = Ledger::Open {
                    meter,
                    text_bytes,
                    broke: Some(outcome),
                };
                receipt
            }
            settled => {
                let receipt = match &settled {
                    Ledger::Settled(receipt) => receipt.clone(),
                    _ => nothing(self.pricing()),
                };
                *ledger = settled;
                receipt
            }
        }
    }

    fn keep(&self) {
        if let Some(bytes) = self.tape.heard() {
            self.seat
                .keep(Kept::stream(bytes, &self.headers), &self.model);
        }
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        let ledger = std::mem::replace(&mut *lock(&self.ledger), Ledger::Closed);
        if let Ledger::Open { meter, broke, .. } = ledger {
            meter.settle(broke.unwrap_or(Outcome::Cancelled));
        }
    }
}
