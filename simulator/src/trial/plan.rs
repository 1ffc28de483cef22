//! What a model's server of a trial sends, byte for byte. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    script::{Fault, Hangup},
    words::{self, Saying},
};

/// A request as the server reads it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub seed: u64,
    pub model: usize,
    pub nth: usize,
    /// Anthropic's Messages API; else OpenAI's chat completions.
    pub messages: bool,
    pub stream: bool,
    pub choices: u64,
    pub cap: Option<u64>,
    /// As in the script.
    pub slips: Option<u64>,
}

/// What is done with the connection, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Until the other end goes away.
    Stall,
    Reset,
}

/// An answer.
#[derive(Debug, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Whether the connection takes another request.
    pub is_kept: bool,
    pub bill: Bill,
}

/// What the answer comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Tokens of the prompt: 0 where no model was asked.
    pub input: u64,
    /// Tokens of the answer that were sent before anything went wrong.
    pub output: u64,
    pub told: Told,
}

/// Whether the server said what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    #[default]
    No,
    /// To whom reads the stream as it is; who translates it may learn it from its end alone.
    Early,
    Yes,
}

/// An event of a stream, or all of a body.
struct Part {
    bytes: Vec<u8>,
    tokens: u64,
    counts: bool,
    ends: bool,
}

/// Plans the answer. `piece` is how many bytes are sent at a time.
pub fn plan(asked: Asked, fault: Option<Fault>, piece: usize) -> Plan {
    match fault {
        Some(Fault::Gone(end)) => gone(end),
        Some(Fault::Status(status, wait)) => refusal(status, wait),
        Some(Fault::Page(status)) => page(status),
        Some(Fault::Stall(0)) => Plan {
            steps: vec![Step::Stall],
            ..Plan::default()
        },
        fault => answer(asked, fault, piece),
    }
}

fn gone(end: Hangup) -> Plan {
    let steps = match end {
        Hangup::Close => Vec::new(),
        Hangup::Reset => vec![Step::Reset],
    };
    Plan {
        steps,
        ..Plan::default()
    }
}

