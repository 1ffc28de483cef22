//! Policy on a stream: each text of each choice has a lane of its own, which releases it up to where a match
//! could begin. What can be judged as a whole alone is held to its end, as the arguments of tools are.

use std::time::{Duration, Instant};

use aios_crds::policy_set::CallSide;
use aios_policy::{Pushed, StreamScanner, VerdictAction};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    Blocked, INPUTS, Judge, Shield, Stop,
    channel::{Channel, Node},
    part,
    texts::{Piece, Texts, said, spliced, texts},
    unread,
};
use crate::{dialect::openai::Operation, error::ApiError, sse::Event};

/// Longest name of an event that is told on.
const EVENT_NAME: usize = 40;
/// Most texts at once: each holds what came of it.
const LANES: usize = 256;

/// One stream under policy.
pub struct Shielded {
    shield: Shield,
    root: Node,
    lanes: Vec<Lane>,
    /// Choices or blocks that ended: nothing more may come of them.
    ended: Vec<u64>,
    /// The first event with text, of which those are made that no model sent.
    envelope: Option<Value>,
    /// Bytes that are held, as the metric counts them.
    held: usize,
}

/// One text while it comes.
struct Lane {
    channel: Channel,
    field: &'static str,
    of: u64,
    call: u64,
    text: Text,
    /// Released, and not told yet.
    pending: String,
    /// What its pieces took to judge so far.
    took: Duration,
}

enum Text {
    Scanned(Box<StreamScanner<'static>>),
    /// JSON in pieces, which says nothing before its end.
    Kept(String),
}

impl Shielded {
    pub(super) fn new(shield: Shield, operation: Operation) -> Self {
        Self {
            shield,
            root: match operation {
                Operation::Messages => Node::Event,
                _ => Node::Completion,
            },
            lanes: Vec::new(),
            ended: Vec::new(),
            envelope: None,
            held: 0,
        }
    }

    /// What may be told of an event: often less, or nothing; at the end of a choice more.
    ///
    /// # Errors
    /// `AnswerBlocked`, or `UpstreamMalformed`.
    pub fn push(&mut self, event: Event) -> Result<Vec<Event>, ApiError> {
        let Some(data) = &event.data else {
            // A comment can hold anything; that there is one says that the server lives.
            return Ok(vec![Event {
                raw: ":\n\n".into(),
                name: None,
                data: None,
            }]);
        };
        let found = texts(data.as_bytes(), self.root).ok_or_else(unread)?;
        let told = self.judged(data, found)?;
        self.count();
        Ok(told.into_events(event))
    }

    /// What is still to be told at the end of the stream.
    ///
    /// # Errors
    /// `AnswerBlocked`.
    pub fn finish(&mut self) -> Result<Vec<Event>, ApiError> {
        let mut rest = Vec::new();
        while let Some(lane) = self.lanes.first() {
            let of = lane.of;
            rest.extend(self.end(of)?);
        }
        self.count();
        Ok(rest)
    }

    /// What was scanned, and what was said of it.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut report = self.shield.report.clone();
        for lane in &self.lanes {
            report.scanned(lane.channel, lane.received());
        }
        report.write(headers);
    }

    fn judged(&mut self, data: &str, found: Texts) -> Result<Told, ApiError> {
        self.shield.report.stripped(found.stripped.len());
        let stripped = found.stripped.into_iter();
        let mut edits: Vec<_> = stripped.map(|range| (range, "null".to_owned())).collect();
        let mut held_all = !found.pieces.is_empty() && found.ended.is_empty();
        for piece in found.pieces {
            let token = data.as_bytes().get(piece.range.clone()).unwrap_or_default();
            let text = said(token).ok_or_else(unread)?;
            let ends = found.ended.contains(&piece.of);
            let known = self.lane(&piece).is_some();
            let changed = self.piece(&piece, &text, ends, data)?;
            let is_held = changed.as_deref() == Some("") && known && !text.is_empty();
            held_all &= is_held;
            edits.extend(changed.map(|text| (piece.range, Value::String(text).to_string())));
        }
        let mut before = Vec::new();
        for of in found.ended {
            before.extend(self.end(of)?);
            self.ended.push(of);
        }
        let data = if edits.is_empty() {
            None
        } else {
            let spliced = spliced(data.as_bytes(), edits).ok_or_else(unread)?;
            Some(String::from_utf8(spliced).map_err(|_| unread())?)
        };
        Ok(Told {
            before,
            data,
            dropped: held_all,
        })
    }

