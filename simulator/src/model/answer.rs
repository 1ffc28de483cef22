//! What is said to a request: script, then schema, then canned sentences, all decided by the seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::request::Request;
use super::schema;
use super::script::Script;
use super::tokens;

const OPENINGS: [&str; 8] = [
    "We are glad to have you with us",
    "Thank you for your trust",
    "It is a pleasure to write to you",
    "We would like to invite you",
    "Good news for your plans",
    "Let us look ahead together",
    "Your goals matter to us",
    "Here is something made for you",
];
const MIDDLES: [&str; 8] = [
    "and we have prepared a short session on saving well",
    "and our team will show how small steps add up",
    "so that you can decide at your own pace",
    "with clear answers to the questions we hear most",
    "and there will be time for everything you want to ask",
    "because good habits grow best with good company",
    "with practical ideas you can use the same day",
    "and we keep it friendly, brief and useful",
];
const CLOSINGS: [&str; 6] = [
    "We look forward to seeing you.",
    "Do join us if you can.",
    "We hope to meet you there.",
    "Your place is waiting.",
    "See you soon.",
    "We would be happy to welcome you.",
];

/// An answer that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Answer {
    pub pieces: Vec<String>,
    pub finish: Finish,
    /// Name of the tool that it calls: the pieces are its arguments.
    pub tool: Option<String>,
    /// Index of the script rule that gave it.
    pub rule: Option<usize>,
}

/// Why an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    End,
    Length,
    Tool,
    Stop(String),
}

/// A generator that gives the same numbers for the same seed and prompt.
pub fn generator(seed: u64, purpose: &str, request: &Request) -> StdRng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    for part in [purpose, &request.model, &request.prompt] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    StdRng::from_seed(hasher.finalize().into())
}

/// `room` is what the context leaves for the answer, in tokens.
pub fn answer(seed: u64, script: &Script, request: &Request, room: u64) -> Answer {
    let mut rng = generator(seed, "answer", request);
    let tool = request.tool.as_ref();
    let schema = tool.map(|tool| &tool.schema).or(request.schema.as_ref());
    let scripted = script.answer(request).filter(|_| tool.is_none());
    let (rule, mut text) = match (scripted, schema) {
        (Some((index, text)), _) => (Some(index), text.to_owned()),
        (None, Some(schema)) => (None, schema::example(schema, &mut rng).to_string()),
        (None, None) => (None, sentences(&mut rng)),
    };
    let mut finish = if tool.is_some() {
        Finish::Tool
    } else {
        Finish::End
    };
    let first = |stop: &String| text.find(stop.as_str()).map(|at| (at, stop.clone()));
    if let Some((at, stop)) = request.stop.iter().filter_map(first).min() {
        text.truncate(at);
        finish = Finish::Stop(stop);
    }
    let mut pieces = tokens::pieces(&text);
    let limit = request.max_tokens.map_or(room, |max| max.min(room));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if pieces.len() > limit {
        pieces.truncate(limit);
        finish = Finish::Length;
    }
    Answer {
        pieces,
        finish,
        tool: tool.map(|tool| tool.name.clone()),
        rule,
    }
}

/// A short plausible text without names or numbers.
pub fn sentences(rng: &mut StdRng) -> String {
    let (opening, middle, closing) = (
        pick(rng, &OPENINGS),
        pick(rng, &MIDDLES),
        pick(rng, &CLOSINGS),
    );
    format!("{opening}, {middle}. {closing}")
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.get(rng.random_range(0..from.len().max(1)))
        .copied()
        .unwrap_or_default()
}
