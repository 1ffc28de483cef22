//! The records of a process, from the call's end to the log.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

use aios_audit::{AuditError, CallRecord, Commitment, Hash, Scribe};
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::Notify;

use crate::{
    cost::Basis,
    egress::{cache::Origin, call::Step},
    lock::lock,
    meter::Receipt,
    metrics::Metrics,
    outcome::Outcome,
    shield::Judged,
    snapshot::{Model, Pipeline},
};

/// Calls under one signature.
const BATCH: usize = 256;
/// Most calls that wait to be signed, and batches that wait to be taken. What is too much is lost, the oldest
/// first, and shows as a gap.
const OPEN: usize = 4096;
const SEALED: usize = 16;
/// So many are much: whoever takes them need not be quick to lose none.
const MUCH: usize = OPEN / 2;

/// The records that nobody has taken yet. Where both are locked, `sealed` is first: a call that ends waits for
/// no signature.
pub struct Ledger {
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
    sealed: Mutex<Sealed>,
    much: Notify,
}

/// What is not signed yet.
#[derive(Default)]
struct Open {
    calls: VecDeque<Ended>,
    /// Batches that were lost before these.
    lost: usize,
}

#[derive(Default)]
struct Sealed {
    /// Made with the first batch.
    scribe: Option<Scribe>,
    /// By sequence, as the log takes them.
    batches: VecDeque<(u64, Bytes)>,
}

/// A call that ended. It shares what it can, for most of it is only written down once it is signed.
pub struct Ended {
    pub call: Hash,
    pub time_ms: u64,
    pub pipeline: Arc<Pipeline>,
    pub step: Step,
    pub document: Option<HeaderValue>,
    pub model: Option<Arc<Model>>,
    pub model_digest: Option<HeaderValue>,
    pub route: Option<usize>,
    pub variant: Option<HeaderValue>,
    pub origin: Option<Origin>,
    pub judged: Option<Judged>,
    pub outcome: Outcome,
    pub receipt: Receipt,
    pub request: Commitment,
    pub answer: Commitment,
}

impl Ledger {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            open: Mutex::default(),
            sealed: Mutex::default(),
            much: Notify::new(),
        })
    }

    pub fn write(&self, ended: Ended) {
        let mut open = lock(&self.open);
        if open.calls.len() == OPEN {
            open.calls.drain(..BATCH);
            open.lost += 1;
            self.metrics.records_lost(BATCH as u64);
        }
        open.calls.push_back(ended);
        if open.calls.len() == MUCH {
            self.much.notify_one();
        }
    }

    /// Forgets the batches that are in the log, up to number `after` of `process`.
    pub fn forget(&self, process: &str, after: u64) {
        let mut sealed = lock(&self.sealed);
        // Another process may have stood here before, with sequences of its own.
        if sealed.scribe.as_ref().map(Scribe::process) == Some(process) {
            sealed.batches.retain(|(sequence, _)| *sequence > after);
        }
    }

    /// Waits until there is what should not wait: much, or what was signed and did not come to the log.
    pub async fn urgent(&self) {
        while !self.is_urgent() {
            self.much.notified().await;
        }
    }

    fn is_urgent(&self) -> bool {
        !lock(&self.sealed).batches.is_empty() || lock(&self.open).calls.len() >= MUCH
    }

    /// Signs what there is, and gives it behind what was signed and is not forgotten: batches, each the bytes
    /// of its JSON. It takes milliseconds of a processor where there is much.
    ///
    /// # Errors
    /// When a batch cannot be signed.
    pub fn take(&self, time_ms: u64) -> Result<Vec<Bytes>, AuditError> {
        let Sealed { scribe, batches } = &mut *lock(&self.sealed);
        while batches.len() < SEALED {
            let Some((lost, calls)) = self.oldest() else {
                break;
            };
            let scribe = existing(scribe)?;
            for _ in 0..lost {
                scribe.skip();
            }
            let records = calls.into_iter().map(Ended::into_record).collect();
            let batch = scribe.sign(records, time_ms)?;
            let json = serde_json::to_vec(&batch);
            let json = json.map_err(|error| AuditError::Encode(error.to_string()))?;
            batches.push_back((batch.head.sequence, json.into()));
        }
        Ok(batches.iter().map(|(_, json)| json.clone()).collect())
    }

    /// The calls of the next batch, and how many batches were lost before it; none where no call waits.
    fn oldest(&self) -> Option<(usize, Vec<Ended>)> {
        let mut open = lock(&self.open);
        let count = open.calls.len().min(BATCH);
        let calls: Vec<_> = open.calls.drain(..count).collect();
        (!calls.is_empty()).then(|| (mem::take(&mut open.lost), calls))
    }
}

/// The key is of this process alone, is never written down, and ends with it.
fn existing(scribe: &mut Option<Scribe>) -> Result<&mut Scribe, AuditError> {
    match scribe {
        Some(scribe) => Ok(scribe),
        none => Ok(none.insert(Scribe::new(&rand::random())?)),
    }
}