    /// What may be told of one piece in its place; none where that is the piece.
    fn piece(
        &mut self,
        piece: &Piece,
        text: &str,
        ends: bool,
        data: &str,
    ) -> Result<Option<String>, ApiError> {
        if text.is_empty() {
            return Ok(None);
        }
        if piece.field.is_empty() {
            return self.alone(piece.channel, text);
        }
        if self.ended.contains(&piece.of) {
            let error = "more text after its end".to_owned();
            return Err(ApiError::UpstreamMalformed(error));
        }
        if self.envelope.is_none() {
            self.envelope = serde_json::from_str(data).ok();
        }
        self.open(piece)?;
        let Some(lane) = self.lane(piece) else {
            return Err(unread());
        };
        let pushed = lane.push(text);
        let took = lane.took;
        let released = match pushed {
            Ok(released) => released,
            Err(blocked) => return Err(self.refused(piece.channel, took, blocked)),
        };
        let Some(lane) = self.lane(piece).filter(|_| ends) else {
            return Ok((released != text).then_some(released));
        };
        // What is still held follows it, before the event that ends them.
        lane.pending.push_str(&released);
        Ok(Some(String::new()))
    }

    fn refused(&mut self, channel: Channel, took: Duration, blocked: Blocked) -> ApiError {
        let Shield {
            metrics, report, ..
        } = &mut self.shield;
        let action = VerdictAction::Block;
        let meters = &metrics.policy;
        meters.judged(CallSide::Answer, channel, action, took);
        report.blocked(&blocked.policy, &blocked.rule);
        blocked.in_answer()
    }

    /// A text that does not come in pieces. What no table knows could, and is left out.
    fn alone(&mut self, channel: Channel, text: &str) -> Result<Option<String>, ApiError> {
        if channel == Channel::Other {
            self.shield.report.stripped(1);
            return Ok(Some(String::new()));
        }
        let judged = self.judge(|judge| judge.text(channel, text).map_err(Stop::Blocked));
        judged.map_err(Stop::of_answer)
    }

    fn open(&mut self, piece: &Piece) -> Result<(), ApiError> {
        if self.lane(piece).is_some() {
            return Ok(());
        }
        if self.lanes.len() == LANES {
            let error = format!("more than {LANES} texts at once");
            return Err(ApiError::UpstreamMalformed(error));
        }
        let text = if piece.json {
            Text::Kept(String::new())
        } else {
            let Some(stack) = &self.shield.guard.answer else {
                return Ok(());
            };
            let part = part(piece.channel).map_err(Blocked::in_answer)?;
            Text::Scanned(Box::new(StreamScanner::new(stack, part, &INPUTS)))
        };
        self.lanes.push(Lane {
            channel: piece.channel,
            field: piece.field,
            of: piece.of,
            call: piece.call,
            text,
            pending: String::new(),
            took: Duration::ZERO,
        });
        Ok(())
    }

    fn lane(&mut self, piece: &Piece) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| {
            lane.field == piece.field && (lane.of, lane.call) == (piece.of, piece.call)
        })
    }

    /// Ends the texts of a choice or a block: what is to be told before the event that ends it.
    fn end(&mut self, of: u64) -> Result<Vec<Event>, ApiError> {
        let mut rest = Vec::new();
        while let Some(at) = self.lanes.iter().position(|lane| lane.of == of) {
            let Lane {
                channel,
                field,
                of,
                call,
                text,
                mut pending,
                took,
            } = self.lanes.remove(at);
            let more = match text {
                Text::Kept(text) => {
                    let judged = self.judge(|judge| judge.json_text(&text));
                    judged.map_err(Stop::of_answer)?.unwrap_or(text)
                }
                Text::Scanned(scanner) => self
                    .judge(|judge| judge.finished(channel, *scanner, took))
                    .map_err(Stop::of_answer)?,
            };
            pending.push_str(&more);
            if !pending.is_empty() {
                rest.push(self.made((field, of, call), &pending));
            }
        }
        Ok(rest)
    }

    /// An event that no model sent, with a text that one did.
    fn made(&self, (field, of, call): (&str, u64, u64), text: &str) -> Event {
        if self.root == Node::Event {
            let kind = match field {
                "thinking" => "thinking_delta",
                "partial_json" => "input_json_delta",
                _ => "text_delta",
            };
            let mut delta = Map::from_iter([("type".to_owned(), json!(kind))]);
            delta.insert(field.to_owned(), json!(text));
            let data = json!({"type": "content_block_delta", "index": of, "delta": delta});
            return with_data(Some("content_block_delta"), &data.to_string());
        }
        let delta = match field {
            "function" => {
                json!({"tool_calls": [{"index": call, "function": {"arguments": text}}]})
            }
            "function_call" => json!({"function_call": {"arguments": text}}),
            field => Value::Object(Map::from_iter([(field.to_owned(), json!(text))])),
        };
        let of_envelope = |name: &str| self.envelope.as_ref()?.get(name).cloned();
        let mut chunk = Map::new();
        for name in ["id", "object", "created", "model", "system_fingerprint"] {
            chunk.extend(of_envelope(name).map(|value| (name.to_owned(), value)));
        }
        let choice = json!([{"index": of, "delta": delta, "finish_reason": null}]);
        chunk.insert("choices".to_owned(), choice);
        with_data(None, &Value::Object(chunk).to_string())
    }

    fn judge<T>(
        &mut self,
        judge: impl FnOnce(&mut Judge<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let guard = self.shield.guard.clone();
        let of_answers = self.shield.judge_of_answers(&guard);
        judge(&mut of_answers.ok_or(Stop::Unread)?)
    }

    /// Tells the metric how much is held.
    fn count(&mut self) {
        let held = self.lanes.iter().map(Lane::held).sum();
        self.shield.metrics.policy.held(self.held, held);
        self.held = held;
    }
}

