//! Policy on the texts of calls: on every channel of every face, whole and streamed.

use aios_proto::control::{ItemKind, Snapshot};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, DONE, End, Fake, completion, json_answer, stop, stream, token, until},
    world::{World, chat, header, ingress, item, model, pipeline, with},
};

pub const SAID: &str = "Dear reader, the Acme Bank is near, and so are we all.";
pub const WORD: &str = "Acme";

/// An egress before a model, whose pipeline `p` has a policy of these rules.
pub async fn world(model: Value, rules: Value) -> World {
    let world = World::unconfigured().await;
    let name = model["name"].as_str().unwrap().to_owned();
    let policy = json!({"name": "house", "scope": "Namespace", "rules": rules, "review": {}});
    let policy = item(ItemKind::Policy, "house", &policy);
    let pin = json!({"scope": "Namespace", "name": "house", "digest": policy.digest});
    let pipeline = with(pipeline(json!([{"model": name}])), "policies", json!([pin]));
    let items = vec![
        item(ItemKind::Pipeline, "p", &pipeline),
        policy,
        item(ItemKind::Model, &name, &model),
    ];
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    assert!(acks[1].engine.contains("engine."), "{acks:?}");
    world
}

/// A rule that answers must not hold the word.
pub fn no_word(action: &str) -> Value {
    json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Answer"]}])
}

pub async fn post(world: &World, path: &str, body: &Value) -> reqwest::Response {
    let post = world.http.post(format!("{}/v1/{path}", world.base));
    let post = post.header("aios-pipeline", "p").body(body.to_string());
    post.send().await.unwrap()
}

/// What each face is asked.
pub fn question(path: &str, streams: bool) -> Value {
    let input = json!([{"role": "user", "content": "Write."}]);
    match path {
        "responses" => json!({"model": "auto", "input": "Write.", "stream": streams}),
        "messages" => {
            json!({"model": "auto", "max_tokens": 9, "messages": input, "stream": streams})
        }
        _ => json!({"model": "auto", "messages": input, "stream": streams}),
    }
}

/// Pieces of a text, of three letters at most.
pub fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(3)
        .map(|piece| piece.iter().collect())
        .collect()
}

fn chunk(index: u64, delta: Value, reason: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": delta, "finish_reason": reason,
        "logprobs": {"content": [{"token": WORD, "logprob": -0.1, "bytes": null, "top_logprobs": []}]}});
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [choice]});
    format!("data: {chunk}\n\n")
}

/// A chat completion whose choice says this, whole and as a stream.
fn completed(index: u64, message: Value, deltas: Vec<Value>) -> (Answer, Answer) {
    let plain = json!({"index": 0, "message": {"role": "assistant", "content": "Fine."},
        "finish_reason": "stop"});
    let mut said = plain.clone();
    said["index"] = json!(index);
    said["message"] = message;
    said["message"]["role"] = json!("assistant");
    said["logprobs"] = json!({"content": [{"token": WORD}]});
    let choices = if index == 0 {
        vec![said]
    } else {
        vec![plain, said]
    };
    let whole = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 3}});
    let mut events = Vec::new();
    for other in 0..index {
        events.push(chunk(
            other,
            json!({"role": "assistant", "content": "Fine."}),
            None,
        ));
    }
    events.push(chunk(
        index,
        json!({"role": "assistant", "content": ""}),
        None,
    ));
    events.extend(deltas.into_iter().map(|delta| chunk(index, delta, None)));
    events.extend((0..=index).map(|index| chunk(index, json!({}), Some("stop"))));
    events.push(DONE.to_owned());
    (json_answer(200, &whole), Answer::Stream(events, End::Close))
}

fn in_field(index: u64, field: &str) -> (Answer, Answer) {
    let deltas = pieces(SAID)
        .into_iter()
        .map(|piece| json!({ field: piece }));
    completed(index, json!({ field: SAID }), deltas.collect())
}