impl Ended {
    fn into_record(self) -> CallRecord<'static> {
        let Self { receipt, .. } = self;
        let text = |value: HeaderValue| value.to_str().ok().map(|text| text.to_owned().into());
        CallRecord {
            call: self.call,
            time_ms: self.time_ms,
            pipeline: self.pipeline.name.clone().into(),
            step: self.step.as_str().into(),
            document: self.document.and_then(text),
            model: self.model.map(|model| model.name.clone().into()),
            model_digest: self.model_digest.and_then(text),
            route: self.route.and_then(|route| u32::try_from(route).ok()),
            variant: self.variant.and_then(text),
            policies: self.pipeline.policies.clone().into(),
            judged: self.judged.map(|judged| judged.record()),
            cache: self.origin.map(|origin| origin.as_str().into()),
            outcome: self.outcome.as_str().into(),
            input_tokens: receipt.usage.input,
            output_tokens: receipt.usage.output,
            exact: receipt.basis() == Basis::Exact,
            cost: receipt.cost.map(|cost| cost.to_string().into()),
            request: self.request,
            answer: self.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use aios_audit::{CallBatch, CallChains, CallHead, CallToken, Kind, Leaf, commit};
    use futures::FutureExt;
    use prometheus_client::registry::Registry;
    use serde_json::json;

    use super::{BATCH, Ended, Ledger, MUCH, OPEN};
    use crate::{
        cost::{Basis, Cached, Usage},
        egress::call::Step,
        meter::Receipt,
        metrics::Metrics,
        outcome::Outcome,
        snapshot::{Model, Pipeline, tests},
    };

    fn ended(number: u64, model: &Arc<Model>, pipeline: &Arc<Pipeline>) -> Ended {
        let mut random = [0; 16];
        random[..8].copy_from_slice(&number.to_be_bytes());
        let token = CallToken::new(random);
        let usage = Usage {
            input: number,
            output: 1,
            cached: Cached::default(),
            basis: Basis::Exact,
        };
        Ended {
            call: token.call(),
            time_ms: 1,
            pipeline: pipeline.clone(),
            step: Step::Draft,
            document: None,
            model: Some(model.clone()),
            model_digest: None,
            route: None,
            variant: None,
            origin: None,
            judged: None,
            outcome: Outcome::Ok,
            receipt: Receipt { usage, cost: None },
            request: token.commit(b""),
            answer: token.commit(b""),
        }
    }

    /// A ledger, and what writes so many calls into it.
    fn ledger() -> (Arc<Ledger>, impl Fn(std::ops::Range<usize>)) {
        let ledger = Ledger::new(Arc::new(Metrics::new(&mut Registry::default())));
        let model = serde_json::from_value(tests::model("m")).unwrap();
        let model = Arc::new(Model::new(model).unwrap());
        let pipeline = tests::pipeline("p", &json!([{"model": "m"}]));
        let pipeline = Pipeline::new(serde_json::from_value(pipeline).unwrap(), &BTreeMap::new());
        let pipeline = Arc::new(pipeline.unwrap());
        let written = ledger.clone();
        let write = move |numbers: std::ops::Range<usize>| {
            for number in numbers {
                written.write(ended(number as u64, &model, &pipeline));
            }
        };
        (ledger, write)
    }

    /// A log that takes what an egress gives.
    #[derive(Default)]
    struct Book {
        chains: CallChains,
        last: Option<CallHead>,
    }

    impl Book {
        fn let_forget(&self, ledger: &Ledger) {
            if let Some(last) = &self.last {
                ledger.forget(&last.process, last.sequence);
            }
        }

        /// False when there was nothing.
        fn take_from(&mut self, ledger: &Ledger) -> bool {
            self.let_forget(ledger);
            let batches = ledger.take(2).unwrap();
            for json in &batches {
                let head = CallBatch::verify(json).unwrap().head;
                let leaf = Leaf {
                    tenant: "t".into(),
                    pipeline: String::new(),
                    document: Leaf::of_calls(&head.process),
                    seq: head.sequence,
                    kind: Kind::Calls,
                    time_ms: 3,
                    commitment: commit(&[0; 32], json),
                };
                self.chains.batch(&leaf, json).unwrap();
                self.last = Some(head);
            }
            !batches.is_empty()
        }
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_its_loss_shows_as_a_gap() {
        let (ledger, write) = ledger();
        write(0..OPEN + 1);
        let mut book = Book::default();
        while book.take_from(&ledger) {}
        let found = book.chains.report();
        assert_eq!(found.missing, 1);
        let kept = OPEN + 1 - BATCH;
        assert_eq!(found.records, kept as u64, "the oldest are lost");
    }

    #[test]
    fn much_should_not_wait_and_neither_what_did_not_come_to_the_log() {
        let (ledger, write) = ledger();
        let mut urgent = Box::pin(ledger.urgent());
        write(0..MUCH - 1);
        assert!(urgent.as_mut().now_or_never().is_none(), "little");
        write(0..1);
        assert!(urgent.now_or_never().is_some(), "much");
        let batches = ledger.take(2).unwrap();
        assert!(ledger.urgent().now_or_never().is_some(), "signed");
        let head = CallBatch::verify(batches.last().unwrap()).unwrap().head;
        ledger.forget(&head.process, head.sequence);
        assert!(ledger.urgent().now_or_never().is_none(), "in the log");
    }

    #[tokio::test]
    async fn who_comes_when_it_is_urgent_loses_no_call_however_many_there_are() {
        const CALLS: usize = 10 * MUCH;
        let (ledger, write) = ledger();
        let taker = {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let mut book = Book::default();
                while book.chains.report().records < CALLS as u64 {
                    book.let_forget(&ledger);
                    ledger.urgent().await;
                    book.take_from(&ledger);
                }
                book.chains.report()
            })
        };
        for from in (0..CALLS).step_by(BATCH) {
            write(from..from + BATCH);
            tokio::task::yield_now().await;
        }
        let found = taker.await.unwrap();
        assert_eq!((found.records, found.missing), (CALLS as u64, 0));
    }
}