impl Drop for Shielded {
    fn drop(&mut self) {
        self.shield.metrics.policy.held(self.held, 0);
    }
}

impl Lane {
    /// What is released by a piece.
    fn push(&mut self, piece: &str) -> Result<String, Blocked> {
        match &mut self.text {
            Text::Kept(text) => {
                text.push_str(piece);
                Ok(String::new())
            }
            Text::Scanned(scanner) => {
                let started = Instant::now();
                let pushed = scanner.push(piece);
                self.took += started.elapsed();
                match pushed {
                    Pushed::Released(text) => Ok(text),
                    Pushed::Held => Ok(String::new()),
                    Pushed::Blocked(finding) => Err(Blocked::by(&finding)),
                }
            }
        }
    }

    fn received(&self) -> usize {
        match &self.text {
            Text::Kept(text) => text.len(),
            Text::Scanned(scanner) => scanner.received(),
        }
    }

    fn held(&self) -> usize {
        let held = match &self.text {
            Text::Kept(text) => text.len(),
            Text::Scanned(scanner) => scanner.held(),
        };
        held + self.pending.len()
    }
}

impl Judge<'_> {
    /// What may follow at the end of a text.
    fn finished(
        &mut self,
        channel: Channel,
        scanner: StreamScanner<'static>,
        took: Duration,
    ) -> Result<String, Stop> {
        self.report.scanned(channel, scanner.received());
        let started = Instant::now();
        let finished = scanner.finish();
        let took = took + started.elapsed();
        let finished =
            finished.map_err(|error| Stop::Blocked(Blocked::unjudged(&error.to_string())))?;
        let judged = self.judged(channel, &finished.evaluation, took);
        judged.map_err(Stop::Blocked)?;
        let late = || Stop::Blocked(Blocked::unjudged("it reaches back into what was told"));
        finished.rest.ok_or_else(late)
    }
}

/// What becomes of an event.
struct Told {
    /// Goes before it.
    before: Vec<Event>,
    /// Its data, where they changed.
    data: Option<String>,
    /// Whether nothing is left of it.
    dropped: bool,
}

impl Told {
    fn into_events(self, event: Event) -> Vec<Event> {
        let mut events = self.before;
        if self.dropped {
            return events;
        }
        let name = event.name.as_deref().filter(|name| is_name(name));
        events.push(match self.data {
            Some(data) => with_data(name, &data),
            None if is_plain(&event, name) => event,
            None => with_data(name, event.data.as_deref().unwrap_or_default()),
        });
        events
    }
}

fn with_data(name: Option<&str>, data: &str) -> Event {
    // Between the texts of JSON, and not in them.
    let data = data.replace(['\n', '\r'], " ");
    let raw = match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    };
    Event {
        raw: raw.into(),
        name: name.map(str::to_owned),
        data: Some(data),
    }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    name.len() <= EVENT_NAME && name.bytes().all(inner)
}

/// Whether the event says nothing but its name and its data.
fn is_plain(event: &Event, name: Option<&str>) -> bool {
    let plain = || {
        let mut rest: &[u8] = &event.raw;
        if let Some(name) = name {
            rest = rest.strip_prefix(b"event: ")?;
            rest = rest.strip_prefix(name.as_bytes())?.strip_prefix(b"\n")?;
        }
        let data = rest.strip_prefix(b"data: ")?.strip_suffix(b"\n\n")?;
        Some(data == event.data.as_deref()?.as_bytes())
    };
    plain() == Some(true)
}