/// The word with an escape of JSON's in it, as an argument of a tool.
fn in_arguments() -> (Answer, Answer) {
    let arguments = json!({"to": 7, "say": SAID})
        .to_string()
        .replace("Acme", "A\\u0063me");
    let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "t1", "type": "function",
        "function": {"name": "send", "arguments": ""}}]});
    let mut whole = first.clone();
    whole["tool_calls"][0]["function"]["arguments"] = json!(arguments);
    let mut deltas = vec![first];
    deltas.extend(pieces(&arguments).iter().map(|piece| call(piece)));
    completed(0, whole, deltas)
}

/// The one call of functions before there were tools.
fn in_old_arguments() -> (Answer, Answer) {
    let arguments = json!({"say": SAID}).to_string();
    let call = |arguments: &str| json!({"function_call": {"arguments": arguments}});
    let mut whole = json!({"function_call": {"name": "send", "arguments": ""}});
    let mut deltas = vec![whole.clone()];
    whole["function_call"]["arguments"] = json!(arguments);
    deltas.extend(pieces(&arguments).iter().map(|piece| call(piece)));
    completed(0, whole, deltas)
}

/// A message of Anthropic's, whole and as a stream.
fn in_block(block: Value, kind: &str, field: &str, text: &str) -> (Answer, Answer) {
    let whole = json!({"id": "m1", "type": "message", "role": "assistant", "model": "up",
        "content": [block], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 4}});
    let event = |data: Value| {
        let name = data["type"].as_str().unwrap();
        format!("event: {name}\ndata: {data}\n\n")
    };
    let mut empty = block.clone();
    for name in ["text", "thinking"] {
        if empty.get(name).is_some() {
            empty[name] = json!("");
        }
    }
    if empty.get("input").is_some() {
        empty["input"] = json!({});
    }
    let mut message = whole.clone();
    message["content"] = json!([]);
    let mut events = vec![
        event(json!({"type": "message_start", "message": message})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": empty})),
        event(json!({"type": "ping"})),
    ];
    events.extend(pieces(text).into_iter().map(|piece| {
        let delta = json!({"type": kind, field: piece});
        event(json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    events.extend([
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 4}})),
        event(json!({"type": "message_stop"})),
    ]);
    (json_answer(200, &whole), Answer::Stream(events, End::Close))
}

fn block_of_text() -> (Answer, Answer) {
    in_block(
        json!({"type": "text", "text": SAID}),
        "text_delta",
        "text",
        SAID,
    )
}

fn block_of_thoughts() -> (Answer, Answer) {
    let block = json!({"type": "thinking", "thinking": SAID, "signature": "c2ln"});
    in_block(block, "thinking_delta", "thinking", SAID)
}

fn block_of_a_tool() -> (Answer, Answer) {
    let input = json!({"say": SAID, "to": 7});
    let block = json!({"type": "tool_use", "id": "t1", "name": "send", "input": input});
    let pieces = input.to_string().replace("Acme", "A\\u0063me");
    in_block(block, "input_json_delta", "partial_json", &pieces)
}

/// Text that a caller reads, in order: what stands under names that carry words.
fn words(heard: &str) -> String {
    fn leaves(value: &Value, named: bool, out: &mut String) {
        match value {
            Value::String(text) if named => out.push_str(text),
            Value::Array(items) => items.iter().for_each(|item| leaves(item, named, out)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let carries = [
                        "content",
                        "refusal",
                        "reasoning_content",
                        "reasoning",
                        "arguments",
                        "text",
                        "thinking",
                        "partial_json",
                        "delta",
                        "say",
                        "token",
                        "more",
                    ];
                    leaves(value, carries.contains(&name.as_str()), out);
                }
            }
            _ => {}
        }
    }
    let mut out = String::new();
    if let Ok(body) = serde_json::from_str::<Value>(heard) {
        leaves(&body, false, &mut out);
        return out;
    }
    for data in heard.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if let Ok(event) = serde_json::from_str::<Value>(data) {
            leaves(&event, false, &mut out);
        }
    }
    out
}

/// How a stream that failed ends in each dialect.
fn fails_as(path: &str) -> &'static str {
    match path {
        "responses" => r#""type":"response.failed""#,
        "messages" => "event: error\n",
        _ => r#"data: {"error":"#,
    }
}

