//! Who accounts for an answer: the call that asked for it, several that hear it together, or nobody any
//! more.

use std::sync::Arc;

use aios_crds::model_deployment::Pricing;

use super::cache::Broadcast;
use crate::{
    cost::{Basis, Cached, Usage, price},
    dialect::openai::Observer,
    meter::{Account, Meter, Receipt},
    outcome::Outcome,
};

/// Who accounts for one answer.
pub enum Payer {
    /// The call itself.
    Own(Box<Meter>),
    /// One of several; `began` is told what it came to, the others that it came to nothing.
    Shared {
        broadcast: Arc<Broadcast>,
        began: bool,
    },
    /// Nobody: it was settled before.
    Settled(Receipt),
}

/// What an answer comes to that somebody else paid for.
pub fn nothing(pricing: Option<&Pricing>) -> Receipt {
    let usage = Usage {
        input: 0,
        output: 0,
        cached: Cached::default(),
        basis: Basis::Exact,
    };
    Receipt {
        usage,
        cost: price(usage, pricing),
    }
}

impl Payer {
    /// What it came to so far.
    pub fn receipt(&self) -> Receipt {
        match self {
            Self::Own(meter) => meter.receipt(),
            Self::Shared { broadcast, began } if *began => broadcast.receipt(),
            Self::Shared { broadcast, .. } => nothing(broadcast.pricing()),
            Self::Settled(receipt) => receipt.clone(),
        }
    }
}

impl Account for Payer {
    fn watch(&mut self, observer: &Observer) {
        match self {
            Self::Own(meter) => meter.watch(observer),
            Self::Shared { broadcast, .. } => broadcast.watch(observer),
            Self::Settled(_) => {}
        }
    }

    fn settle(self, outcome: Outcome) -> Receipt {
        match self {
            Self::Own(meter) => meter.settle(outcome),
            Self::Shared { broadcast, began } => {
                let receipt = broadcast.settle(outcome);
                if began {
                    receipt
                } else {
                    nothing(broadcast.pricing())
                }
            }
            Self::Settled(receipt) => receipt,
        }
    }
}