fn refusal(status: u16, wait: Option<u64>) -> Plan {
    let body =
        json!({"error": {"message": "no", "type": "t", "param": null, "code": "c"}}).to_string();
    let wait = wait.map_or(String::new(), |wait| format!("retry-after-ms: {wait}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{wait}content-length: {}\r\n\r\n",
        body.len()
    );
    Plan {
        steps: vec![Step::Send((head + &body).into_bytes())],
        is_kept: true,
        bill: Bill::default(),
    }
}

fn page(status: u16) -> Plan {
    let body = "<html>Bad Gateway</html>";
    let head = format!(
        "HTTP/1.1 {status} Page\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Plan {
        steps: vec![Step::Send((head + body).into_bytes())],
        ..Plan::default()
    }
}

fn answer(asked: Asked, fault: Option<Fault>, piece: usize) -> Plan {
    let stream = asked.stream != (fault == Some(Fault::Form));
    let mut parts = if stream {
        events(asked, fault)
    } else {
        vec![body(asked, fault)]
    };
    if let Some(Fault::Garbage(at)) = fault {
        spoil(&mut parts, at, stream);
    }
    if let (Some(Fault::Told(at)), true) = (fault, stream) {
        parts.truncate(part_of(&parts, at));
        parts.push(Part::plain(failure(asked.messages)));
    }
    let whole: Vec<u8> = parts.iter().flat_map(|part| part.bytes.clone()).collect();
    let cut = match fault {
        Some(Fault::Cut(at, _) | Fault::Short(at) | Fault::Stall(at)) => Some(place(&parts, at)),
        Some(Fault::Length { longer: false }) => Some(place(&parts, 50)),
        _ => None,
    };
    let sent = whole.get(..cut.unwrap_or(whole.len())).unwrap_or_default();
    let length = match fault {
        Some(Fault::Short(_) | Fault::Length { longer: false }) => sent.len(),
        Some(Fault::Length { longer: true }) => whole.len() + 9,
        _ => whole.len(),
    };
    // A stream has no length to be wrong about, unless it is said.
    let chunked = stream && !matches!(fault, Some(Fault::Length { .. }));
    let breaks = matches!(
        fault,
        Some(Fault::Cut(..) | Fault::Stall(_) | Fault::Length { .. })
    );
    let mut steps = vec![Step::Send(head(stream, chunked, length))];
    let gap = match fault {
        Some(Fault::Gap(at, ms)) => Some((place(&parts, at), Duration::from_millis(ms))),
        _ => None,
    };
    send(&mut steps, sent, (piece, chunked), gap);
    match fault {
        Some(Fault::Stall(_)) => steps.push(Step::Stall),
        Some(Fault::Cut(_, Hangup::Reset)) => steps.push(Step::Reset),
        _ if chunked && !breaks => steps.push(Step::Send(b"0\r\n\r\n".to_vec())),
        _ => {}
    }
    let mut bill = bill(asked, &parts, sent.len());
    if asked.messages && fault == Some(Fault::Unended) && bill.told == Told::Yes {
        bill.told = Told::Early;
    }
    // In a body that cannot be read nothing is told.
    let unread =
        fault == Some(Fault::Form) || !stream && fault == Some(Fault::Length { longer: true });
    if unread {
        bill.told = Told::No;
    }
    Plan {
        steps,
        is_kept: !breaks,
        bill,
    }
}

/// What was sent of the parts.
fn bill(asked: Asked, parts: &[Part], sent: usize) -> Bill {
    let mut end = 0;
    let mut bill = Bill {
        input: input(asked),
        ..Bill::default()
    };
    for part in parts {
        end += part.bytes.len();
        if end > sent || part.ends {
            break;
        }
        bill.output += part.tokens;
        if part.counts {
            bill.told = Told::Early;
        }
    }
    if bill.told == Told::Early && (end <= sent || !asked.messages) {
        bill.told = Told::Yes;
    }
    bill
}

fn input(asked: Asked) -> u64 {
    7 + asked.seed % 5
}

fn head(stream: bool, chunked: bool, length: usize) -> Vec<u8> {
    let kind = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {length}")
    };
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n").into_bytes()
}

fn send(
    steps: &mut Vec<Step>,
    sent: &[u8],
    (piece, chunked): (usize, bool),
    gap: Option<(usize, Duration)>,
) {
    let mut begin = 0;
    let mut gap = gap;
    for bytes in sent.chunks(piece.max(1)) {
        begin += bytes.len();
        let framed = if chunked {
            let size = format!("{:x}\r\n", bytes.len()).into_bytes();
            [size.as_slice(), bytes, b"\r\n"].concat()
        } else {
            bytes.to_vec()
        };
        match steps.last_mut() {
            // Small pieces are many writes: enough of them show that any cut will do.
            Some(Step::Send(last)) if begin > 64 * piece => last.extend(framed),
            _ => steps.push(Step::Send(framed)),
        }
        if let Some((_, wait)) = gap.take_if(|(at, _)| begin >= *at) {
            steps.push(Step::Wait(wait));
        }
    }
}

/// The part at so many hundredths.
fn part_of(parts: &[Part], at: u64) -> usize {
    usize::try_from(at).unwrap_or_default() * parts.len() / 100
}

/// The byte at so many hundredths, never between an event and the empty line that ends it: whether it counts
/// then, depends on how the connection ends.
fn place(parts: &[Part], at: u64) -> usize {
    let all: usize = parts.iter().map(|part| part.bytes.len()).sum();
    let at = usize::try_from(at).unwrap_or_default() * all / 100;
    let mut end = 0;
    for part in parts {
        end += part.bytes.len();
        if at < end && at + 4 >= end {
            return end;
        }
    }
    at
}

fn spoil(parts: &mut Vec<Part>, at: u64, stream: bool) {
    if stream {
        let at = part_of(parts, at);
        parts.insert(
            at,
            Part::ending(b"data: {\"choices\":[{\"delta\":\n\n".to_vec()),
        );
        return;
    }
    for part in parts {
        part.bytes.pop();
        part.counts = false;
    }
}

