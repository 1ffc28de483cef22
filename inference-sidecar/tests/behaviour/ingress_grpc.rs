//! Models behind the gRPC API of Open Inference Protocol V2, before a server that takes nothing but its contract.

use std::sync::{Arc, Mutex};

use aios_proto::inference::{
    InferTensorContents, ModelInferRequest, ModelInferResponse,
    grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer},
    infer_parameter::ParameterChoice,
    model_infer_response::InferOutputTensor,
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status, transport::Server};

use crate::world::{World, chat, header, ingress, model, nowhere, with};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Answers with this, or this status.
#[derive(Clone)]
pub struct Strict {
    says: Result<Vec<u8>, Code>,
    is_raw: bool,
    seen: Arc<Mutex<Vec<Request<ModelInferRequest>>>>,
}

#[async_trait::async_trait]
impl GrpcInferenceService for Strict {
    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let [input] = &request.inputs[..] else {
            return Err(Status::invalid_argument("one input is needed"));
        };
        let contents = input.contents.clone().unwrap_or_default();
        let is_a_text = input.datatype == "BYTES"
            && input.shape == [1]
            && contents.bytes_contents.len() == 1
            && request.raw_input_contents.is_empty();
        if request.model_name != "up" || input.name != "text_input" || !is_a_text {
            return Err(Status::invalid_argument("no text of this model"));
        }
        let seen = Request::from_parts(metadata, extensions, request.clone());
        self.seen.lock().unwrap().push(seen);
        let text = self
            .says
            .clone()
            .map_err(|code| Status::new(code, "why not"))?;
        let output = InferOutputTensor {
            name: "text_output".into(),
            datatype: "BYTES".into(),
            shape: vec![1],
            contents: (!self.is_raw).then(|| InferTensorContents {
                bytes_contents: vec![text.clone()],
                ..InferTensorContents::default()
            }),
            ..InferOutputTensor::default()
        };
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let raw = self.is_raw.then(|| [&length, text.as_slice()].concat());
        Ok(Response::new(ModelInferResponse {
            model_name: request.model_name,
            id: request.id,
            outputs: vec![output],
            raw_output_contents: raw.into_iter().collect(),
            ..ModelInferResponse::default()
        }))
    }
}

/// A server, and an egress and an ingress before it.
async fn world(says: Result<&str, Code>, is_raw: bool) -> (Strict, World) {
    let (strict, model) = behind(says, is_raw).await;
    (
        strict,
        World::start(vec![model], json!([{"model": "m"}])).await,
    )
}

/// A server, and a model that is this server behind its ingress.
pub async fn behind(says: Result<&str, Code>, is_raw: bool) -> (Strict, Value) {
    let strict = Strict {
        says: says.map(|text| text.as_bytes().to_vec()),
        is_raw,
        seen: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::builder().add_service(GrpcInferenceServiceServer::new(strict.clone()));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(server.serve_with_incoming(incoming));
    (strict, at(port).await)
}

async fn at(port: u16) -> Value {
    let dialect = json!({"OpenInferenceGrpc": {"port": port, "input": "text_input",
        "output": "text_output", "settings": ["max_tokens", "temperature"]}});
    let upstream = json!({"dialect": dialect, "baseUrl": "http://127.0.0.1:1/v2"});
    let body = with(model("m", "http://127.0.0.1:1"), "upstream", upstream);
    with(body.clone(), "endpoint", json!(ingress(&body).await))
}

#[rstest]
#[case::typed(false)]
#[case::raw(true)]
#[tokio::test]
async fn a_call_becomes_a_tensor_over_grpc_and_the_answers_tensor_a_completion(
    #[case] is_raw: bool,
) {
    let (strict, world) = world(Ok("Dear Zoë"), is_raw).await;
    let asked = chat(json!({"max_tokens": 7, "temperature": 0.4, "seed": 3}));
    for _ in 0..2 {
        let call = world.call(&asked).header("traceparent", TRACE);
        let answer = call.send().await.unwrap();
        assert_eq!(header(&answer, "aios-dropped"), "seed");
        assert_eq!(header(&answer, "aios-usage"), "estimated");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "Dear Zoë");
        let seen = strict.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.metadata().get("traceparent").unwrap(), TRACE);
        let seen = seen.into_inner();
        assert_eq!(answer["id"], *seen.id);
        assert_eq!(seen.outputs[0].name, "text_output");
        let told = |name: &str| seen.parameters[name].parameter_choice.clone().unwrap();
        assert_eq!(told("max_tokens"), ParameterChoice::Int64Param(7));
        assert_eq!(told("temperature"), ParameterChoice::DoubleParam(0.4));
    }
}