#[rstest]
#[case::content("chat/completions", "OpenAI", in_field(0, "content"))]
#[case::second_choice("chat/completions", "OpenAI", in_field(1, "content"))]
#[case::refusal("chat/completions", "OpenAI", in_field(0, "refusal"))]
#[case::reasoning("chat/completions", "OpenAI", in_field(0, "reasoning_content"))]
#[case::reasoning_of_others("chat/completions", "OpenAI", in_field(0, "reasoning"))]
#[case::tool_arguments("chat/completions", "OpenAI", in_arguments())]
#[case::function_arguments("chat/completions", "OpenAI", in_old_arguments())]
#[case::translated_text("chat/completions", "Anthropic", block_of_text())]
#[case::translated_input("chat/completions", "Anthropic", block_of_a_tool())]
#[case::response_of_a_message("responses", "Anthropic", block_of_text())]
#[case::response_of_an_input("responses", "Anthropic", block_of_a_tool())]
#[case::response_text("responses", "OpenAI", in_field(0, "content"))]
#[case::response_thoughts("responses", "OpenAI", in_field(0, "reasoning_content"))]
#[case::response_refusal("responses", "OpenAI", in_field(0, "refusal"))]
#[case::response_arguments("responses", "OpenAI", in_arguments())]
#[case::message_text("messages", "OpenAI", in_field(0, "content"))]
#[case::message_thoughts("messages", "OpenAI", in_field(0, "reasoning_content"))]
#[case::message_refusal("messages", "OpenAI", in_field(0, "refusal"))]
#[case::message_input("messages", "OpenAI", in_arguments())]
#[case::block_text("messages", "Anthropic", block_of_text())]
#[case::block_thoughts("messages", "Anthropic", block_of_thoughts())]
#[case::block_input("messages", "Anthropic", block_of_a_tool())]
#[tokio::test]
async fn every_channel_of_an_answer_is_judged(
    #[case] path: &str,
    #[case] dialect: &str,
    #[case] answers: (Answer, Answer),
) {
    for (streams, answer) in [(false, answers.0), (true, answers.1)] {
        let fake = Fake::start(vec![answer]).await;
        let model = with(
            model("m", &fake.address),
            "upstream.dialect",
            json!(dialect),
        );
        // Other faces are translated there.
        let model = if dialect == "Anthropic" && path != "messages" {
            let endpoint = ingress(&model).await;
            with(model, "endpoint", json!(endpoint))
        } else {
            model
        };

        let free = world(
            model.clone(),
            json!([{"name": "no-other", "terms": {"list": ["Zorn"]},
            "action": "Block", "calls": ["Answer"]}]),
        )
        .await;
        let response = post(&free, path, &question(path, streams)).await;
        let status = response.status();
        let heard = response.text().await.unwrap();
        assert_eq!(status, 200, "{heard}");
        assert!(
            words(&heard).replace("\\u0063", "c").contains(WORD),
            "{heard}"
        );

        let blocking = world(model.clone(), no_word("Block")).await;
        let response = post(&blocking, path, &question(path, streams)).await;
        if streams {
            assert_eq!(response.status(), 200);
        } else {
            assert_eq!(response.status(), 400);
            assert_eq!(header(&response, "x-should-retry"), "false");
            assert_eq!(
                header(&response, "aios-policy-verdict"),
                "Block house/no-rival"
            );
        }
        let heard = response.text().await.unwrap();
        assert!(
            !words(&heard).replace("\\u0063", "c").contains(WORD),
            "{heard}"
        );
        assert!(heard.contains("answer_blocked"), "{heard}");
        assert!(heard.contains("no-rival"), "{heard}");
        if streams {
            assert!(heard.contains(fails_as(path)), "{heard}");
            assert!(
                !heard.contains("[DONE]") && !heard.contains("message_stop"),
                "{heard}"
            );
        }

        let redacting = world(model, no_word("Redact")).await;
        let response = post(&redacting, path, &question(path, streams)).await;
        assert_eq!(response.status(), 200);
        let heard = response.text().await.unwrap();
        // What the other choice says comes in between.
        let words = words(&heard).replace("\\u0063", "c").replace("Fine.", "");
        assert!(!words.contains(WORD), "{heard}");
        assert!(
            words.contains("the [removed] Bank is near, and so are we all."),
            "{heard}"
        );
        assert!(!heard.contains("answer_blocked"), "{heard}");
    }
}