fn failure(messages: bool) -> Vec<u8> {
    if messages {
        let error =
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
        return format!("event: error\ndata: {error}\n\n").into_bytes();
    }
    let error = json!({"error": {"message": "busy", "type": "t", "param": null, "code": "busy"}});
    format!("data: {error}\n\n").into_bytes()
}

impl Part {
    fn plain(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            tokens: 0,
            counts: false,
            ends: false,
        }
    }

    /// What comes after it is not for the caller.
    fn ending(bytes: Vec<u8>) -> Self {
        Self {
            ends: true,
            ..Self::plain(bytes)
        }
    }

    fn event(name: &str, data: &Value) -> Self {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!("event: {name}\n")
        };
        Self::plain(format!("{name}data: {data}\n\n").into_bytes())
    }
}

// === impl Asked ===

impl Asked {
    fn saying(self, choice: u64) -> Saying {
        Saying {
            seed: self.seed,
            model: self.model,
            nth: self.nth,
            choice,
            slips: self.slips,
        }
    }

    fn tokens(self) -> u64 {
        words::tokens(self.cap)
    }

    fn reason(self) -> &'static str {
        let is_cut = self.cap.is_some_and(|cap| cap == self.tokens());
        match (self.messages, is_cut) {
            (false, false) => "stop",
            (false, true) => "length",
            (true, false) => "end_turn",
            (true, true) => "max_tokens",
        }
    }

    fn usage(self) -> Value {
        let (input, output) = (input(self), self.tokens() * self.choices);
        if self.messages {
            return json!({"input_tokens": input, "output_tokens": output});
        }
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }
}

fn body(asked: Asked, fault: Option<Fault>) -> Part {
    let (tokens, counts) = (asked.tokens(), fault != Some(Fault::Uncounted));
    let usage = if counts { asked.usage() } else { Value::Null };
    let whole = |choice| asked.saying(choice).whole(tokens);
    let body = if asked.messages {
        // Without usage it is no message: it is left at nothing.
        let usage = if counts { usage } else { json!({}) };
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
            "content": [{"type": "text", "text": whole(0)}],
            "stop_reason": asked.reason(), "stop_sequence": null, "usage": usage})
    } else {
        let choices: Vec<_> = (0..asked.choices)
            .map(|choice| {
                json!({"index": choice, "message": {"role": "assistant", "content": whole(choice)},
                    "finish_reason": asked.reason()})
            })
            .collect();
        json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
            "choices": choices, "usage": usage})
    };
    Part {
        bytes: body.to_string().into_bytes(),
        tokens: tokens * asked.choices,
        counts,
        ends: false,
    }
}

fn events(asked: Asked, fault: Option<Fault>) -> Vec<Part> {
    let mut parts = if asked.messages {
        message(asked, fault)
    } else {
        chunks(asked, fault)
    };
    match fault {
        Some(Fault::Unended) => drop(parts.pop()),
        Some(Fault::Noise) => parts = noise(parts),
        _ => {}
    }
    parts
}

fn chunks(asked: Asked, fault: Option<Fault>) -> Vec<Part> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up",
            "choices": choices});
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        Part::event("", &chunk)
    };
    let of = |choice: u64, delta: Value, reason: Value| {
        let choice = json!({"index": choice, "delta": delta, "finish_reason": reason});
        chunk(json!([choice]), Value::Null)
    };
    let each = || 0..asked.choices;
    let mut parts: Vec<_> = each()
        .map(|choice| {
            of(
                choice,
                json!({"role": "assistant", "content": ""}),
                Value::Null,
            )
        })
        .collect();
    for number in 0..asked.tokens() {
        parts.extend(each().map(|choice| {
            let delta = json!({"content": asked.saying(choice).token(number)});
            Part {
                tokens: 1,
                ..of(choice, delta, Value::Null)
            }
        }));
    }
    parts.extend(each().map(|choice| of(choice, json!({}), json!(asked.reason()))));
    if fault != Some(Fault::Uncounted) {
        parts.push(Part {
            counts: true,
            ..chunk(json!([]), asked.usage())
        });
    }
    parts.push(Part::plain(b"data: [DONE]\n\n".to_vec()));
    parts
}

