//! One call's record in the making: written when the answer ends, however it does.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aios_audit::{CallToken, Told};
use bytes::Bytes;
use http::HeaderValue;

use super::ledger::{Ended, Ledger};
use crate::{
    dialect::openai::Observer,
    egress::{
        cache::Origin,
        call::{Call, Step},
        exchange::Question,
        payer::{Payer, nothing},
        route::Candidate,
    },
    meter::{Account, Receipt},
    outcome::Outcome,
    shield::Judged,
    snapshot::{Model, Pipeline},
    trace::Span,
};

/// A call that is recorded: one of a pipeline, whose log it is for.
pub struct Recording {
    ledger: Arc<Ledger>,
    pipeline: Arc<Pipeline>,
    step: Step,
    question: Arc<Question>,
    variant: Option<HeaderValue>,
}

/// A record in the making.
pub struct Note {
    recording: Recording,
    token: CallToken,
    told: Told,
    model: Arc<Model>,
    model_digest: Option<HeaderValue>,
    route: Option<usize>,
    origin: Option<Origin>,
    judged: Option<Judged>,
}

/// Who accounts for a stream that is recorded or traced.
pub struct Noted {
    payer: Option<Payer>,
    note: Option<Note>,
    span: Option<Span>,
}

// === impl Recording ===

impl Recording {
    /// None for a call of no pipeline.
    pub fn of(
        ledger: &Arc<Ledger>,
        pipeline: Option<&Arc<Pipeline>>,
        question: &Arc<Question>,
        variant: Option<HeaderValue>,
    ) -> Option<Self> {
        let Call::Routed { step, .. } = question.call else {
            return None;
        };
        Some(Self {
            pipeline: pipeline?.clone(),
            ledger: ledger.clone(),
            question: question.clone(),
            step,
            variant,
        })
    }

    /// `digest` is what the answer says of the weights that gave it.
    pub fn begin(
        self,
        candidate: &Candidate,
        digest: Option<HeaderValue>,
        origin: Option<Origin>,
        judged: Option<Judged>,
    ) -> Note {
        let token = CallToken::new(rand::random());
        Note {
            told: token.told(),
            token,
            model: candidate.model.clone(),
            model_digest: digest,
            route: candidate.route,
            origin,
            judged,
            recording: self,
        }
    }
}

/// Records a call whose prompt a policy refused, and gives what its caller is told. The refusal's own words are committed
/// to by nobody.
pub fn refused(
    ledger: &Ledger,
    (pipeline, step): (&Arc<Pipeline>, Step),
    document: Option<&HeaderValue>,
    body: &[u8],
    judged: Judged,
) -> CallToken {
    let token = CallToken::new(rand::random());
    ledger.write(Ended {
        call: token.call(),
        time_ms: now_ms(),
        pipeline: pipeline.clone(),
        step,
        document: document.cloned(),
        model: None,
        model_digest: None,
        route: None,
        variant: None,
        origin: None,
        judged: Some(judged),
        outcome: Outcome::Refused,
        receipt: nothing(None),
        request: token.commit(body),
        answer: token.commit(b""),
    });
    token
}

// === impl Note ===

impl Note {
    /// What the caller is told, so that it can name the call, and prove what it asked and heard.
    pub fn token(&self) -> CallToken {
        self.token
    }

    /// Digest of what the pipeline's documents are judged by.
    pub fn policies(&self) -> &str {
        &self.recording.pipeline.policies
    }

    /// `EXPERIMENT/VARIANT` that the document is in.
    pub fn variant(&self) -> Option<&HeaderValue> {
        self.recording.variant.as_ref()
    }

    pub fn told(&mut self, bytes: &[u8]) {
        self.told.more(bytes);
    }

    /// A call that a policy refused ended so for its caller, whatever became of the model's answer.
    pub fn write(self, outcome: Outcome, receipt: &Receipt) {
        let outcome = match &self.judged {
            Some(judged) if judged.is_blocked() => Outcome::Refused,
            _ => outcome,
        };
        let Recording {
            ledger,
            pipeline,
            step,
            question,
            variant,
        } = self.recording;
        ledger.write(Ended {
            call: self.token.call(),
            time_ms: now_ms(),
            pipeline,
            step,
            document: question.caller.get("aios-document").cloned(),
            model: Some(self.model),
            model_digest: self.model_digest,
            route: self.route,
            variant,
            origin: self.origin,
            judged: self.judged,
            outcome,
            receipt: receipt.clone(),
            request: self.token.commit(question.asked.sent()),
            answer: self.told.commitment(),
        });
    }
}

// === impl Noted ===

impl Noted {
    pub fn new(payer: Payer, note: Option<Note>, span: Option<Span>) -> Self {
        Self {
            payer: Some(payer),
            note,
            span,
        }
    }
}

impl Account for Noted {
    fn watch(&mut self, observer: &Observer) {
        if let Some(payer) = &mut self.payer {
            payer.watch(observer);
        }
    }

    fn told(&mut self, bytes: &Bytes) {
        if let Some(note) = &mut self.note {
            note.told(bytes);
        }
    }

    fn settle(mut self, outcome: Outcome) -> Receipt {
        let receipt = match self.payer.take() {
            Some(payer) => payer.settle(outcome),
            None => nothing(None),
        };
        if let Some(note) = self.note.take() {
            note.write(outcome, &receipt);
        }
        if let Some(span) = self.span.take() {
            span.end_with(outcome, &receipt);
        }
        receipt
    }
}

/// The caller went away.
impl Drop for Noted {
    fn drop(&mut self) {
        if let (Some(payer), Some(note)) = (&self.payer, self.note.take()) {
            note.write(Outcome::Cancelled, &payer.receipt());
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