#[tokio::test]
async fn a_stream_of_a_server_over_grpc_is_one_event() {
    let (_, world) = world(Ok("Dear Zoë"), false).await;
    let answer = world.call(&chat(json!({"stream": true}))).send().await;
    let answer = answer.unwrap().text().await.unwrap();
    assert!(
        answer.contains("Dear Zoë") && answer.ends_with("data: [DONE]\n\n"),
        "{answer}"
    );
}

#[rstest]
#[case::unknown(Code::NotFound, "refused")]
#[case::key(Code::Unauthenticated, "refused")]
#[case::busy(Code::ResourceExhausted, "rate_limited")]
#[case::down(Code::Unavailable, "failed")]
#[case::broken(Code::Internal, "failed")]
#[tokio::test]
async fn a_status_is_named_by_its_outcome(#[case] code: Code, #[case] outcome: &str) {
    let (_, world) = world(Err(code), false).await;
    let refused = world.call(&chat(json!({}))).send().await.unwrap();
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(
        refused["error"]["attempts"][0]["outcome"], outcome,
        "{refused}"
    );
}

#[tokio::test]
async fn what_the_server_says_of_a_wrong_call_is_the_callers_to_read() {
    let (_, world) = world(Err(Code::InvalidArgument), false).await;
    let refused = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let refused: Value = refused.json().await.unwrap();
    let said = refused["error"]["message"].as_str().unwrap();
    assert!(said.contains("why not"), "{refused}");
}

#[rstest]
#[case::long(5 << 20, None)]
#[case::too_long(33 << 20, Some("it is longer than 32768 KiB"))]
#[tokio::test]
async fn a_long_answer_over_grpc_is_taken_as_one_over_http(
    #[case] bytes: usize,
    #[case] wrong: Option<&str>,
) {
    let said = "x".repeat(bytes);
    let (strict, model) = behind(Ok(&said), false).await;
    let model = with(model, "resilience.timeout", json!("2m"));
    let world = World::start(vec![model], json!([{"model": "m"}])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    let told: Value = response.json().await.unwrap();
    assert_eq!(strict.seen.lock().unwrap().len(), 1);
    match wrong {
        None => assert_eq!(told["choices"][0]["message"]["content"], *said),
        Some(wrong) => {
            let attempt = &told["error"]["attempts"][0];
            assert_eq!(attempt["outcome"], "malformed", "{told}");
            assert!(told.to_string().contains(wrong), "{told}");
        }
    }
}

#[tokio::test]
async fn a_server_that_nobody_hears_is_unreachable() {
    let port = nowhere().await.rsplit(':').next().unwrap().parse().unwrap();
    let world = World::start(vec![at(port).await], json!([{"model": "m"}])).await;
    let refused = world.call(&chat(json!({}))).send().await.unwrap();
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["code"], "routes_exhausted", "{refused}");
    assert_eq!(
        refused["error"]["attempts"][0]["outcome"], "unreachable",
        "{refused}"
    );
}

#[rstest]
#[case::embeddings("embeddings", json!({"model": "m", "input": "x"}))]
#[case::tools("chat/completions", json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
    "tools": [{"type": "function", "function": {"name": "f"}}]}))]
#[tokio::test]
async fn what_no_tensor_can_carry_is_refused_before_the_server_is_asked(
    #[case] face: &str,
    #[case] body: Value,
) {
    let (strict, world) = world(Ok("x"), false).await;
    let url = format!("{}/v1/{face}", world.base);
    let refused = world
        .http
        .post(url)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
    assert!(strict.seen.lock().unwrap().is_empty());
}