fn message(asked: Asked, fault: Option<Fault>) -> Vec<Part> {
    let event = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        Part::event(name, &data)
    };
    let counts = fault != Some(Fault::Uncounted);
    let begun = if counts {
        json!({"input_tokens": input(asked), "output_tokens": 1})
    } else {
        json!({})
    };
    let start = json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": begun}});
    let block = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    let mut parts = vec![
        event("message_start", start),
        event("content_block_start", block),
    ];
    parts.extend((0..asked.tokens()).map(|number| {
        let delta = json!({"type": "text_delta", "text": asked.saying(0).token(number)});
        Part {
            tokens: 1,
            ..event("content_block_delta", json!({"index": 0, "delta": delta}))
        }
    }));
    parts.push(event("content_block_stop", json!({"index": 0})));
    let mut end = json!({"delta": {"stop_reason": asked.reason(), "stop_sequence": null}});
    if counts {
        end["usage"] = json!({"output_tokens": asked.tokens()});
    }
    parts.push(Part {
        counts,
        ..event("message_delta", end)
    });
    parts.push(event("message_stop", json!({})));
    parts
}

/// Adds what a reader of event streams passes over.
fn noise(parts: Vec<Part>) -> Vec<Part> {
    let mut noisy = Vec::new();
    for (number, part) in parts.into_iter().enumerate() {
        match number % 4 {
            0 => noisy.push(Part::plain(b": keep-alive\n\n".to_vec())),
            1 => noisy.push(Part::plain(b"data:\n\n".to_vec())),
            2 => noisy.push(Part::plain(b"\r\n".to_vec())),
            _ => {}
        }
        let text = String::from_utf8_lossy(&part.bytes).replace('\n', "\r\n");
        let twice = number == 0 && !text.contains("message_start");
        if twice {
            noisy.push(Part::plain(text.clone().into_bytes()));
        }
        noisy.push(Part {
            bytes: text.into_bytes(),
            ..part
        });
    }
    noisy
}

#[cfg(test)]
mod tests {
    use super::{Asked, Bill, Fault, Hangup, Plan, Step, Told, plan};

    fn planned(fault: Option<Fault>, stream: bool) -> Plan {
        let asked = Asked {
            seed: 3,
            model: 1,
            nth: 0,
            messages: false,
            stream,
            choices: 1,
            cap: None,
            slips: None,
        };
        plan(asked, fault, 100_000)
    }

    fn sent(plan: &Plan) -> String {
        let bytes = plan.steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>().concat()).into_owned()
    }

    #[test]
    fn a_whole_answer_is_billed_as_it_says() {
        for stream in [false, true] {
            let plan = planned(None, stream);
            assert!(plan.is_kept);
            let whole = Bill {
                input: 10,
                output: 12,
                told: Told::Yes,
            };
            assert_eq!(plan.bill, whole);
            assert!(sent(&plan).contains("\"completion_tokens\":12"));
        }
    }

    #[test]
    fn of_a_cut_answer_what_was_sent_is_billed() {
        let plan = planned(Some(Fault::Cut(50, Hangup::Close)), true);
        assert!(!plan.is_kept && plan.bill.told == Told::No);
        let text = sent(&plan);
        let (whole, _) = text.rsplit_once("\n\n").unwrap();
        assert_eq!(whole.matches("<t3>").count() as u64, plan.bill.output);
        assert!(plan.bill.output > 0 && plan.bill.output < 12, "{text}");
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        for fault in [
            Fault::Status(429, Some(3)),
            Fault::Page(502),
            Fault::Gone(Hangup::Reset),
        ] {
            assert_eq!(planned(Some(fault), true).bill, Bill::default());
        }
    }
}