/// A server of texts, behind its ingress and an egress.
async fn of_texts(dialect: Value, path: &str, answer: Answer) -> (Fake, Value) {
    let fake = Fake::start(vec![answer]).await;
    let upstream = json!({"dialect": dialect, "baseUrl": format!("{}{path}", fake.address)});
    let behind = with(model("m", &fake.address), "upstream", upstream);
    let model = with(behind.clone(), "endpoint", json!(ingress(&behind).await));
    (fake, model)
}

#[rstest]
#[case::tensors(json!({"OpenInference": {"input": "input-0", "settings": ["max_tokens"]}}), "/v2",
    json!({"model_name": "up", "id": "1", "outputs": [
        {"name": "output-0", "shape": [1], "datatype": "BYTES", "data": [SAID]}]}))]
#[case::fields(json!({"BentoML": {"input": "prompt", "output": "text"}}), "/generate",
    json!({"text": SAID, "notes": WORD}))]
#[tokio::test]
async fn every_channel_of_a_server_of_texts_is_judged(
    #[case] dialect: Value,
    #[case] path: &str,
    #[case] answer: Value,
) {
    let (_fake, model) = of_texts(dialect, path, json_answer(200, &answer)).await;
    for streams in [false, true] {
        let blocking = world(model.clone(), no_word("Block")).await;
        let asked = question("chat/completions", streams);
        let heard = post(&blocking, "chat/completions", &asked)
            .await
            .text()
            .await
            .unwrap();
        assert!(
            heard.contains("answer_blocked") && !heard.contains(WORD),
            "{heard}"
        );
        let redacting = world(model.clone(), no_word("Redact")).await;
        let heard = post(&redacting, "chat/completions", &asked)
            .await
            .text()
            .await
            .unwrap();
        assert!(
            words(&heard).contains("the [removed] Bank is near"),
            "{heard}"
        );
        assert!(!heard.contains(WORD), "{heard}");
    }
}

#[rstest]
#[case::extra(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"},
    "finish_reason": "stop"}], "provider_notes": {"more": [SAID]}}))]
#[case::name_of_a_field(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a",
    "extra": {"Acme": 1}}, "finish_reason": "stop"}]}))]
#[case::long_label(json!({"id": format!("{SAID} {SAID} {SAID}"), "choices": [{"index": 0,
    "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}))]
#[case::parts(json!({"choices": [{"index": 0, "message": {"role": "assistant",
    "content": [{"type": "text", "text": SAID}]}, "finish_reason": "stop"}]}))]
#[case::tool(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "ask Acme now", "arguments": "{}"}}]},
    "finish_reason": "stop"}]}))]
#[case::cut_short(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f",
        "arguments": "{\"say\":\"the A\\u0063me Bank"}}]}, "finish_reason": "length"}]}))]
#[case::no_json(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{} Acme"}}]},
    "finish_reason": "stop"}]}))]
#[tokio::test]
async fn what_no_table_knows_is_judged_as_text(#[case] answer: Value) {
    let fake = Fake::start(vec![json_answer(200, &answer)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({}))).await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("answer_blocked"));
}

#[tokio::test]
async fn a_stream_says_nothing_that_was_not_judged() {
    let events = vec![
        format!(": {SAID}\n\n"),
        format!(
            "event: {SAID}\nid: {SAID}\ndata: {}\n\n",
            json!({"choices": [{"index": 0, "delta": {"content": "Hello there, ", "more": SAID}}],
                "notes": SAID})
        ),
        chunk(0, json!({"content": "dear reader."}), Some("stop")),
        DONE.replace("data", &format!(": {SAID}\ndata")),
    ];
    let fake = Fake::start(vec![Answer::Stream(events, End::Close)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({"stream": true}))).await;
    let heard = response.text().await.unwrap();
    assert!(!heard.contains(WORD), "{heard}");
    assert_eq!(words(&heard), "Hello there, dear reader.", "{heard}");
    assert!(heard.ends_with(DONE), "{heard}");
}

