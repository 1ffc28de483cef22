//! What must hold of any bytes, for the fuzz targets in `inference-sidecar/fuzz` and for the test of their corpora.

use aios_inference_sidecar::{
    dialect::{
        anthropic::{self, Translator, inbound},
        openai::{self, CapField, Observer, Operation, Request, Rewrite, Tokens},
        responses,
        text::Speech,
    },
    sse::{Event, Splitter},
};
use aios_proto::config::{Dialect, TextShape};

const OPERATIONS: [Operation; 4] = [
    Operation::Chat,
    Operation::Messages,
    Operation::Embeddings,
    Operation::Moderations,
];

/// A request that is understood is still understood, and means the same, when it goes on.
pub fn any_request(bytes: &[u8]) {
    for operation in OPERATIONS {
        let Ok(request) = Request::parse(operation, bytes.to_vec().into()) else {
            continue;
        };
        let rewrite = Rewrite {
            model: "up",
            cap: operation.writes().then_some((CapField::MaxTokens, 7)),
            include_usage: operation == Operation::Chat,
        };
        let body = request.rewritten(&rewrite).expect("an object was parsed");
        let again = Request::parse(operation, body).expect("what goes on can be read");
        assert_eq!(again.model, "up");
        assert_eq!(
            (again.stream, again.choices),
            (request.stream, request.choices)
        );
        if operation.writes() {
            assert_eq!(again.max_output, request.max_output.or(Some(7)));
        }
    }
    let _ = anthropic::to_messages(bytes, "up", 7);
    let _ = inbound::to_chat(bytes).map(|chat| Request::of_chat(&chat));
    let _ = responses::to_chat(bytes).map(|(chat, _)| Request::of_chat(&chat));
    for speech in speeches() {
        if let Ok(asked) = speech.ask(bytes, 7) {
            let _ = speech.body(&asked);
        }
    }
}

/// What one hop makes of an answer, the next can read.
pub fn any_answer(bytes: &[u8]) {
    let counted = Tokens::estimated(1, 1);
    let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).expect("a request");
    let _ = openai::read(bytes);
    let _ = anthropic::read(bytes);
    let _ = envelope.to_response(bytes, counted);
    if let Ok(message) = inbound::to_message(bytes, counted) {
        anthropic::read(message.to_string().as_bytes()).expect("a message");
    }
    if let Ok(completion) = anthropic::to_completion(bytes, 0) {
        openai::read(completion.to_string().as_bytes()).expect("a completion");
    }
    for speech in speeches() {
        for kind in ["application/json", "text/plain", ""] {
            if let Ok(answer) = speech.answer(kind, bytes) {
                let completion = answer.to_completion("up", 0).to_string();
                openai::read(completion.as_bytes()).expect("a completion");
            }
        }
    }
}

/// Events are the same however they are cut, no byte is lost, and no reader stumbles.
pub fn any_stream(bytes: &[u8]) {
    let (events, rest) = split(bytes, bytes.len().max(1));
    let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!([raw, rest].concat(), bytes);
    for size in [1, 3, 64] {
        assert_eq!(split(bytes, size).0, events);
    }
    let (_, envelope) = responses::to_chat(br#"{"model":"m","input":"x"}"#).expect("a request");
    let mut message = inbound::Writer::new(1);
    let mut response = responses::Writer::new(envelope, 1, 0);
    let mut translator = Translator::new(0, true);
    let mut observers = [Operation::Chat, Operation::Messages].map(Observer::of);
    for event in &events {
        for observer in &mut observers {
            observer.see(event);
        }
        if let Some(data) = &event.data {
            let _ = message.push(data);
            let _ = response.push(data);
        }
        if let Ok(chunks) = translator.push(event) {
            let (chunks, rest) = split(&chunks, chunks.len().max(1));
            assert!(rest.is_empty());
            let mut observer = Observer::of(Operation::Chat);
            for chunk in chunks {
                assert!(
                    !matches!(observer.see(&chunk), openai::Seen::Malformed(_)),
                    "{chunk:?}"
                );
            }
        }
    }
    message.end();
    response.end();
    response.fail("code", "message");
}

/// Whole events, and what is left.
fn split(bytes: &[u8], size: usize) -> (Vec<Event>, Vec<u8>) {
    let mut splitter = Splitter::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        // Nothing here is as long as what is refused.
        events.extend(splitter.push(piece).expect("short events"));
    }
    (events, splitter.rest().to_vec())
}

fn speeches() -> [Speech<'static>; 2] {
    static DIALECTS: std::sync::LazyLock<[Dialect; 2]> = std::sync::LazyLock::new(|| {
        let shape = || TextShape {
            input: "text_input".to_owned(),
            output: Some("text_output".to_owned()),
            settings: Vec::new(),
        };
        [Dialect::OpenInference(shape()), Dialect::BentoML(shape())]
    });
    let [tensors, fields] = &*DIALECTS;
    [tensors, fields].map(|dialect| Speech::of(dialect, "id").expect("a dialect of texts"))
}
