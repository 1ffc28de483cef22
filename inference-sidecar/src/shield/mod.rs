//! Policy on the texts of calls: what a model is asked before it leaves the pod, what it answers before
//! the caller sees a word. Every text is judged by itself, in the dialect that the model speaks; what is told in
//! another dialect is made of what passed.

mod calls;
mod channel;
mod encoded;
mod escaped;
mod lane;
mod meters;
mod report;
mod stream;
mod texts;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use aios_crds::policy_set::CallSide;
use aios_policy::{
    Document, Evaluation, Finding, Inputs, Part, PartKind, PartName, PolicyStack, VerdictAction,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

pub use meters::Meters;
pub use stream::Shielded;

use self::{
    channel::{Channel, Node},
    encoded::again,
    report::Report,
    texts::{Form, Piece, Run, said, spliced, texts},
};
use crate::{dialect::openai::Operation, error::ApiError, metrics::Metrics, snapshot::Guard};

/// Of a call nothing is known but its text.
static INPUTS: Inputs<'static> = Inputs {
    variables: &NOTHING,
    labels: &NO_LABELS,
    language: "",
    passages: &[],
    template: &[],
    step: aios_policy::Step::Final,
};
static NOTHING: Value = Value::Null;
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// What judges one call.
pub struct Shield {
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    report: Report,
}

impl Shield {
    pub fn new(guard: Arc<Guard>, metrics: Arc<Metrics>) -> Self {
        Self {
            guard,
            metrics,
            report: Report::default(),
        }
    }

    /// What may be asked: the body, or the same with other words.
    ///
    /// # Errors
    /// `PromptBlocked`, or `InvalidJson`.
    pub fn prompt(&mut self, body: Bytes) -> Result<Bytes, ApiError> {
        let guard = self.guard.clone();
        let Some(stack) = &guard.prompt else {
            return Ok(body);
        };
        let mut judge = Judge {
            stack,
            side: CallSide::Prompt,
            metrics: &self.metrics,
            report: &self.report,
        };
        let changed = judge.json(&body, Node::Request).map_err(Stop::of_prompt)?;
        Ok(changed.map_or(body, Bytes::from))
    }

    /// What of a whole answer may be told.
    ///
    /// # Errors
    /// `AnswerBlocked`, or `UpstreamMalformed`.
    pub fn answer(&mut self, operation: Operation, body: Bytes) -> Result<Bytes, ApiError> {
        let root = match operation {
            Operation::Chat => Node::Completion,
            Operation::Messages => Node::Message,
            Operation::Embeddings | Operation::Moderations => Node::Figures,
        };
        self.told(body, root)
    }

    /// What of a server's own refusal may be told.
    ///
    /// # Errors
    /// As of [`Self::answer`].
    pub fn refusal(&mut self, body: Bytes) -> Result<Bytes, ApiError> {
        self.told(body, channel::OTHER)
    }

    /// The same, with what servers say of their failures judged.
    pub fn failure(&mut self, error: ApiError) -> ApiError {
        let ApiError::RoutesExhausted(mut notes) = error else {
            return error;
        };
        let guard = self.guard.clone();
        let Some(mut judge) = self.judge_of_answers(&guard) else {
            return ApiError::RoutesExhausted(notes);
        };
        for note in &mut notes {
            match judge.text(Channel::Other, &note.detail) {
                Ok(None) => {}
                Ok(Some(changed)) => note.detail = changed,
                Err(_) => "a policy withholds why".clone_into(&mut note.detail),
            }
        }
        ApiError::RoutesExhausted(notes)
    }

    fn told(&mut self, body: Bytes, root: Node) -> Result<Bytes, ApiError> {
        let guard = self.guard.clone();
        let Some(mut judge) = self.judge_of_answers(&guard) else {
            return Ok(body);
        };
        let changed = judge.json(&body, root).map_err(Stop::of_answer)?;
        Ok(changed.map_or(body, Bytes::from))
    }

    fn judge_of_answers<'a>(&'a mut self, guard: &'a Guard) -> Option<Judge<'a>> {
        Some(Judge {
            stack: guard.answer.as_ref()?,
            side: CallSide::Answer,
            metrics: &self.metrics,
            report: &self.report,
        })
    }