#[rstest]
#[case::gibberish("data: gibberish\n\n".to_owned())]
#[case::of_another_shape("data: {\"choices\":\"Acme\"}\n\n".to_owned())]
#[case::after_the_end(token("more"))]
#[tokio::test]
async fn what_cannot_be_judged_ends_the_stream(#[case] event: String) {
    let events = vec![token("Hello there, dear "), stop(), event, DONE.to_owned()];
    let fake = Fake::start(vec![Answer::Stream(events, End::Close)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({"stream": true}))).await;
    let heard = response.text().await.unwrap();
    assert!(
        heard.contains("upstream_malformed") && !heard.contains("[DONE]"),
        "{heard}"
    );
    assert!(!heard.contains(WORD), "{heard}");
}

#[tokio::test]
async fn the_time_of_a_verdict_is_told_for_each_text_that_is_judged() {
    let timed = "aios_sidecar_policy_duration_seconds_count";
    let of_answers = |count: u32| format!("{timed}{{side=\"answer\"}} {count}");
    let events: Vec<_> = pieces(SAID).iter().map(|piece| token(piece)).collect();
    let ended = [events.clone(), vec![stop(), DONE.to_owned()]].concat();
    let answers = vec![
        completion("Fine.", None),
        completion("Fine.", None),
        Answer::Stream(ended, End::Close),
        Answer::Stream(events, End::Hang),
    ];
    let fake = Fake::start(answers).await;
    let of_documents = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block"}]);
    let unjudged = world(model("m", &fake.address), of_documents).await;
    let hear = async |world: &World, streams: bool| {
        let asked = chat(json!({"stream": streams}));
        let response = post(world, "chat/completions", &asked).await;
        response.text().await.unwrap()
    };
    hear(&unjudged, false).await;
    assert!(!unjudged.metric(&[timed]));
    let redacts = world(model("m", &fake.address), no_word("Redact")).await;
    hear(&redacts, false).await;
    assert!(redacts.metric(&[&of_answers(1)]), "{}", redacts.metrics());
    hear(&redacts, true).await;
    assert!(redacts.metric(&[&of_answers(2)]), "{}", redacts.metrics());
    let blocks = world(model("m", &fake.address), no_word("Block")).await;
    hear(&blocks, true).await;
    assert!(blocks.metric(&[&of_answers(1)]), "{}", blocks.metrics());
}

#[tokio::test]
async fn text_is_released_before_the_end_and_never_twice() {
    let text = SAID.replace(WORD, "Other");
    let events = pieces(&text).iter().map(|piece| token(piece)).collect();
    let fake = Fake::start(vec![Answer::Stream(events, End::Hang)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let mut response = post(&world, "chat/completions", &chat(json!({"stream": true}))).await;
    assert!(header(&response, "aios-policy-judged").starts_with("sha256:"));
    let mut heard = String::new();
    while words(&heard).len() < 30 {
        heard.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(
        SAID.replace(WORD, "Other").starts_with(&words(&heard)),
        "{heard}"
    );
    assert!(world.metric(&["aios_policy_held_bytes"]));
    assert!(
        !world.metric(&["aios_policy_held_bytes 0"]),
        "something is held"
    );
    drop(response);
    crate::fake::until("nothing is held any more", || {
        world.metric(&["aios_policy_held_bytes 0"])
    })
    .await;
}

#[tokio::test]
async fn a_blocked_stream_stops_the_model_and_is_paid_for() {
    let events: Vec<_> = pieces(SAID).iter().map(|piece| token(piece)).collect();
    let fake = Fake::start(vec![Answer::Stream(events, End::Hang)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({"stream": true}))).await;
    let heard = response.text().await.unwrap();
    assert!(heard.contains("answer_blocked"), "{heard}");
    crate::fake::until("the model is stopped", || fake.cancelled() == 1).await;
    assert!(world.metric(&["gen_ai_client_token_usage_count", "output", "estimated"]));
}

#[tokio::test]
async fn an_answer_that_passes_goes_on_as_it_came() {
    let fake = Fake::start(vec![completion(&SAID.replace(WORD, "Other"), Some((9, 3)))]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({}))).await;
    assert_eq!(header(&response, "aios-policy-verdict"), "Pass");
    let scanned = format!("content={}", SAID.len() + 1);
    assert_eq!(header(&response, "aios-policy-scanned"), scanned);
    let Answer::Plain(_, _, body) = completion(&SAID.replace(WORD, "Other"), Some((9, 3))) else {
        panic!("not plain")
    };
    assert_eq!(response.text().await.unwrap(), body);
}

#[rstest]
#[case::chat("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": SAID}]}))]
#[case::parts("chat/completions", json!({"model": "auto", "messages": [{"role": "user",
    "content": [{"type": "text", "text": SAID}]}]}))]
