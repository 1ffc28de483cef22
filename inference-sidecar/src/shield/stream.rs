//! Policy on a stream: each text of each choice has a lane of its own, which releases it up to where a match
//! could begin. What can be judged as a whole alone is held to its end, as calls of tools are.
//!
//! What is told comes in the order of a whole answer, thoughts, text, tools, for readers open one after the other:
//! where another kind of text begins, the one before is told to its end.

use std::time::Duration;

use aios_crds::policy_set::CallSide;
use aios_policy::{StreamScanner, VerdictAction};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    Blocked, INPUTS, Judge, Shield, Stop,
    calls::Call,
    channel::{Channel, Node},
    lane::{Lane, Text, phase},
    part,
    texts::{Calls, Form, Piece, Texts, said, spliced, texts},
    unread,
};
use crate::{dialect::openai::Operation, error::ApiError, limits::may_keep, sse::Event};

/// Longest name of an event that is told on.
const EVENT_NAME: usize = 40;
/// Most texts at once: each holds what came of it.
const LANES: usize = 256;
/// Most choices and blocks, one after the other.
const ENDED: usize = 4096;

/// One stream under policy.
pub struct Shielded {
    shield: Shield,
    root: Node,
    lanes: Vec<Lane>,
    /// Tools that are called so far.
    calls: Vec<Call>,
    /// Choices or blocks that ended: nothing more may come of them.
    ended: Vec<u64>,
    /// The first event with text, of which those are made that no model sent.
    envelope: Option<Value>,
    /// Bytes that are held, as the metric counts them.
    held: usize,
    /// Bytes of all texts and calls so far.
    received: usize,
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
            calls: Vec::new(),
            ended: Vec::new(),
            envelope: None,
            held: 0,
            received: 0,
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
        let unfinished = |shielded: &Self| {
            let of_lanes = shielded.lanes.iter().map(|lane| lane.of);
            let of_calls = shielded.calls.iter().map(|call| call.of);
            of_lanes.chain(of_calls).min()
        };
        while let Some(of) = unfinished(self) {
            rest.extend(self.end(of)?);
        }
        self.count();
        Ok(rest)
    }

    /// Counts what came of texts that did not end: nothing more comes.
    pub fn close(&mut self) {
        let report = &self.shield.report;
        for lane in self.lanes.drain(..) {
            report.scanned(lane.channel, lane.received());
        }
        for call in self.calls.drain(..) {
            report.scanned(Channel::ToolArguments, call.held());
        }
    }

    /// What was scanned, and what was said of it.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.shield.report.write(headers);
    }

    fn judged(&mut self, data: &str, found: Texts) -> Result<Told, ApiError> {
        if found.twice {
            let error = "an event says one text twice".to_owned();
            return Err(ApiError::UpstreamMalformed(error));
        }
        self.shield.report.stripped(found.stripped.len());
        let nulls = found.calls.iter().map(|calls| &calls.range);
        let nulls = nulls.chain(&found.stripped).cloned();
        let mut edits: Vec<_> = nulls.map(|range| (range, "null".to_owned())).collect();
        let mut pieces = found.pieces;
        let mut held_all = !pieces.is_empty() && found.ended.is_empty();
        for calls in &found.calls {
            let all = data.get(calls.range.clone()).unwrap_or_default();
            held_all &= self.called(calls, all, data)?;
            pieces.retain(|piece| !calls.range.contains(&piece.range.start));
        }
        pieces.sort_by_key(|piece| phase(piece.field));
        let mut before = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let token = data.as_bytes().get(piece.range.clone()).unwrap_or_default();
            let text = said(token).ok_or_else(unread)?;
            let later = pieces.get(at + 1..).unwrap_or_default();
            let ends = found.ended.contains(&piece.of) || later.iter().any(|p| p.follows(piece));
            let known = self.lane(piece).is_some();
            if !(text.is_empty() || piece.field.is_empty()) {
                before.extend(self.leave(piece.of, phase(piece.field))?);
            }
            let changed = self.piece(piece, &text, ends, data)?;
            let is_held = changed.as_deref() == Some("") && known && !text.is_empty();
            held_all &= is_held;
            let token = |text| (piece.range.clone(), Value::String(text).to_string());
            edits.extend(changed.map(token));
        }
        for of in found.ended {
            before.extend(self.end(of)?);
            if !self.ended.contains(&of) {
                if self.ended.len() == ENDED {
                    let error = format!("more than {ENDED} choices or blocks");
                    return Err(ApiError::UpstreamMalformed(error));
                }
                self.ended.push(of);
            }
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

    /// Holds what came of calls; whether something came of each before.
    fn called(&mut self, calls: &Calls, all: &str, data: &str) -> Result<bool, ApiError> {
        self.keeps(all.len())?;
        let mut known = true;
        let pieces = Call::pieces(all).ok_or_else(unread)?;
        for (index, piece) in pieces {
            self.goes_on(calls.of, data)?;
            let open = |call: &&mut Call| (call.of, call.index) == (calls.of, index);
            let stripped = if let Some(call) = self.calls.iter_mut().find(open) {
                call.push(piece)
            } else {
                known = false;
                self.has_room()?;
                let mut call = Call::new(calls.of, index);
                let stripped = call.push(piece);
                self.calls.push(call);
                stripped
            };
            self.shield.report.stripped(stripped);
        }
        Ok(known)
    }

    /// Lanes keep what they released, too.
    fn keeps(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.received += bytes;
        may_keep(self.received).map_err(ApiError::UpstreamMalformed)
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
        self.keeps(text.len())?;
        if piece.field.is_empty() {
            return self.alone(piece.channel, text);
        }
        self.goes_on(piece.of, data)?;
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

    /// Notes the event that more comes in of a choice.
    fn goes_on(&mut self, of: u64, data: &str) -> Result<(), ApiError> {
        if self.ended.contains(&of) {
            let error = "more text after its end".to_owned();
            return Err(ApiError::UpstreamMalformed(error));
        }
        if self.envelope.is_none() {
            self.envelope = serde_json::from_str(data).ok();
        }
        Ok(())
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
        self.has_room()?;
        let text = if piece.form == Form::Json {
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
            text,
            pending: String::new(),
            took: Duration::ZERO,
        });
        Ok(())
    }

    fn has_room(&self) -> Result<(), ApiError> {
        if self.lanes.len() + self.calls.len() < LANES {
            return Ok(());
        }
        let error = format!("more than {LANES} texts at once");
        Err(ApiError::UpstreamMalformed(error))
    }

    fn lane(&mut self, piece: &Piece) -> Option<&mut Lane> {
        self.lanes
            .iter_mut()
            .find(|lane| lane.field == piece.field && lane.of == piece.of)
    }

    /// Tells texts of a choice to their ends where another kind begins.
    fn leave(&mut self, of: u64, begins: u8) -> Result<Vec<Event>, ApiError> {
        let left = |lane: &Lane| {
            lane.of == of && lane.phase() != begins && matches!(lane.text, Text::Scanned(_))
        };
        let mut rest = Rest::default();
        while let Some(at) = self.lanes.iter().position(left) {
            let mut lane = self.lanes.remove(at);
            let mut told = lane.told().to_owned();
            let more = self.finished(&mut lane)?;
            told.push_str(&more);
            rest.add(&lane, more);
            lane.text = Text::Resumed {
                told: told.len(),
                text: told,
            };
            self.lanes.push(lane);
        }
        Ok(self.events(of, rest))
    }

    /// Ends the texts of a choice or a block: what is to be told before the event that ends it.
    fn end(&mut self, of: u64) -> Result<Vec<Event>, ApiError> {
        let mut rest = Rest::default();
        let next = |shielded: &Self| {
            let lanes = shielded.lanes.iter().enumerate();
            let lanes = lanes.filter(|(_, lane)| lane.of == of);
            Some(lanes.min_by_key(|(_, lane)| lane.phase())?.0)
        };
        while let Some(at) = next(self) {
            let mut lane = self.lanes.remove(at);
            let more = self.finished(&mut lane)?;
            rest.add(&lane, more);
        }
        self.calls.sort_by_key(|call| call.index);
        while let Some(at) = self.calls.iter().position(|call| call.of == of) {
            let call = self.calls.remove(at);
            let judged = self.judge(|judge| judge.call(call));
            rest.called(judged.map_err(Stop::of_answer)?);
        }
        Ok(self.events(of, rest))
    }

    /// What may follow what was told of a text.
    fn finished(&mut self, lane: &mut Lane) -> Result<String, ApiError> {
        let (channel, took) = (lane.channel, lane.took);
        let text = std::mem::take(&mut lane.text);
        let more = self.judge(|judge| match text {
            Text::Kept(text) => Ok(judge.json_text(&text)?.unwrap_or(text)),
            Text::Scanned(scanner) => judge.finished(channel, *scanner, took),
            Text::Resumed { text, told } => judge.resumed(channel, &text, told),
        });
        let mut pending = std::mem::take(&mut lane.pending);
        pending.push_str(&more.map_err(Stop::of_answer)?);
        Ok(pending)
    }

    /// Events that no model sent, with texts that one did.
    fn events(&self, of: u64, rest: Rest) -> Vec<Event> {
        let deltas = rest.deltas.into_iter().map(|(_, delta)| delta);
        deltas.map(|delta| self.made(of, delta)).collect()
    }

    fn made(&self, of: u64, mut delta: Map<String, Value>) -> Event {
        if self.root == Node::Event {
            let kind = match delta.keys().next().map(String::as_str) {
                Some("thinking") => "thinking_delta",
                Some("partial_json") => "input_json_delta",
                _ => "text_delta",
            };
            delta.insert("type".to_owned(), json!(kind));
            let data = json!({"type": "content_block_delta", "index": of, "delta": delta});
            return with_data(Some("content_block_delta"), &data.to_string());
        }
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
        let of_lanes = self.lanes.iter().map(Lane::held);
        let held = of_lanes.chain(self.calls.iter().map(Call::held)).sum();
        self.shield.metrics.policy.held(self.held, held);
        self.held = held;
    }
}

impl Drop for Shielded {
    fn drop(&mut self) {
        self.close();
        self.shield.metrics.policy.held(self.held, 0);
    }
}

/// Texts that are to be told, in their order: those of one kind together.
#[derive(Default)]
struct Rest {
    deltas: Vec<(Option<u8>, Map<String, Value>)>,
}

impl Rest {
    fn add(&mut self, lane: &Lane, text: String) {
        if text.is_empty() {
            return;
        }
        let value = match lane.field {
            "function_call" => json!({ "arguments": text }),
            _ => Value::String(text),
        };
        let field = lane.field.to_owned();
        match self.deltas.last_mut() {
            Some((phase, delta)) if *phase == Some(lane.phase()) => {
                delta.insert(field, value);
            }
            _ => {
                let delta = Map::from_iter([(field, value)]);
                self.deltas.push((Some(lane.phase()), delta));
            }
        }
    }

    fn called(&mut self, call: Value) {
        let calls = Value::Array(vec![call]);
        let delta = Map::from_iter([("tool_calls".to_owned(), calls)]);
        self.deltas.push((None, delta));
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