    /// What judges a stream; none where no rule judges answers. What it finds is said at the end.
    pub fn stream(self, operation: Operation, headers: &mut HeaderMap) -> Option<Box<Shielded>> {
        if self.guard.answer.is_none() {
            self.write(headers);
            return None;
        }
        self.write_digest(headers);
        let trailers = HeaderValue::from_static(report::AT_THE_END);
        headers.append(header::TRAILER, trailers);
        Some(Box::new(Shielded::new(self, operation)))
    }

    /// Which policies judged, what was scanned, and what was said of it.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.write_digest(headers);
        self.report.write(headers);
    }

    /// What the record says of it once the call ended.
    pub fn judged(&self) -> Judged {
        Judged {
            guard: self.guard.clone(),
            report: self.report.clone(),
        }
    }

    fn write_digest(&self, headers: &mut HeaderMap) {
        if let Ok(digest) = HeaderValue::from_str(&self.guard.digest) {
            headers.insert(report::POLICY, digest);
        }
    }
}

/// What becomes known of a call while rules judge it.
pub struct Judged {
    guard: Arc<Guard>,
    report: Report,
}

impl Judged {
    /// Whether a rule refused the call.
    pub fn is_blocked(&self) -> bool {
        self.report.is_blocked()
    }

    pub fn record(&self) -> aios_audit::Judged<'static> {
        self.report.record(&self.guard.digest)
    }
}

/// Why a body does not go on.
enum Stop {
    /// It can't be read.
    Unread,
    /// It says words by their numbers in a model's vocabulary.
    Tokens,
    Blocked(Blocked),
}

/// Which rule refuses a text.
struct Blocked {
    policy: String,
    rule: String,
    message: String,
}

/// Judges texts of one side of a call.
struct Judge<'a> {
    stack: &'a PolicyStack,
    side: CallSide,
    metrics: &'a Metrics,
    report: &'a Report,
}