#[case::tools("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": "a"}],
    "tools": [{"type": "function", "function": {"name": "f", "description": SAID, "parameters": {}}}]}))]
#[case::arguments("chat/completions", json!({"model": "auto", "messages": [{"role": "user", "content": "a"},
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": "{\"say\":\"the A\\u0063me Bank is near\"}"}}]}]}))]
#[case::system("messages", json!({"model": "auto", "max_tokens": 9, "system": SAID,
    "messages": [{"role": "user", "content": "a"}]}))]
#[case::given_to_a_tool("messages", json!({"model": "auto", "max_tokens": 9, "messages": [
    {"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "1",
        "name": "f", "input": {"the Acme Bank is near": 7}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "b"}]}]}))]
#[case::told_by_a_tool("messages", json!({"model": "auto", "max_tokens": 9, "messages": [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": SAID}]}]}))]
#[case::name_in_a_schema("chat/completions", json!({"model": "auto",
    "messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {"the Acme Bank is near": {"type": "string"}}}}}]}))]
#[case::input("responses", json!({"model": "auto", "input": SAID}))]
#[case::item_of_input("responses", json!({"model": "auto", "input": [
    {"role": "user", "content": [{"type": "input_text", "text": SAID}]}]}))]
#[case::instructions("responses", json!({"model": "auto", "instructions": SAID, "input": "a"}))]
#[tokio::test]
async fn every_channel_of_a_prompt_is_judged(#[case] path: &str, #[case] body: Value) {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rule = |action: &str| json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Prompt"]}]);
    let blocking = world(model("m", &fake.address), rule("Block")).await;
    let response = post(&blocking, path, &body).await;
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, "x-should-retry"), "false");
    assert!(response.text().await.unwrap().contains("prompt_blocked"));
    assert_eq!(fake.calls(), 0);
    let redacting = world(model("m", &fake.address), rule("Redact")).await;
    let response = post(&redacting, path, &body).await;
    let verdict = header(&response, "aios-policy-verdict").to_owned();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert!(verdict.starts_with("Redact"));
    let asked = fake.body(0).to_string();
    assert!(asked.contains("the [removed] Bank is near"), "{asked}");
    assert!(!asked.contains(WORD) && !asked.contains("u0063"), "{asked}");
}

/// A message whose content is these parts.
fn of_parts(parts: Value) -> Value {
    json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": parts}]})
}

#[rstest]
#[case::a_document("messages", of_parts(json!([{"type": "document", "source": {"type": "text",
    "media_type": "text/plain", "data": format!("{}Acme", "近".repeat(90))}}])))]
#[case::a_file("chat/completions", of_parts(json!([{"type": "file", "file": {
    "file_data": "data:text/plain;base64,dGhlIEFjbWUgQmFuaw=="}}])))]
#[case::an_address("chat/completions", of_parts(json!([{"type": "image_url", "image_url": {
    "url": format!("data:text/plain,Acme.{}", "x".repeat(300))}}])))]
#[case::parts("chat/completions", of_parts(json!([{"type": "text", "text": "the Ac"},
    {"type": "text", "text": "me Bank"}])))]
#[case::a_name_in_a_field_of_a_server("chat/completions",
    chat(json!({"guided_json": {"properties": {"the Acme Bank": {}}}})))]
