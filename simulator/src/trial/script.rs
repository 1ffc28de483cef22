//! What one trial is. The same number gives the same trial, on every machine.

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::words;

/// Models that a call may be sent to, one after the other.
pub const MODELS: usize = 2;

/// A caller, and what befalls its call.
#[derive(Clone, Debug)]
pub struct Script {
    pub seed: u64,
    pub face: Face,
    pub stream: bool,
    /// Answers that are asked for.
    pub choices: u64,
    /// `max_tokens`.
    pub cap: Option<u64>,
    /// Whether the caller wants the usage chunk.
    pub usage_asked: bool,
    /// The caller goes away after so many bytes of the answer.
    pub leaves: Option<usize>,
    pub purse: Purse,
    /// What befalls the first requests at each model; those after them are answered well.
    pub faults: [Vec<Fault>; MODELS],
    /// Bytes that the model's server sends at a time.
    pub piece: usize,
    /// The token at whose end the model begins to say what no caller may hear.
    pub slips: Option<u64>,
}

/// The API that the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Chat,
    Messages,
    Responses,
}

/// How much a call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// Enough for every attempt.
    Full,
    /// Cents: enough for one attempt, or for none.
    Small(u64),
}

/// How long a model is waited for: what stalls is given up soon, anything else never is, however slow the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Short,
    Long,
}

/// What goes wrong with one request. Places are in hundredths of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before a byte of the answer.
    Gone(Hangup),
    /// A refusal, with `retry-after-ms` where it is named.
    Status(u16, Option<u64>),
    /// A refusal of a proxy: a page.
    Page(u16),
    /// The connection ends in the middle.
    Cut(u64, Hangup),
    /// The answer is over in the middle, as if it were whole.
    Short(u64),
    /// Nothing more comes; at 0 not even a head.
    Stall(u64),
    /// The next piece takes so many milliseconds.
    Gap(u64, u64),
    /// An event, or a body, that is no JSON.
    Garbage(u64),
    /// The server says in the middle that it failed.
    Told(u64),
    /// Nobody says what it came to.
    Uncounted,
    /// Comments, empty events, a role told twice, carriage returns: all of it is harmless.
    Noise,
    /// `content-length` is another than the body's.
    Length { longer: bool },
    /// A body where a stream was asked for, or the other way round.
    Form,
    /// The last event is missing; nothing else is.
    Unended,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// What was sent arrives first.
    Close,
    /// What was sent may be lost.
    Reset,
}

impl Script {
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let face = pick(
            rng,
            [Face::Chat, Face::Chat, Face::Messages, Face::Responses],
        );
        let stream = rng.random_bool(0.7);
        let many = face == Face::Chat && rng.random_bool(0.2);
        let faults = [0.85, 0.4].map(|often| {
            let mut faults = Vec::new();
            while faults.len() < 3 && rng.random_bool(often) {
                faults.push(fault(rng));
            }
            faults
        });
        Self {
            seed,
            face,
            stream,
            choices: if many { rng.random_range(2..=3) } else { 1 },
            cap: (face == Face::Messages || rng.random_bool(0.4)).then(|| rng.random_range(1..=20)),
            usage_asked: rng.random_bool(0.3),
            leaves: rng.random_bool(0.15).then(|| rng.random_range(0..1500)),
            purse: if rng.random_bool(0.2) {
                Purse::Small(rng.random_range(100..500))
            } else {
                Purse::Full
            },
            faults,
            piece: pick(rng, [7, 64, 1000, 100_000]),
            slips: rng.random_bool(0.15).then(|| rng.random_range(0..6)),
        }
    }

    pub fn patience(&self) -> Patience {
        let stalls = |fault: &Fault| matches!(fault, Fault::Stall(_));
        let stalls = self.faults.iter().flatten().any(stalls);
        // Who goes away by itself shows that the call goes with it, and not by a timeout.
        if stalls && self.leaves.is_none() {
            Patience::Short
        } else {
            Patience::Long
        }
    }

    /// Whether all that a model's server sent arrives, so that what it came to is known to the token.
    pub fn is_certain(&self) -> bool {
        let loses = |fault: &Fault| {
            matches!(
                fault,
                Fault::Gone(Hangup::Reset) | Fault::Cut(_, Hangup::Reset)
            )
        };
        let loses = self.faults.iter().flatten().any(loses);
        // A stream that policy ends is not heard to its end.
        !loses && self.leaves.is_none() && self.slips.is_none() && self.patience() == Patience::Long
    }

    /// Whether nothing befalls it that an answer could not survive.
    pub fn is_harmless(&self) -> bool {
        let survives =
            |fault: &Fault| matches!(fault, Fault::Gap(..) | Fault::Noise | Fault::Uncounted);
        let firsts = self.faults.iter().filter_map(|faults| faults.first());
        let waits = self.patience() == Patience::Long && self.leaves.is_none();
        waits
            && self.slips.is_none()
            && self.purse == Purse::Full
            && firsts.into_iter().all(survives)
    }

    /// Path and body of the call to a model.
    pub fn request(&self, model: &str) -> (&'static str, Value) {
        let said = json!([{"role": "user", "content": words::mark(self.seed)}]);
        let (path, mut body) = match self.face {
            Face::Chat => ("/v1/chat/completions", json!({ "messages": said })),
            Face::Messages => ("/v1/messages", json!({ "messages": said })),
            Face::Responses => ("/v1/responses", json!({ "input": said })),
        };
        body["model"] = json!(model);
        if self.stream {
            body["stream"] = json!(true);
        }
        if self.choices > 1 {
            body["n"] = json!(self.choices);
        }
        if self.face == Face::Chat && self.stream && self.usage_asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let field = match self.face {
            Face::Responses => "max_output_tokens",
            Face::Chat | Face::Messages => "max_tokens",
        };
        if let Some(cap) = self.cap {
            body[field] = json!(cap);
        }
        (path, body)
    }
}

fn pick<T: Copy, const N: usize>(rng: &mut StdRng, from: [T; N]) -> T {
    from[rng.random_range(0..N)]
}

fn fault(rng: &mut StdRng) -> Fault {
    let at = rng.random_range(0..=100);
    let end = if rng.random_bool(0.5) {
        Hangup::Close
    } else {
        Hangup::Reset
    };
    match rng.random_range(0..18) {
        0 => Fault::Gone(end),
        1 | 2 => Fault::Status(
            pick(rng, [429, 429, 500, 503, 529, 408, 409]),
            rng.random_bool(0.5).then(|| rng.random_range(0..30)),
        ),
        3 => Fault::Status(pick(rng, [400, 401, 403, 404, 422]), None),
        4 => Fault::Page(pick(rng, [200, 302, 502, 504])),
        5..=7 => Fault::Cut(at, end),
        8 => Fault::Short(at),
        9 => Fault::Stall(at.min(90)),
        10 => Fault::Gap(at, rng.random_range(1..20)),
        11 => Fault::Garbage(at),
        12 => Fault::Told(at),
        13 => Fault::Uncounted,
        14 => Fault::Noise,
        15 => Fault::Length {
            longer: rng.random_bool(0.5),
        },
        16 => Fault::Form,
        _ => Fault::Unended,
    }
}