impl Judge<'_> {
    /// Judges every text in JSON; none where it stays as it is.
    fn json(&mut self, json: &[u8], root: Node) -> Result<Option<Vec<u8>>, Stop> {
        let found = texts(json, root).ok_or(Stop::Unread)?;
        if found.tokens {
            return Err(Stop::Tokens);
        }
        self.report.stripped(found.stripped.len());
        let stripped = found.stripped.into_iter();
        let mut edits: Vec<_> = stripped.map(|range| (range, "null".to_owned())).collect();
        let mut said_so = Vec::new();
        for piece in &found.pieces {
            let token = json.get(piece.range.clone()).unwrap_or_default();
            let text = said(token).ok_or(Stop::Unread)?;
            let changed = self.piece(piece, &text)?;
            if !found.runs.is_empty() {
                said_so.push(changed.clone().map_or(text, Cow::Owned));
            }
            let quoted = |text| (piece.range.clone(), Value::String(text).to_string());
            edits.extend(changed.map(quoted));
        }
        for Run { pieces, others } in found.runs {
            let joined = said_so.get(pieces.clone()).unwrap_or_default().concat();
            let judged = self.text(Channel::Prompt, &joined);
            let (Some(text), Some(first)) = (
                judged.map_err(Stop::Blocked)?,
                found.pieces.get(pieces.start),
            ) else {
                continue;
            };
            // What goes across parts is taken out of one.
            let span = first.range.start..others.end;
            edits.retain(|(range, _)| !span.contains(&range.start));
            edits.push((first.range.clone(), Value::String(text).to_string()));
            edits.push((others, String::new()));
        }
        if edits.is_empty() {
            return Ok(None);
        }
        spliced(json, edits).map(Some).ok_or(Stop::Unread)
    }

    fn piece(&mut self, piece: &Piece, text: &str) -> Result<Option<String>, Stop> {
        match &piece.form {
            Form::Plain => self.text(piece.channel, text).map_err(Stop::Blocked),
            Form::Json => self.json_text(text),
            Form::Encoded { head, text: inner } => {
                let changed = self.text(piece.channel, inner).map_err(Stop::Blocked)?;
                Ok(changed.map(|inner| again(text, *head, &inner)))
            }
        }
    }

    /// Judges JSON in a text by what it says, whatever its escapes.
    fn json_text(&mut self, text: &str) -> Result<Option<String>, Stop> {
        match self.json(text.as_bytes(), Node::Arguments) {
            Ok(changed) => {
                let changed = changed.map(String::from_utf8).transpose();
                changed.map_err(|_| Stop::Unread)
            }
            Err(Stop::Unread) => self.broken(text).map_err(Stop::Blocked),
            Err(blocked) => Err(blocked),
        }
    }

    /// Judges what is not whole JSON: as it stands, and by what its escapes say. Nobody can read it as JSON,
    /// so that what is changed of it is told without them.
    fn broken(&mut self, text: &str) -> Result<Option<String>, Blocked> {
        let channel = Channel::ToolArguments;
        let changed = self.text(channel, text)?;
        let stands = changed.as_deref().unwrap_or(text);
        let meant = escaped::read(stands);
        if meant == stands {
            return Ok(changed);
        }
        Ok(self.text(channel, &meant)?.or(changed))
    }

    /// Judges one text; none where it stays as it is.
    fn text(&mut self, channel: Channel, text: &str) -> Result<Option<String>, Blocked> {
        if text.is_empty() {
            return Ok(None);
        }
        self.report.scanned(channel, text.len());
        let part = Part {
            name: part(channel)?,
            kind: PartKind::Plain,
            text: text.to_owned(),
        };
        let document = Document::new(vec![part]);
        let document = document.map_err(|error| Blocked::unjudged(&error.to_string()))?;
        let started = Instant::now();
        let evaluation = self.stack.evaluate(&document, &INPUTS);
        self.judged(channel, &evaluation, started.elapsed())?;
        let parts = evaluation.redacted.map(Document::into_parts);
        Ok(parts.and_then(|parts| parts.into_iter().next().map(|part| part.text)))
    }

    /// Notes what was said of a text.
    fn judged(
        &mut self,
        channel: Channel,
        evaluation: &Evaluation,
        took: Duration,
    ) -> Result<(), Blocked> {
        self.report.judged(evaluation);
        let verdict = &evaluation.verdict;
        self.metrics
            .policy
            .judged(self.side, channel, verdict.action, took);
        if verdict.passes() {
            return Ok(());
        }
        let mut errors = verdict.errors.iter();
        if let Some(error) =
            errors.find(|error| VerdictAction::from(error.on_error) > VerdictAction::Redact)
        {
            return Err(Blocked {
                policy: error.policy.clone(),
                rule: error.rule.clone(),
                message: error.message.clone(),
            });
        }
        let found = verdict.findings.iter();
        let worst = found.max_by_key(|finding| VerdictAction::from(finding.action));
        Err(worst.map_or_else(
            || Blocked::unjudged("it may not go on by itself"),
            Blocked::by,
        ))
    }
}

impl Blocked {
    /// A text that no rule could judge.
    fn unjudged(why: &str) -> Self {
        Self {
            policy: "aios".to_owned(),
            rule: "unjudged".to_owned(),
            message: why.to_owned(),
        }
    }

    fn by(finding: &Finding) -> Self {
        Self {
            policy: finding.policy.clone(),
            rule: finding.rule.clone(),
            message: finding.message.clone(),
        }
    }

    fn in_answer(self) -> ApiError {
        let Self {
            policy,
            rule,
            message,
        } = self;
        ApiError::AnswerBlocked {
            policy,
            rule,
            message,
        }
    }
}

impl Stop {
    fn of_prompt(self) -> ApiError {
        match self {
            Self::Unread => ApiError::InvalidJson("a text in it is not valid UTF-8".to_owned()),
            Self::Tokens => ApiError::field(
                "input",
                "must be text, which a policy can judge, and no token ids",
            ),
            Self::Blocked(Blocked {
                policy,
                rule,
                message,
            }) => ApiError::PromptBlocked {
                policy,
                rule,
                message,
            },
        }
    }

    fn of_answer(self) -> ApiError {
        match self {
            Self::Unread | Self::Tokens => unread(),
            Self::Blocked(blocked) => blocked.in_answer(),
        }
    }
}

fn unread() -> ApiError {
    ApiError::UpstreamMalformed("policy cannot read all of its texts".to_owned())
}

/// The part of a document that a text of the channel is judged as.
fn part(channel: Channel) -> Result<PartName, Blocked> {
    let name = channel.as_str().parse::<PartName>();
    name.map_err(|_| Blocked::unjudged("its channel has no name"))
}