#[case::a_name_of_a_setting("chat/completions", chat(json!({"chat_template_kwargs": {"Acme": 1}})))]
#[case::a_name_of_a_field("chat/completions", chat(json!({"the Acme Bank": true})))]
#[case::the_end("chat/completions", chat(json!({"stop": ["Acme"]})))]
#[case::metadata("chat/completions", chat(json!({"metadata": {"for": "Acme"}})))]
#[case::cut_arguments("chat/completions", json!({"model": "auto", "messages": [
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": "{\"say\":\"the A\\u0063me Bank"}}]}]}))]
#[case::to_be_moderated("moderations", json!({"model": "m", "input": [{"type": "text", "text": "Acme"}]}))]
#[tokio::test]
async fn no_place_in_a_prompt_hides_a_word(#[case] path: &str, #[case] body: Value) {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block", "calls": ["Prompt"]}]);
    let world = world(model("m", &fake.address), rules).await;
    let response = post(&world, path, &body).await;
    let told = response.text().await.unwrap();
    assert!(told.contains("prompt_blocked"), "{told}");
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn a_word_across_parts_or_in_base64_is_taken_out() {
    let fake = Fake::start(vec![completion("Fine.", None)]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Redact", "calls": ["Prompt"]}]);
    let world = world(model("m", &fake.address), rules).await;
    let body = of_parts(
        json!([{"type": "text", "text": "the Ac"}, {"type": "text", "text": "me Bank"},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,dGhlIEFjbWUgQmFuaw=="}},
        {"type": "text", "text": "is near."}]),
    );
    let response = post(&world, "chat/completions", &body).await;
    assert_eq!(response.status(), 200);
    let expected = json!([{"type": "text", "text": "the [removed] Bank"},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,dGhlIFtyZW1vdmVkXSBCYW5r"}},
        {"type": "text", "text": "is near."}]);
    assert_eq!(fake.body(0)["messages"][0]["content"], expected);
}

#[tokio::test]
async fn a_prompt_that_is_counted_is_judged() {
    let fake = Fake::start(vec![json_answer(200, &json!({"input_tokens": 17}))]).await;
    let model = model("m", &fake.address);
    let model = with(model, "upstream.dialect", json!("Anthropic"));
    let model = with(model.clone(), "endpoint", json!(ingress(&model).await));
    let rule = |action: &str| json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": action, "calls": ["Prompt"]}]);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": SAID}]});
    let path = "messages/count_tokens";
    let blocking = world(model.clone(), rule("Block")).await;
    let response = post(&blocking, path, &body).await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("prompt_blocked"));
    assert_eq!(fake.calls(), 0);
    let redacting = world(model, rule("Redact")).await;
    let response = post(&redacting, path, &body).await;
    assert!(header(&response, "aios-policy-verdict").starts_with("Redact"));
    assert_eq!(response.json::<Value>().await.unwrap()["input_tokens"], 17);
    let asked = fake.body(0).to_string();
    assert!(
        asked.contains("[removed]") && !asked.contains(WORD),
        "{asked}"
    );
}

