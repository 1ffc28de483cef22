//! Policy on what models answer: on every channel of every face, whole and streamed.

use aios_proto::control::{ItemKind, Snapshot};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fake::{Answer, DONE, End, Fake, completion, json_answer, stop, stream, token, until},
    ingress_grpc,
    shield_said::{
        block_of_a_tool, block_of_citations, block_of_text, block_of_thoughts, chunk,
        in_annotations, in_arguments, in_field, in_old_arguments, pieces, words,
    },
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

/// An egress before a model, where the platform has a policy of these rules.
async fn of_platform(model: Value, rules: Value) -> World {
    let world = World::unconfigured().await;
    let policy = json!({"name": "all", "scope": "Cluster", "rules": rules, "review": {}});
    let items = vec![
        item(ItemKind::Model, "m", &model),
        item(ItemKind::ClusterPolicy, "all", &policy),
    ];
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    world
}

/// A call that names no pipeline.
async fn post_to_model(world: &World, path: &str, body: &Value) -> reqwest::Response {
    let post = world.http.post(format!("{}/v1/{path}", world.base));
    post.body(body.to_string()).send().await.unwrap()
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
#[case::citation("chat/completions", "OpenAI", in_annotations())]
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
#[case::block_citation("messages", "Anthropic", block_of_citations())]
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
pub async fn of_texts(dialect: Value, path: &str, answer: Answer) -> (Fake, Value) {
    let fake = Fake::start(vec![answer]).await;
    let upstream = json!({"dialect": dialect, "baseUrl": format!("{}{path}", fake.address)});
    let behind = with(model("m", &fake.address), "upstream", upstream);
    let model = with(behind.clone(), "endpoint", json!(ingress(&behind).await));
    (fake, model)
}

/// A server that says this, on every face, whole and streamed.
async fn is_judged(model: &Value) {
    for path in ["chat/completions", "messages", "responses"] {
        for streams in [false, true] {
            let hear = async |action: &str| {
                let world = world(model.clone(), no_word(action)).await;
                let response = post(&world, path, &question(path, streams)).await;
                response.text().await.unwrap()
            };
            let heard = hear("Block").await;
            assert!(
                heard.contains("answer_blocked") && !heard.contains(WORD),
                "{path}: {heard}"
            );
            let heard = hear("Redact").await;
            assert!(
                words(&heard).contains("the [removed] Bank is near") && !heard.contains(WORD),
                "{path}: {heard}"
            );
        }
    }
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
    is_judged(&model).await;
}

#[tokio::test]
async fn every_channel_of_a_server_of_tensors_over_grpc_is_judged() {
    let (_strict, model) = ingress_grpc::behind(Ok(SAID), false).await;
    is_judged(&model).await;
}

#[rstest]
#[case::vectors("embeddings", json!({"object": "list", "model": "up",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25], "note": SAID}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2}}))]
#[case::beside_vectors("embeddings", json!({"object": "list", "data": [{"embedding": [0.5]}],
    "provider_notes": {"more": [SAID]}}))]
#[case::in_place_of_a_vector("embeddings", json!({"object": "list", "data": [{"embedding": SAID}]}))]
#[case::moderations("moderations", json!({"id": "modr-1", "model": "judge", "results": [{"flagged": true,
    "categories": {"violence": true}, "category_scores": {"violence": 0.97}, "reason": SAID}]}))]
#[tokio::test]
async fn what_no_table_knows_beside_numbers_is_judged(#[case] path: &str, #[case] answer: Value) {
    let fake = Fake::start(vec![json_answer(200, &answer)]).await;
    let asked = json!({"model": "m", "input": "x"});
    let blocking = of_platform(model("m", &fake.address), no_word("Block")).await;
    let response = post_to_model(&blocking, path, &asked).await;
    assert_eq!(response.status(), 400);
    let heard = response.text().await.unwrap();
    assert!(
        heard.contains("answer_blocked") && !heard.contains(WORD),
        "{heard}"
    );
    let redacting = of_platform(model("m", &fake.address), no_word("Redact")).await;
    let response = post_to_model(&redacting, path, &asked).await;
    assert_eq!(
        header(&response, "aios-policy-verdict"),
        "Redact cluster/all/no-rival"
    );
    let redacted = answer.to_string().replace(WORD, "[removed]");
    assert_eq!(response.text().await.unwrap(), redacted);
}

#[rstest]
#[case::vectors("embeddings", json!({"object": "list", "model": "up", "data": [
    {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
    {"object": "embedding", "index": 1, "embedding": "AACAPwAAgL8".repeat(40)}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2}}))]
#[case::moderations("moderations", json!({"id": "modr-1", "model": "judge", "results": [{"flagged": true,
    "categories": {"violence": true}, "category_scores": {"violence": 0.97}}]}))]
#[tokio::test]
async fn numbers_go_on_as_they_came(#[case] path: &str, #[case] answer: Value) {
    let fake = Fake::start(vec![json_answer(200, &answer)]).await;
    let world = of_platform(model("m", &fake.address), no_word("Block")).await;
    let response = post_to_model(&world, path, &json!({"model": "m", "input": "x"})).await;
    assert_eq!(header(&response, "aios-policy-verdict"), "Pass");
    assert_eq!(header(&response, "aios-policy-scanned"), "");
    assert_eq!(response.text().await.unwrap(), answer.to_string());
}

#[rstest]
#[case::passed("Redact", SAID.replace(WORD, "Other"), "Pass")]
#[case::redacted("Redact", SAID.to_owned(), "Redact house/no-rival")]
#[case::blocked("Block", SAID.to_owned(), "Block house/no-rival")]
#[tokio::test]
async fn trailers_say_what_was_judged_of_a_stream(
    #[case] action: &str,
    #[case] text: String,
    #[case] verdict: &str,
) {
    let pieces = pieces(&text);
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    let fake = Fake::start(vec![stream(&pieces)]).await;
    let world = world(model("m", &fake.address), no_word(action)).await;
    let body = question("", true).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\naios-pipeline: p\r\nte: trailers\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = world.base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (_, trailers) = answer.split_once("\r\n0\r\n").unwrap();
    let said = format!("aios-policy-verdict: {verdict}\r\n");
    assert!(trailers.contains(&said), "{answer}");
    assert!(
        trailers.contains("aios-policy-scanned: content="),
        "{answer}"
    );
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
#[case::twice("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"Ac\",\"content\":\"me\"}}]}\n\n".to_owned())]
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
    let world = of_platform(model("m", &fake.address), no_word("Block")).await;
    let asked = chat(json!({"model": "m"}));
    let response = post_to_model(&world, "chat/completions", &asked).await;
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