#[tokio::test]
async fn texts_to_embed_are_judged_and_token_ids_refused() {
    let fake = Fake::start(vec![]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block", "calls": ["Prompt"]}]);
    let policy = json!({"name": "all", "scope": "Cluster", "rules": rules, "review": {}});
    let world = World::unconfigured().await;
    let items = vec![
        item(ItemKind::Model, "m", &model("m", &fake.address)),
        item(ItemKind::ClusterPolicy, "all", &policy),
    ];
    world.live.apply(&Snapshot { sequence: 1, items });
    for (input, code) in [
        (json!(SAID), "prompt_blocked"),
        (json!(["Fine.", SAID]), "prompt_blocked"),
        (json!([15496, 995]), "invalid_field"),
        (json!([[15496], [995]]), "invalid_field"),
    ] {
        let url = format!("{}/v1/embeddings", world.base);
        let body = json!({"model": "m", "input": input}).to_string();
        let response = world.http.post(url).body(body).send().await.unwrap();
        assert_eq!(response.status(), 400, "{input}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{input}: {body}");
    }
    assert_eq!(fake.calls(), 0);
}

#[rstest]
#[case::rejection(400, "answer_blocked")]
#[case::failure(500, "routes_exhausted")]
#[tokio::test]
async fn what_a_server_says_of_a_failure_is_judged(#[case] status: u16, #[case] code: &str) {
    let error = json!({"error": {"message": SAID, "type": "invalid_request_error", "param": null,
        "code": "wrong"}});
    let fake = Fake::start(vec![json_answer(status, &error)]).await;
    let world = world(model("m", &fake.address), no_word("Block")).await;
    let response = post(&world, "chat/completions", &chat(json!({}))).await;
    let body = response.text().await.unwrap();
    assert!(body.contains(code) && !body.contains(WORD), "{body}");
}

#[tokio::test]
async fn a_policy_of_the_platform_judges_calls_that_name_no_pipeline() {
    let fake = Fake::start(vec![completion(SAID, None)]).await;
    let world = World::unconfigured().await;
    let policy =
        json!({"name": "all", "scope": "Cluster", "rules": no_word("Block"), "review": {}});
    let items = vec![
        item(ItemKind::Model, "m", &model("m", &fake.address)),
        item(ItemKind::ClusterPolicy, "all", &policy),
    ];
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    let url = format!("{}/v1/chat/completions", world.base);
    let body = chat(json!({"model": "m"})).to_string();
    let response = world.http.post(url).body(body).send().await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn rules_of_documents_do_not_touch_calls() {
    let fake = Fake::start(vec![
        completion(SAID, None),
        stream(&pieces(SAID).iter().map(String::as_str).collect::<Vec<_>>()),
    ])
    .await;
    let rules = json!([{"name": "no-rival", "terms": {"list": [WORD]}, "action": "Block"}]);
    let world = world(model("m", &fake.address), rules).await;
    for streams in [false, true] {
        let response = post(&world, "chat/completions", &question("", streams)).await;
        assert_eq!(header(&response, "aios-policy-judged"), "");
        assert!(words(&response.text().await.unwrap()).contains(WORD));
    }
}

#[tokio::test]
async fn a_rule_that_only_the_end_can_judge_holds_a_stream_to_its_end() {
    let text = SAID.replace(WORD, "Other");
    let fake = Fake::start(vec![stream(
        &pieces(&text).iter().map(String::as_str).collect::<Vec<_>>(),
    )])
    .await;
    let rules = json!([{"name": "no-shouting", "pattern": {"regex": "X.*Y"}, "action": "Block",
        "calls": ["Answer"]}]);
    let world = world(model("m", &fake.address), rules).await;
    let response = post(&world, "chat/completions", &chat(json!({"stream": true}))).await;
    let heard = response.text().await.unwrap();
    let with_text = heard
        .lines()
        .filter(|line| !words(&format!("{line}\n")).is_empty());
    assert_eq!(with_text.count(), 1, "{heard}");
    assert_eq!(words(&heard), text);
}

#[rstest]
#[case::text(json!({"content": "x ".repeat(1 << 18)}))]
#[case::arguments(json!({"tool_calls": [{"index": 0, "function": {"arguments": "[".repeat(1 << 19)}}]}))]
#[tokio::test]
async fn a_stream_without_end_is_stopped_before_it_fills_the_pod(#[case] delta: Value) {
    let fake = Fake::start(vec![Answer::Stream(
        vec![chunk(0, delta, None)],
        End::Never,
    )])
    .await;
    let model = with(
        model("m", &fake.address),
        "resilience.timeout",
        json!("10m"),
    );
    let world = world(model, no_word("Block")).await;
    let response = post(&world, "chat/completions", &question("", true)).await;
    let heard = response.text().await.unwrap();
    let (_, error) = heard.rsplit_once("event: error\ndata: ").unwrap();
    let error: Value = serde_json::from_str(error.trim_end()).unwrap();
    assert_eq!(error["error"]["code"], "upstream_malformed");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("it is longer than 8192 KiB"), "{message}");
    until("the model's end", || fake.cancelled() == 1).await;
}

#[tokio::test]
async fn a_policy_in_dry_run_changes_no_call() {
    let fake = Fake::start(vec![completion(SAID, None)]).await;
    let world = World::unconfigured().await;
    let policy = json!({"name": "all", "scope": "Cluster", "rules": no_word("Block"), "review": {},
        "dryRun": true});
    let items = vec![
        item(ItemKind::Model, "m", &model("m", &fake.address)),
        item(ItemKind::ClusterPolicy, "all", &policy),
    ];
    world.live.apply(&Snapshot { sequence: 1, items });
    let url = format!("{}/v1/chat/completions", world.base);
    let body = chat(json!({"model": "m"})).to_string();
    let response = world.http.post(url).body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains(WORD));
}
